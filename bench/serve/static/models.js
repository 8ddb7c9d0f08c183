// The models: their panels, and the questions to them.

import { getState, maskPng, predict } from "./api.js";
import { coloursOf } from "./colours.js";
import { byId, copy, download, make } from "./dom.js";
import { drawMask, drawPatches, drawTruth, mapper, pathOf, prepare } from "./paint.js";
import { boxOf, drawPrompt, hasExtent } from "./prompt.js";
import { state } from "./state.js";

const SLOW_MS = 250; // models that take longer, and longer than others, follow when the prompt is let go
const SLOWER = 4; // times as long as the fastest one
const MARGIN = 0.65; // of the prompt's side, around it in the panels
const MIN_SIDE = 12; // px of the picture that a panel shows at least
const POLL_MS = 400;
const STATES = { waiting: "waiting to load", loading: "loading", encoding: "encoding the picture", predicting: "predicting" };

export class Models {
  /** `changed` is called when a mask has arrived. */
  constructor(listed, changed) {
    this.changed = changed;
    const colours = coloursOf(listed.map(({ name }) => name));
    this.all = listed.map((about) => new Model(about, colours[about.name], this));
    byId("panels").replaceChildren(...this.all.map((model) => model.panel));
    this.polling = false;
    this.poll();
  }

  get shown() {
    return this.all.filter(({ name }) => !state.hidden.has(name));
  }

  get patches() {
    return this.shown.find((model) => model.answer?.patches)?.answer.patches ?? null;
  }

  /** Ask all models about the prompt; while it is dragged, only the fast ones. */
  ask(dragging = false) {
    for (const model of this.shown) model.ask(dragging);
    this.poll();
  }

  /** Return the start of the names of saved files. */
  stem() {
    return state.info.name.replace(/^.*[/\\]/, "").replace(/\.\w+$/, "");
  }

  forget() {
    for (const model of this.all) model.forget();
  }

  draw(tiles) {
    for (const model of this.all) model.draw(tiles);
  }

  /** Ask the server how far the models are, until all are loaded and none is asked. */
  async poll() {
    if (this.polling) return;
    this.polling = true;
    for (;;) {
      await new Promise((done) => setTimeout(done, POLL_MS));
      try {
        const { models } = await getState();
        models.forEach((about, i) => this.all[i].setState(about));
      } catch { /* the panels say what is wrong when they ask */ }
      if (!this.all.some((model) => model.busy || ["waiting", "loading"].includes(model.about.state))) break;
    }
    this.polling = false;
  }
}

class Model {
  constructor(about, colour, models) {
    Object.assign(this, { about, name: about.name, colour, models, answer: null, path: null, controller: null, stale: false, ms: 0 });
    this.canvas = make("canvas", { role: "img", "aria-label": `Mask of ${about.name}` });
    this.iou = make("b", { class: "iou", title: "Intersection over union with the true mask" });
    this.time = make("span", { class: "time" });
    this.note = make("p", { class: "note", role: "status" });
    const save = (text, title, action) => make("button", { title, "aria-label": `${about.name}: ${title}`, click: () => this.answer && action() }, text);
    this.buttons = [
      save("PNG", "Save the mask as PNG", () => this.savePng()),
      save("RLE", "Save mask and prompt as COCO RLE", () => this.saveRle()),
      save("Python", "Show the lines of Python", () => showCode(this.answer.python)),
    ];
    this.box = make("input", { type: "checkbox", checked: true, change: () => this.toggle() });
    this.panel = make("article", { class: "panel", "data-model": about.name },
      make("div", { class: "shot" }, this.canvas, this.iou, this.note),
      make("label", { class: "name" }, this.box, make("span", {}, about.name)),
      make("div", { class: "line" }, this.time),
      make("div", { class: "line" }, make("span", { class: "save" }, ...this.buttons)));
    this.panel.style.setProperty("--colour", colour);
    this.setState(about);
  }

  get busy() {
    return this.controller !== null;
  }

  get isSlow() {
    const others = this.models.shown.map(({ ms }) => ms).filter(Boolean);
    return this.ms > SLOW_MS && this.ms > SLOWER * Math.min(...others);
  }

  toggle() {
    if (this.box.checked) state.hidden.delete(this.name);
    else state.hidden.add(this.name);
    this.ask();
    this.models.changed();
  }

  setState(about) {
    this.about = about;
    this.describe();
  }

  forget() {
    this.controller?.abort();
    Object.assign(this, { answer: null, path: null, controller: null, stale: false, problem: "" });
    this.describe();
  }

  async ask(dragging = false) {
    if (!state.info || !hasExtent(state.drawn) || state.hidden.has(this.name)) return;
    if (dragging && (this.busy || this.isSlow)) {
      this.stale = true;
      this.describe();
      return;
    }
    this.controller?.abort();
    const controller = new AbortController();
    Object.assign(this, { controller, stale: false });
    const question = { model: this.name, picture: state.info.id, changes: state.changes, drawn: state.drawn, truth: state.truth, patches: state.show.patches && this.about.patches };
    try {
      const answer = await predict(question, controller.signal);
      if (this.controller !== controller) return;
      Object.assign(this, { answer, path: pathOf(answer), problem: "", ms: answer.ms });
    } catch (error) {
      if (this.controller !== controller || error.name === "AbortError") return;
      if (error.status !== 409) Object.assign(this, { answer: null, path: null, problem: error.message });
    }
    this.controller = null;
    if (this.stale) this.ask(this.models.dragging);
    this.describe();
    this.models.changed();
  }

  describe() {
    const { answer, problem, about } = this;
    this.box.checked = !state.hidden.has(this.name);
    this.panel.classList.toggle("hidden", state.hidden.has(this.name));
    this.panel.classList.toggle("stale", this.stale || this.busy);
    this.iou.textContent = answer && answer.iou !== null ? `IoU ${answer.iou.toFixed(2)}` : "";
    const encoding = answer?.encoding_ms ? ` + ${milliseconds(answer.encoding_ms)} to encode` : "";
    this.time.textContent = answer ? `${milliseconds(answer.ms)}${encoding}` : "";
    this.time.title = answer ? `${answer.area.toLocaleString("en")} px, prompted by ${{ gaussian: "its Gaussian" }[answer.prompt] ?? `its ${answer.prompt}`}` : "";
    for (const button of this.buttons) button.disabled = !answer;
    const bad = problem || (about.state === "failed" && about.problem);
    const isLoading = ["waiting", "loading"].includes(about.state);
    const waits = !bad && (isLoading || (this.busy && (!answer || about.state === "encoding"))) && STATES[about.state];
    this.note.textContent = bad || (waits ? `${waits}…` : answer && !answer.area ? "the mask is empty" : "");
    this.note.hidden = !this.note.textContent;
    this.note.classList.toggle("bad", Boolean(bad));
    this.panel.classList.toggle("waits", Boolean(waits));
  }

  /** Draw the part of the picture around the prompt, with the mask. */
  draw(tiles) {
    const { context, width, height, ratio } = prepare(this.canvas);
    if (!state.info || !width || state.hidden.has(this.name)) return;
    const view = viewOf(boxOf(state.drawn), state.info, width, height, MARGIN);
    tiles.draw(context, state.info, state.changes, view, width, height, ratio);
    if (this.answer?.patches && state.show.patches) drawPatches(context, this.answer.patches, view, width, height);
    if (state.show.truth && state.truth !== null) drawTruth(context, truthPath(), view, width, height);
    if (this.path) drawMask(context, this.path, this.colour, view, width, height, { tint: state.show.patches ? 0 : 0.35, line: 2 });
    drawPrompt(context, state.drawn?.clicks ? state.drawn : null, mapper(view, width, height), view.scale, false);
  }

  async savePng() {
    download(await maskPng(this.answer.rle), `${this.models.stem()}-${this.name}.png`);
  }

  saveRle() {
    const { rle, area, box, python } = this.answer;
    const [x0, y0, x1, y1] = box ?? [0, 0, 0, 0];
    const entry = { image: state.info.name, model: this.name, segmentation: rle, area, bbox: [x0, y0, x1 - x0, y1 - y0], prompt: state.drawn, changes: state.changes, python };
    download(new Blob([JSON.stringify([entry], null, 1)], { type: "application/json" }), `${this.models.stem()}-${this.name}.json`);
  }
}

/** Return a view of the surroundings of a box, which stays inside the picture, or of the whole picture. */
export function viewOf(box, info, width, height, margin) {
  const [x0, y0, x1, y1] = box ?? [0, 0, info.width, info.height];
  const whole = Math.min(width / info.width, height / info.height);
  if (!box) return { x: info.width / 2, y: info.height / 2, scale: whole };
  const side = Math.max(x1 - x0, y1 - y0, MIN_SIDE) * (1 + 2 * margin);
  const scale = Math.max(Math.min(width, height) / side, whole);
  const inside = (middle, size, shown) => (shown >= size ? size / 2 : Math.min(Math.max(middle, shown / 2), size - shown / 2));
  return { x: inside((x0 + x1) / 2, info.width, width / scale), y: inside((y0 + y1) / 2, info.height, height / scale), scale };
}

const truthPaths = new WeakMap();

/** Return the outline of the chosen true object. */
export function truthPath() {
  const object = state.info.objects[state.truth];
  if (!object) return new Path2D();
  if (!truthPaths.has(object)) truthPaths.set(object, pathOf(object));
  return truthPaths.get(object);
}

const milliseconds = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function showCode(text) {
  byId("code").querySelector("code").textContent = text;
  byId("copy").onclick = () => copy(text, byId("copy"));
  byId("code").showModal();
}
