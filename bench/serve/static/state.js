// The state of the page, and the link that holds it.

export const DIALS = [
  { name: "shrink", label: "Shrink the object", low: 1, high: 32, step: 0.1, none: 1, log: true, unit: "×", meaning: "Shrink: the picture is resampled to 1/n of its sides and set on a plain frame of the same size. The object keeps 1/n² of its pixels." },
  { name: "sharpness", label: "Defocus", low: 0, high: 5, step: 0.1, none: 0 },
  { name: "motion", label: "Motion", low: 0, high: 5, step: 0.1, none: 0 },
  { name: "noise", label: "Noise", low: 0, high: 5, step: 0.1, none: 0 },
  { name: "contrast", label: "Haze", low: 0, high: 5, step: 0.1, none: 0 },
  { name: "exposure", label: "Exposure", low: -5, high: 5, step: 0.1, none: 0, unit: " EV" },
  { name: "compression", label: "Compression", low: 0, high: 5, step: 0.1, none: 0 },
];

export const state = {
  picture: null, // id
  info: null, // the server's description of the picture with its changes
  tool: "ellipse",
  drawn: null, // { kind, box | ellipse | clicks }
  truth: null, // number of the true object
  changes: {}, // only those that are not at their default
  hidden: new Set(), // models
  show: { outlines: true, patches: false, truth: true },
  view: { x: 0, y: 0, scale: 1 }, // middle in px of the picture, screen px per px
};

const round = (number) => Math.round(number * 100) / 100;
const numbers = (text) => text.split(",").map(Number);
const finite = (list, length) => list.length === length && list.every(Number.isFinite);

/** Return the fragment of the link. */
export function toFragment() {
  const parts = new URLSearchParams();
  if (state.picture === null) return "";
  parts.set("picture", state.picture);
  if (state.drawn?.box) parts.set("box", state.drawn.box.map(round));
  if (state.drawn?.ellipse) parts.set("ellipse", state.drawn.ellipse.map(round));
  if (state.drawn?.clicks) parts.set("clicks", state.drawn.clicks.flatMap(([x, y, on]) => [round(x), round(y), on ? 1 : 0]));
  if (state.truth !== null) parts.set("object", state.truth);
  for (const [name, value] of Object.entries(state.changes)) parts.set(name, value);
  if (state.hidden.size) parts.set("hidden", [...state.hidden]);
  if (state.show.patches) parts.set("patches", 1);
  const { x, y, scale } = state.view;
  parts.set("view", [round(x), round(y), Number(scale.toPrecision(4))]);
  return parts.toString().replaceAll("%2C", ",");
}

/** Return the state of a link, with null for what it does not hold or what is malformed. */
export function fromFragment(fragment) {
  const parts = new URLSearchParams(fragment.replace(/^#/, ""));
  const list = (name) => (parts.has(name) ? numbers(parts.get(name)) : []);
  const [box, ellipse, clicks, view] = ["box", "ellipse", "clicks", "view"].map(list);
  let drawn = null;
  if (finite(box, 4)) drawn = { kind: "box", box };
  if (finite(ellipse, 5)) drawn = { kind: "ellipse", ellipse };
  if (clicks.length && clicks.length % 3 === 0 && finite(clicks, clicks.length)) {
    drawn = { kind: "clicks", clicks: Array.from({ length: clicks.length / 3 }, (_, i) => [clicks[3 * i], clicks[3 * i + 1], clicks[3 * i + 2] > 0]) };
  }
  const changes = {};
  for (const { name, low, high, none } of DIALS) {
    const value = Number(parts.get(name));
    if (parts.has(name) && value >= low && value <= high && value !== none) changes[name] = value;
  }
  const object = Number.parseInt(parts.get("object"), 10);
  return {
    picture: /^[0-9a-f]{1,16}$/.test(parts.get("picture") ?? "") ? parts.get("picture") : null,
    drawn,
    changes,
    truth: Number.isFinite(object) ? object : null,
    hidden: new Set(parts.get("hidden")?.split(",") ?? []),
    patches: parts.has("patches"),
    view: finite(view, 3) && view[2] > 0 ? { x: view[0], y: view[1], scale: view[2] } : null,
  };
}
