"use strict";
// The gallery: filters and sorts objects, and shows them as cards. Cards exist only near the screen.

const view = { data: null, shown: [], columns: 1, pitch: 400, cards: new Map(), loading: null };
const filters = byId("filters");
const list = byId("cards");
const pane = byId("window"); // scrolls on its own, so that the rest of the page stays near
const field = (name) => filters.elements[name];

/** Return the strength of the chosen dial per object in hundredths, or the sum of all dials; −1 without difficulty. */
function strengths(data) {
  const { value } = field("dial");
  if (value) return data.dials[value];
  const dials = Object.values(data.dials);
  return data.id.map((_, object) => (dials.length && dials[0][object] >= 0 ? dials.reduce((sum, dial) => sum + dial[object], 0) : -1));
}

const hundredths = (name) => Math.round(100 * field(name).valueAsNumber);

/** Let the range of strength hold every object. */
function widen(data) {
  const highest = Math.ceil(strengths(data).reduce((a, b) => Math.max(a, b), 0) / 50) / 2;
  for (const name of ["weakest", "strongest"]) field(name).max = highest;
  field("weakest").value = 0;
  field("strongest").value = highest;
}

/** Return whether an object passes the filters. `strength` is that of `strengths`, null if any will do. */
function wanted(data, object, strength) {
  if (strength && (strength[object] < 0 || strength[object] < hundredths("weakest") || strength[object] > hundredths("strongest"))) return false;
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

/** Return the sort key of objects, ascending. Objects without a score, or without difficulty, come last. */
function order(data, strength) {
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
    easy: (o) => (strength[o] < 0 ? Infinity : strength[o]),
    hard: (o) => (strength[o] < 0 ? Infinity : -strength[o]),
  }[field("sort").value];
}

function choose() {
  const { data } = view;
  const strength = strengths(data);
  const key = order(data, strength);
  const bounded = hundredths("weakest") > 0 || hundredths("strongest") < 100 * Number(field("strongest").max);
  const objects = data.id.map((_, object) => object).filter((object) => wanted(data, object, bounded ? strength : null));
  const keys = new Map(objects.map((object) => [object, key(object)]));
  view.shown = objects.sort((a, b) => (keys.get(a) === keys.get(b) ? a - b : keys.get(a) - keys.get(b)));
  byId("count").textContent = `${count(view.shown.length)} of ${count(data.id.length)} objects`;
  const sort = field("sort").value;
  field("second").closest("label").hidden = !["gap", "lead"].includes(sort);
  field("first").closest("label").hidden = !["gap", "lead", "low", "high"].includes(sort);
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

/** Move the focus to a card, and scroll as far as needed to show it. */
function focusCard(place) {
  const top = Math.floor(place / view.columns) * view.pitch;
  pane.scrollTop = Math.max(top + view.pitch - pane.clientHeight, Math.min(top, pane.scrollTop));
  paint();
  view.cards.get(place)?.querySelector(".open").focus({ preventScroll: true });
}

list.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -view.columns, ArrowDown: view.columns }[event.key];
  if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const [at] = [...view.cards].find(([, card]) => card.contains(event.target));
  if (at + by >= 0 && at + by < view.shown.length) focusCard(at + by);
});

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
  const dials = Object.keys(data.dials);
  for (const part of filters.querySelectorAll(".of-dials")) part.hidden = part.disabled = !dials.length;
  fill(field("dial"), [["", "all, summed"], ...dials.map((name) => [name, name])], "");
  widen(data);
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
  else if (view.data) {
    if (event.target.name === "dial") widen(view.data);
    choose();
  }
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
