"use strict";
// One object, enlarged: a panel per model, with a description of the errors of its mask.

const viewer = byId("viewer");
let place = 0;

/** Describe the errors of a mask, from its IoU and the two areas. */
function verdict(data, model, object) {
  if (failed(model, object)) return `Error: ${data.errors[model.error[object]]}`;
  if (model.iou[object] < 0) return "The model was not run on this object.";
  if (model.area[object] === 0) return "The mask is empty.";
  const iou = model.iou[object] / 1000;
  const [truth, found] = [data.area[object], model.area[object]];
  const both = Math.min((iou * (truth + found)) / (1 + iou), truth, found);
  const share = (part) => `${Math.round(100 * part)} %`;
  if (both === 0) return `${count(found)} px, none on the object.`;
  return `${count(found)} px, ${share(both / found)} on the object, covering ${share(both / truth)} of it.`;
}

function panel(data, object, index, found) {
  const model = data.models[index];
  const frame = shot(data, object, found.then((paths) => paths && [paths[0]]));
  found.then((paths) => {
    const svg = frame.querySelector("svg");
    if (svg && paths?.[index + 1]) svg.append(line(model, paths[index + 1], "tint"));
    else if (svg && paths && model.area[object] > 0) frame.append(make("span", { class: "absent" }, "The mask cannot be read."));
  });
  return make("figure", { class: "panel", style: `--colour: ${model.colour}; --dash: ${model.rule}` }, frame,
    make("figcaption", {}, make("strong", { class: "swatch" }, model.name), make("b", {}, scored(model, object)),
      make("span", {}, verdict(data, model, object)), make("span", {}, model.prompt && `Prompt: ${model.prompt}`)));
}

/** Make a thumbnail of the image with a ring around the crop, which shows how small the object is. */
function whole(data, object) {
  const [width, height] = [data.width[object], data.height[object]];
  const [x0, y0, x1, y1] = data.box[object] ?? [0, 0, width, height];
  const side = Math.max(width, height);
  const ring = { cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, r: Math.max(Math.max(x1 - x0, y1 - y0) / 2, side / 24) };
  const number = data.picture[object];
  const frame = make("span", { class: "shot" });
  if (data.pictures.problem[number]) return [];
  frame.append(make("img", { src: `gallery/${data.slug}/pictures/${data.pictures.file[number]}.webp`, alt: "The whole image", decoding: "async" }),
    make("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, make("circle", { ...ring, class: "case" }), make("circle", { ...ring, class: "true" })));
  return [make("figure", { class: "panel" }, frame, make("figcaption", {}, make("span", {}, "The whole image with the object in the ring")))];
}

function fact(name, text) {
  return [make("dt", {}, name), make("dd", {}, text)];
}

/** List the dials of an object's picture that differ between pictures. */
function difficulty(data, object) {
  const known = Object.entries(data.dials).filter(([, strength]) => strength[object] >= 0);
  return known.length ? fact("Difficulty", known.map(([name, strength]) => `${name} ${(strength[object] / 100).toFixed(1)}`).join(", ")) : [];
}

function showObject() {
  const { data } = view;
  const object = view.shown[place];
  const found = outlines(data, object);
  const together = shot(data, object, found);
  const box = data.box[object];
  viewer.querySelector("h2").textContent = title(data, object);
  viewer.querySelector("output").textContent = `${count(place + 1)} of ${count(view.shown.length)}`;
  viewer.querySelector(".together").replaceChildren(together, scores(data, object, together));
  const known = make("dl", { class: "known facts" },
    ...fact("Object", `${count(data.area[object])} px, ${scientific(fraction(data, object))} of the image`),
    ...fact("Crop", box ? `${box[2] - box[0]}×${box[3] - box[1]} px` : "none"),
    ...fact("Image", `${data.image[object]}, ${data.width[object]}×${data.height[object]} px`),
    ...difficulty(data, object),
    ...fact("Asset", data.asset_names[data.asset[object]] || "unknown"),
    ...fact("Object id", data.id[object]));
  viewer.querySelector(".place").replaceChildren(known, ...whole(data, object));
  viewer.querySelector(".panels").replaceChildren(...data.models.map((_, index) => panel(data, object, index, found)));
  viewer.querySelector(".previous").disabled = place === 0;
  viewer.querySelector(".next").disabled = place === view.shown.length - 1;
}

function openObject(at) {
  place = at;
  showObject();
  viewer.showModal();
}

function step(by) {
  const to = Math.min(view.shown.length - 1, Math.max(0, place + by));
  if (to === place) return;
  place = to;
  showObject();
}

viewer.querySelector(".previous").addEventListener("click", () => step(-1));
viewer.querySelector(".next").addEventListener("click", () => step(1));
viewer.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  step(by);
});
viewer.addEventListener("close", () => focusCard(place));
