"use strict";
// The gallery: filters and sorts objects, and shows them as cards. Cards exist only near the screen.

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

// ---- choosing

const view = { data: null, shown: [], columns: 1, pitch: 400, cards: new Map(), loading: null };
const filters = byId("filters");
const list = byId("cards");
const pane = byId("window"); // scrolls on its own, so that the rest of the page stays near
const field = (name) => filters.elements[name];

/** Return whether an object passes the filters. */
function wanted(data, object) {
  if (field("size").value !== "" && data.bin[object] !== Number(field("size").value)) return false;
  if (field("category").value !== "" && data.category[object] !== Number(field("category").value)) return false;
  const models = field("model").value === "" ? data.models : [data.models[field("model").value]];
  const outcome = { error: failed, none: empty, either: (model, o) => failed(model, o) || empty(model, o) }[field("outcome").value];
  const [least, most] = ["least", "most"].map((name) => Math.round(1000 * field(name).valueAsNumber));
  const bounded = least > 0 || most < 1000;
  return (!outcome && !bounded) || models.some((model) => {
    const iou = model.iou[object];
    return (!outcome || outcome(model, object)) && (!bounded || (iou >= 0 && !(iou < least) && !(iou > most)));
  });
}

/** Return the sort key of objects, ascending. Objects without a score come last. */
function order(data) {
  const [first, second] = [data.models[field("first").value].iou, data.models[field("second").value].iou];
  const both = (key) => (o) => (first[o] < 0 || second[o] < 0 ? Infinity : key(o));
  const one = (key) => (o) => (first[o] < 0 ? Infinity : key(o));
  return {
    gap: both((o) => -Math.abs(first[o] - second[o])),
    lead: both((o) => second[o] - first[o]),
    low: one((o) => first[o]),
    high: one((o) => -first[o]),
    small: (o) => fraction(data, o),
    large: (o) => -fraction(data, o),
    pixels: (o) => data.area[o],
  }[field("sort").value];
}

function choose() {
  const { data } = view;
  const key = order(data);
  const objects = data.id.map((_, object) => object).filter((object) => wanted(data, object));
  const keys = new Map(objects.map((object) => [object, key(object)]));
  view.shown = objects.sort((a, b) => (keys.get(a) === keys.get(b) ? a - b : keys.get(a) - keys.get(b)));
  byId("count").textContent = `${count(view.shown.length)} of ${count(data.id.length)} objects`;
  const sort = field("sort").value;
  field("second").closest("label").hidden = !["gap", "lead"].includes(sort);
  field("first").closest("label").hidden = ["small", "large", "pixels"].includes(sort);
  for (const card of view.cards.values()) card.remove();
  view.cards.clear();
  pane.scrollTop = 0;
  layout();
}

// ---- cards

/** Compute the number of cards per row and the height of a row. */
function layout() {
  if (!view.data) return;
  const gap = 14;
  const least = list.clientWidth < 480 ? 150 : 208;
  view.columns = Math.max(1, Math.floor((list.clientWidth + gap) / (least + gap)));
  const width = (list.clientWidth - gap * (view.columns - 1)) / view.columns;
  view.pitch = width + 56 + 21 * view.data.models.length + gap;
  list.style.setProperty("--width", `${width}px`);
  list.style.setProperty("--height", `${view.pitch - gap}px`);
  list.style.height = `${Math.ceil(view.shown.length / view.columns) * view.pitch}px`;
  for (const [place, card] of view.cards) put(card, place, width + gap);
  view.step = width + gap;
  paint();
}

function put(card, place, step) {
  card.style.transform = `translate(${(place % view.columns) * step}px, ${Math.floor(place / view.columns) * view.pitch}px)`;
}

/** Make the cards within one height of the window of cards and remove the others. */
function paint() {
  if (!view.data) return;
  const { scrollTop, clientHeight } = pane;
  const first = Math.max(0, Math.floor((scrollTop - clientHeight) / view.pitch)) * view.columns;
  const end = Math.min(view.shown.length, Math.ceil((scrollTop + 2 * clientHeight) / view.pitch) * view.columns);
  for (const [place, card] of view.cards) {
    if ((place < first || place >= end) && !card.contains(document.activeElement)) {
      card.remove();
      view.cards.delete(place);
    }
  }
  let next = null;
  for (let place = end - 1; place >= first; place -= 1) {
    let made = view.cards.get(place);
    if (!made) {
      made = card(place);
      put(made, place, view.step);
      list.insertBefore(made, next);
      view.cards.set(place, made);
    }
    next = made;
  }
}

function card(place) {
  const { data } = view;
  const object = view.shown[place];
  const frame = shot(data, object, outlines(data, object));
  const size = `${count(data.area[object])} px · ${scientific(fraction(data, object))}`;
  return make("article", { class: "object", role: "listitem", "aria-setsize": view.shown.length, "aria-posinset": place + 1 },
    make("button", { type: "button", class: "open", "aria-label": `${title(data, object)}, ${size}: enlarge`, click: () => openObject(place) }, frame),
    make("h3", {}, title(data, object)), make("p", {}, size), scores(data, object, frame));
}

// ---- controls

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  select.value = String(chosen);
}

/** Fill the controls with options and their numbers of objects. */
function prepare(data) {
  const tally = (codes, names) => names.map((name, code) => [code, name, codes.filter((c) => c === code).length]).filter(([, , n]) => n);
  const options = (all, rows) => [["", all], ...rows.map(([code, name, n]) => [code, `${name} (${count(n)})`])];
  const names = data.models.map((model, index) => [index, model.name]);
  fill(field("size"), options("any size", tally(data.bin, data.bins)), "");
  fill(field("category"), options("any category", tally(data.category, data.category_names)), "");
  fill(field("model"), [["", "any model"], ...names], "");
  fill(field("first"), names, data.pair[0]);
  fill(field("second"), names, data.pair[data.pair.length - 1]);
  const toggle = (text, name, colour, rule = "solid") => {
    const box = make("input", { type: "checkbox", checked: "", change: hide });
    box.dataset.hides = name;
    return make("label", { class: `chip of-${name}`, style: `--colour: ${colour}; --dash: ${rule}` }, box, text);
  };
  byId("toggles").replaceChildren(toggle("true mask", "truth", "#fff"), ...data.models.map((model, index) => toggle(model.name, `m${index}`, model.colour, model.rule)));
  hide();
}

/** Hide the outlines of unticked boxes with a CSS rule, so that no card is drawn again. */
function hide() {
  const names = [...byId("toggles").querySelectorAll("input:not(:checked)")].map((box) => `.together .${box.dataset.hides}, .object .${box.dataset.hides}`);
  byId("hidden-outlines").textContent = names.length ? `${names.join(", ")} { display: none; }` : "";
}

async function start() {
  const slug = field("dataset").value;
  try {
    if (!sets.has(slug)) await load(field("dataset").selectedOptions[0].dataset.script);
  } catch (error) {
    byId("count").textContent = `${error.message} is missing beside the page. Copy the whole folder of the report.`;
    return;
  }
  view.data = sets.get(slug);
  prepare(view.data);
  choose();
}

byId("without-script").remove();
filters.hidden = false;
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("input", (event) => {
  if (event.target.name === "dataset") start();
  else if (view.data) choose();
});
filters.addEventListener("reset", () => {
  const { value } = field("dataset"); // the data set is not a filter
  setTimeout(() => {
    field("dataset").value = value;
    if (!view.data) return;
    prepare(view.data);
    choose();
  });
});
for (const link of document.querySelectorAll("a[data-gallery]")) {
  link.addEventListener("click", () => {
    if (field("dataset").value === link.dataset.gallery) return;
    field("dataset").value = link.dataset.gallery;
    if (view.data) start();
  });
}
let due = false;
pane.addEventListener("scroll", () => {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    paint();
  });
}, { passive: true });
new ResizeObserver(layout).observe(document.body); // its height changes while images above load
new IntersectionObserver((entries, observer) => {
  if (!entries.some((entry) => entry.isIntersecting)) return;
  observer.disconnect();
  start();
}, { rootMargin: "1500px" }).observe(byId("objects"));
