"use strict";
// The data of the gallery, and the pictures of an object with the outlines of its masks.

const sets = new Map(); // the data of objects.js by slug of the data set
const chunks = new Map(); // promises of loaded outline files by slug and number
const arrived = new Map();

/** Called by the files beside the page when they are loaded. */
const report = {
  objects: (slug, data) => sets.set(slug, { slug, ...data }),
  outlines: (slug, number, paths) => arrived.set(`${slug}/${number}`, paths),
};

function load(source) {
  return new Promise((resolve, reject) => {
    document.head.append(make("script", { src: source, load: resolve, error: () => reject(new Error(source)) }));
  });
}

/** Return the outlines of an object: the true mask, then the models; null if missing. */
async function outlines(data, object) {
  const number = Math.floor(object / data.chunk);
  const key = `${data.slug}/${number}`;
  if (!chunks.has(key)) chunks.set(key, load(`gallery/${data.slug}/outlines/${data.chunks[number]}.js`));
  try {
    await chunks.get(key);
  } catch {
    return null;
  }
  return arrived.get(key)[object % data.chunk];
}

// ---- words

function scientific(number) {
  if (number >= 1e-3) return String(Number(number.toPrecision(2)));
  const [digits, power] = number.toExponential(1).split("e");
  return `${digits}×10${[...power].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])).join("")}`;
}

const count = (number) => number.toLocaleString("en");
const fraction = (data, object) => data.area[object] / (data.width[object] * data.height[object]);
const title = (data, object) => data.category_names[data.category[object]] || "object";

/** Format IoU with two digits, marked if seen in training; "error" or a dash if there is no IoU. */
function scored(model, object) {
  if (object in model.error) return "error";
  return model.iou[object] < 0 ? "—" : (model.iou[object] / 1000).toFixed(2) + (model.seen[object] ?? "");
}

const failed = (model, object) => object in model.error;
const empty = (model, object) => !failed(model, object) && model.iou[object] >= 0 && model.area[object] === 0;

// ---- images

/** Make a crop with its outlines, or show the reason why there is none. */
function shot(data, object, paths) {
  const reason = data.pictures.problem[data.picture[object]] || (data.box[object] ? "" : "its true mask cannot be read");
  const frame = make("span", { class: "shot" });
  if (reason) {
    frame.append(make("span", { class: "absent" }, `Not shown: ${reason}.`));
    return frame;
  }
  const [width, height] = data.grid[object];
  const source = `gallery/${data.slug}/crops/${data.crop[object]}.webp`;
  const lost = () => frame.replaceChildren(make("span", { class: "absent" }, "Not shown: the image file beside the page is missing."));
  frame.append(make("img", { src: source, alt: `Crop of the ${title(data, object)}`, decoding: "async", class: Math.max(width, height) <= 240 && "pixels", error: lost }));
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  frame.append(svg);
  Promise.resolve(paths).then((found) => {
    if (found === null) frame.append(make("span", { class: "absent" }, "The outline file beside the page is missing."));
    else svg.append(...drawn(data, found));
  });
  return frame;
}

/** Make the outlines of the true mask and of the models, with the classes `m0`, `m1`, … */
function drawn(data, [truth, ...paths]) {
  const lines = truth ? [make("path", { d: truth, class: "case truth" }), make("path", { d: truth, class: "true truth" })] : [];
  data.models.forEach((model, index) => {
    if (paths[index]) lines.push(line(model, paths[index], `m${index}`));
  });
  return lines;
}

function line(model, path, name) {
  return make("path", { d: path, class: name, stroke: model.colour, "stroke-dasharray": model.dash, style: `--colour: ${model.colour}` });
}

/** Make a list of models with their IoU. Hovering over a model shows only its outline in `frame`. */
function scores(data, object, frame) {
  const only = (index) => () => {
    for (const path of frame.querySelectorAll("path")) {
      path.classList.toggle("faint", index !== null && !path.classList.contains("truth") && !path.classList.contains(`m${index}`));
      path.classList.toggle("alone", path.classList.contains(`m${index}`));
    }
  };
  return make("ul", { class: "scores" }, ...data.models.map((model, index) => {
    const bad = failed(model, object) || empty(model, object);
    const row = make("li", { class: bad ? "bad" : null, style: `--colour: ${model.colour}; --dash: ${model.rule}; --share: ${Math.max(0, model.iou[object]) / 10}%`, pointerenter: only(index), pointerleave: only(null) },
      make("span", { class: "name" }, model.name), make("b", {}, empty(model, object) ? "no mask" : scored(model, object)));
    row.title = failed(model, object) ? data.errors[model.error[object]] : model.name;
    return row;
  }));
}
