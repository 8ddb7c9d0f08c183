// Colours of models and patches, the same as in the reports. They are safe for the colour-blind.

const FAMILIES = {
  flip: "#009e73", mobilesam: "#0072b2", efficientsam: "#56b4e9", sam: "#cc79a7", fastsam: "#d55e00", grabcut: "#e69f00", ellipse: "#3a3a3a", box: "#6a4c93",
};
const OTHERS = ["#a8763e", "#b5a500", "#6b705c", "#2f4b7c", "#00798c", "#a05195"];

export const PATCHES = { 16: "#cc79a7", 8: "#f0e442", 4: "#009e73", 2: "#0072b2", 1: "#d55e00" };
export const TRUTH = "#ffffff";

/** Return the colour of each model. Models of one family share a hue, and differ in shade. */
export function coloursOf(names) {
  const counts = {};
  let others = 0;
  return Object.fromEntries(names.map((name) => {
    const own = name.toLowerCase().replace(/^.*[:/]/, "");
    const family = Object.keys(FAMILIES).filter((each) => own.startsWith(each)).sort((a, b) => b.length - a.length)[0];
    if (!family) return [name, OTHERS[others++ % OTHERS.length]];
    counts[family] = (counts[family] ?? 0) + 1;
    return [name, shade(FAMILIES[family], [0, 0.45, -0.35, 0.7][(counts[family] - 1) % 4])];
  }));
}

function shade(colour, amount) {
  const towards = amount > 0 ? 255 : 0;
  const parts = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  return `#${parts.map((part) => Math.round(part + (towards - part) * Math.abs(amount)).toString(16).padStart(2, "0")).join("")}`;
}
