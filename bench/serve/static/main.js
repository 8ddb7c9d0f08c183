// Starts the page and connects its parts.

import { getPicture, getState, upload } from "./api.js";
import { PATCHES } from "./colours.js";
import { makeDials } from "./dials.js";
import { byId, copy, download, make } from "./dom.js";
import { listen } from "./keys.js";
import { Models } from "./models.js";
import { boxOf, scaled } from "./prompt.js";
import { makeSamples } from "./samples.js";
import { Stage } from "./stage.js";
import { fromFragment, state, toFragment } from "./state.js";
import { Tiles } from "./tiles.js";

const LINK_DELAY_MS = 150;
const SMALL = 0.2; // of the picture's side: the page zooms to a smaller object

const server = await getState();
const tiles = new Tiles(server.tile, redraw);
const stage = new Stage(tiles, { prompted, viewed: redraw });
const models = new Models(server.models, redraw);
const refreshDials = makeDials(changedDials);
const browse = server.dataset ? makeSamples(server.dataset, (id) => openPicture(id)) : null;
let frame = null;
let linkTimer = null;
let fetching = null;
let opening = false;

// ---- drawing

function redraw() {
  document.body.ariaBusy = "true";
  frame ??= requestAnimationFrame(() => {
    frame = null;
    tiles.begin();
    stage.draw(models);
    models.draw(tiles);
    tiles.load();
    describe();
    clearTimeout(linkTimer);
    linkTimer = setTimeout(settle, LINK_DELAY_MS);
  });
}

/** Write the link. The page is busy until a picture is there and all models have answered. */
function settle() {
  if (!opening) history.replaceState(null, "", `#${toFragment()}`);
  if (!opening && !models.all.some((model) => model.busy)) document.body.ariaBusy = "false";
}

function describe() {
  const { info, drawn, view } = state;
  byId("about").textContent = info ? `${info.name.replace(/^.*[/\\]/, "")} · ${info.width}×${info.height}` : "";
  const show = (list) => list.map((number) => Math.round(number * 10) / 10).join(", ");
  const texts = { box: () => `box ${show(drawn.box)}`, ellipse: () => `ellipse ${show(drawn.ellipse.slice(0, 4))}, ${Math.round(drawn.ellipse[4])}°`, clicks: () => `${drawn.clicks.length} clicks` };
  const fraction = drawn && info ? share(drawn, info) : "";
  byId("numbers").textContent = info ? [`${Math.round(view.scale * 100)} %`, drawn ? texts[drawn.kind]() : "draw a prompt", fraction].filter(Boolean).join(" · ") : "";
  const legend = state.show.patches && models.patches;
  byId("legend").hidden = !legend;
  if (legend) {
    const rows = Object.keys(legend).map(Number).sort((a, b) => b - a).filter((size) => legend[size].length);
    byId("legend").replaceChildren(...rows.map((size) => {
      const swatch = make("i");
      swatch.style.background = PATCHES[size];
      return make("li", {}, swatch, `${size}×${size}: ${legend[size].length}`);
    }));
  }
}

function share(drawn, info) {
  const [x0, y0, x1, y1] = boxOf(drawn);
  const area = drawn.ellipse ? Math.PI * drawn.ellipse[2] * drawn.ellipse[3] : (x1 - x0) * (y1 - y0);
  if (drawn.clicks || !area) return "";
  const fraction = (info.width * info.height) / area;
  return fraction >= 2 ? `1/${Math.round(fraction).toLocaleString("en")} of the picture` : "";
}

function say(text) {
  byId("message").textContent = text ?? "";
  byId("message").hidden = !text;
}

// ---- prompt, tools and switches

function prompted(dragging) {
  models.dragging = dragging;
  if (state.drawn) models.ask(dragging);
  else models.forget();
  redraw();
}

function setTool(tool) {
  stage.setTool(tool);
  refreshControls();
  redraw();
}

function refreshControls() {
  for (const input of document.querySelectorAll("[name=tool]")) input.checked = input.value === state.tool;
  for (const name of ["outlines", "patches", "truth"]) document.querySelector(`[name=${name}]`).checked = state.show[name];
  byId("negative").hidden = state.tool !== "clicks";
  byId("negative").firstElementChild.checked = stage.negative;
  const objects = state.info?.objects ?? [];
  for (const element of document.querySelectorAll(".of-truth")) element.hidden = !objects.length;
  const options = objects.map(({ number, category, area }) => make("option", { value: number }, `${category.replaceAll("_", " ") || "object"} · ${area.toLocaleString("en")} px`));
  byId("truth").replaceChildren(make("option", { value: "" }, "none"), ...options);
  byId("truth").value = state.truth ?? "";
  byId("empty").hidden = state.info !== null;
}

function setShow(name, on = !state.show[name]) {
  state.show[name] = on;
  refreshControls();
  if (name === "patches" && on) models.ask();
  redraw();
}

/** Choose a true object and make it the prompt. */
function chooseTruth(number) {
  state.truth = number;
  const object = state.info.objects[number];
  if (object?.ellipse) {
    const [x0, y0, x1, y1] = object.box;
    if (state.tool === "box") state.drawn = { kind: "box", box: [x0, y0, x1, y1] };
    else if (state.tool === "clicks") state.drawn = { kind: "clicks", clicks: [[object.ellipse[0], object.ellipse[1], true]] };
    else state.drawn = { kind: "ellipse", ellipse: object.ellipse };
    const small = Math.max(x1 - x0, y1 - y0) < SMALL * Math.max(state.info.width, state.info.height);
    if (small) stage.showPrompt();
  }
  refreshControls();
  prompted(false);
}

// ---- pictures

/** Show a picture, with the state of a link if there is one. */
async function openPicture(id, link = null) {
  opening = true;
  document.body.ariaBusy = "true";
  models.forget();
  Object.assign(state, { picture: id, info: null, drawn: link?.drawn ?? null, truth: link?.truth ?? null, changes: link?.changes ?? {} });
  refreshDials();
  try {
    await fetchInfo();
  } catch (error) {
    if (error.name === "AbortError") return;
    opening = false;
    say(error.message);
    refreshControls();
    redraw();
    return;
  }
  begin(link);
}

/** Begin with the picture that was fetched. */
function begin(link) {
  opening = false;
  say("");
  if (link?.drawn) state.tool = link.drawn.kind;
  refreshControls();
  stage.fit();
  if (link?.view) state.view = link.view;
  if (!link?.drawn && state.info.objects.length) {
    const largest = state.info.objects.reduce((best, each) => (each.area > best.area ? each : best));
    chooseTruth(link?.truth ?? largest.number);
  } else prompted(false);
}

async function fetchInfo() {
  fetching?.abort();
  fetching = new AbortController();
  state.info = await getPicture(state.picture, state.changes, fetching.signal);
}

async function openFile(file) {
  if (!file) return;
  if (file.size > server.max_bytes) return say(`${file.name} is larger than ${server.max_bytes >> 20} MB`);
  say(`reading ${file.name}…`);
  try {
    const info = await upload(file);
    const link = fromFragment(location.hash);
    models.forget();
    const same = link.picture === info.id ? link : null;
    Object.assign(state, { picture: info.id, info, drawn: same?.drawn ?? null, truth: null, changes: same?.changes ?? {} });
    refreshDials();
    if (same) await fetchInfo();
    begin(same);
  } catch (error) {
    say(error.message);
  }
}

function step(by) {
  if (!server.dataset) return;
  const now = /^\d{1,11}$/.test(state.picture ?? "") ? Number(state.picture) : -1;
  const next = Math.min(Math.max(now + by, 0), server.dataset.pictures - 1);
  if (next !== now) openPicture(String(next));
}

/** Shrinking moves the object, and the prompt with it. */
async function changedDials(before) {
  if (!state.info) return;
  const factor = (before.shrink ?? 1) / (state.changes.shrink ?? 1);
  const middle = [state.info.width / 2, state.info.height / 2];
  state.drawn = scaled(state.drawn, middle, factor);
  opening = true;
  document.body.ariaBusy = "true";
  if (factor !== 1) {
    const [x, y] = [state.view.x, state.view.y].map((value, i) => middle[i] + (value - middle[i]) * factor);
    Object.assign(state.view, { x, y });
  }
  try {
    await fetchInfo();
  } catch (error) {
    if (error.name === "AbortError") return;
    say(error.message);
  }
  opening = false;
  prompted(false);
}

// ---- events

for (const input of document.querySelectorAll("[name=tool]")) input.addEventListener("change", () => setTool(input.value));
for (const name of ["outlines", "patches", "truth"]) document.querySelector(`[name=${name}]`).addEventListener("change", (event) => setShow(name, event.target.checked));
byId("negative").firstElementChild.addEventListener("change", (event) => (stage.negative = event.target.checked));
byId("truth").addEventListener("change", (event) => chooseTruth(event.target.value === "" ? null : Number(event.target.value)));
byId("zoom-in").addEventListener("click", () => state.info && stage.zoom(1.5));
byId("zoom-out").addEventListener("click", () => state.info && stage.zoom(1 / 1.5));
byId("zoom-fit").addEventListener("click", () => state.info && stage.fit());
byId("zoom-object").addEventListener("click", () => state.info && stage.showPrompt());
for (const id of ["open", "empty-open"]) byId(id).addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  openFile(event.target.files[0]);
  event.target.value = "";
});
byId("link").addEventListener("click", () => {
  history.replaceState(null, "", `#${toFragment()}`);
  copy(location.href, byId("link"));
});
byId("save-view").addEventListener("click", () => state.info && stage.canvas.toBlob((blob) => download(blob, `${models.stem()}-view.png`)));
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("browse").addEventListener("click", () => browse());
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
for (const button of document.querySelectorAll("dialog .close")) button.addEventListener("click", () => button.closest("dialog").close());
for (const element of document.querySelectorAll(".of-dataset")) element.hidden = !server.dataset;
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
document.addEventListener("dragover", () => document.body.classList.add("over"));
document.addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("over"));
document.addEventListener("drop", (event) => {
  document.body.classList.remove("over");
  openFile(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => openFile([...event.clipboardData.files][0]));
window.addEventListener("hashchange", () => restore(fromFragment(location.hash)));
window.addEventListener("resize", redraw);
listen(stage, {
  tool: setTool,
  show: setShow,
  step,
  negative: () => {
    stage.negative = !stage.negative;
    refreshControls();
  },
  object: (by) => {
    const count = state.info.objects.length;
    if (count) chooseTruth((((state.truth ?? -by) + by) % count + count) % count);
  },
});

function restore(link) {
  state.hidden = link.hidden;
  state.show.patches = link.patches;
  const id = link.picture ?? server.first;
  if (id !== null) openPicture(id, link.picture === null ? null : link);
  refreshControls();
  redraw();
}

restore(fromFragment(location.hash));
