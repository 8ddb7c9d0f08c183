// The large picture: pointer, wheel and touch draw the prompt and move the view.

import { byId } from "./dom.js";
import { drawMask, drawPatches, drawTruth, mapper, prepare } from "./paint.js";
import { boxOf, clamp, converted, dragged, drawPrompt, hasExtent, hit, spanning } from "./prompt.js";
import { truthPath, viewOf } from "./models.js";
import { sameChanges } from "./tiles.js";
import { state } from "./state.js";

const MAX_SCALE = 64;
const WHEEL = 0.0016;
const FIRST_PX = 4; // screen px that a new prompt must span
const MARGIN = 0.4; // of the prompt's side, around it

export class Stage {
  /** `prompted(dragging)` is called when the prompt changes, `viewed()` when the view does. */
  constructor(tiles, { prompted, viewed }) {
    Object.assign(this, { tiles, prompted, viewed, pointers: new Map(), action: null, negative: false, space: false });
    this.element = byId("stage");
    this.canvas = this.element.querySelector("canvas");
    this.cursor = null; // of clicks by keyboard, px of the picture
    this.shown = null; // info and changes that were drawn last
    const on = (name, listener) => this.element.addEventListener(name, listener.bind(this), { passive: false });
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.up);
    on("wheel", this.wheel);
    on("contextmenu", (event) => event.preventDefault());
    new ResizeObserver(() => viewed()).observe(this.canvas);
  }

  get size() {
    return [this.canvas.clientWidth, this.canvas.clientHeight];
  }

  /** Return the position in the picture of an event. */
  point(event) {
    const frame = this.canvas.getBoundingClientRect();
    return this.unmap(event.clientX - frame.left, event.clientY - frame.top);
  }

  unmap(x, y) {
    const [width, height] = this.size;
    return [(x - width / 2) / state.view.scale + state.view.x, (y - height / 2) / state.view.scale + state.view.y];
  }

  down(event) {
    if (!state.info || event.target.closest("button")) return;
    this.element.focus({ preventScroll: true });
    this.canvas.setPointerCapture?.(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size === 2) {
      this.action = { name: "pinch" };
      return;
    }
    const at = this.point(event);
    const pans = event.button === 1 || this.space || state.tool === "pan";
    const handle = pans ? null : hit(state.drawn, at, state.view.scale);
    event.preventDefault();
    if (pans) this.action = { name: "pan" };
    else if (handle && !(handle === "inside" && state.tool === "clicks")) this.action = { name: "drag", handle, from: at, before: state.drawn };
    else if (state.tool === "clicks") this.click(at, !(this.negative !== (event.shiftKey || event.button === 2)));
    else this.action = { name: "new", from: at, before: state.drawn };
  }

  move(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) {
      if (state.info) this.element.dataset.cursor = this.cursorAt(this.point(event));
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, each]) => each);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const [dx, dy] = [event.clientX - last[0], event.clientY - last[1]];
    if (this.action?.name === "pan") this.pan(dx, dy);
    if (this.action?.name === "pinch" && others.length) {
      const distance = (point) => Math.hypot(point[0] - others[0][0], point[1] - others[0][1]);
      const frame = this.canvas.getBoundingClientRect();
      this.pan(dx / 2, dy / 2);
      this.zoom(distance([event.clientX, event.clientY]) / Math.max(distance(last), 1), [others[0][0] - frame.left, others[0][1] - frame.top]);
    }
    if (this.action?.name === "drag") {
      const { handle, from, before } = this.action;
      state.drawn = dragged(before, handle, from, this.point(event));
      this.prompted(true);
    }
    if (this.action?.name === "new") {
      const drawn = spanning(state.tool, this.action.from, this.point(event));
      const [x0, y0, x1, y1] = boxOf(drawn);
      if (Math.min(x1 - x0, y1 - y0) * state.view.scale >= FIRST_PX) {
        state.drawn = drawn;
        this.prompted(true);
      }
    }
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    const action = this.action;
    if (this.pointers.size) return;
    this.action = null;
    if (action && ["drag", "new"].includes(action.name) && state.drawn !== action.before) this.prompted(false);
  }

  wheel(event) {
    if (!state.info) return;
    event.preventDefault();
    const frame = this.canvas.getBoundingClientRect();
    const lines = event.deltaMode === 1 ? 18 : 1;
    this.zoom(Math.exp(-event.deltaY * lines * WHEEL * (event.ctrlKey ? 5 : 1)), [event.clientX - frame.left, event.clientY - frame.top]);
  }

  click(at, on) {
    state.drawn = { kind: "clicks", clicks: [...(state.drawn?.clicks ?? []), [...at, on]] };
    this.cursor = at;
    this.prompted(false);
  }

  pan(dx, dy) {
    state.view = { ...state.view, x: state.view.x - dx / state.view.scale, y: state.view.y - dy / state.view.scale };
    this.keepInside();
    this.viewed();
  }

  /** Zoom by a factor; the point of the screen stays where it is. */
  zoom(factor, [sx, sy] = this.size.map((side) => side / 2)) {
    const [x, y] = this.unmap(sx, sy);
    const [width, height] = this.size;
    const least = Math.min(viewOf(null, state.info, width, height, 0).scale, 1) / 2;
    const scale = clamp(state.view.scale * factor, least, MAX_SCALE);
    state.view = { x: x - (sx - width / 2) / scale, y: y - (sy - height / 2) / scale, scale };
    this.keepInside();
    this.viewed();
  }

  keepInside() {
    state.view.x = clamp(state.view.x, 0, state.info.width);
    state.view.y = clamp(state.view.y, 0, state.info.height);
  }

  fit() {
    state.view = viewOf(null, state.info, ...this.size, 0);
    this.viewed();
  }

  showPrompt() {
    if (!hasExtent(state.drawn)) return;
    const [width, height] = this.size;
    const [x0, y0, x1, y1] = boxOf(state.drawn);
    const { scale } = viewOf([x0, y0, x1, y1], state.info, width, height, MARGIN);
    state.view = { x: (x0 + x1) / 2, y: (y0 + y1) / 2, scale: Math.min(scale, MAX_SCALE) };
    this.viewed();
  }

  /** Change the tool. A box becomes an ellipse, and the other way round. */
  setTool(tool) {
    state.tool = tool;
    if (tool === "pan") return;
    const before = state.drawn;
    state.drawn = converted(before, tool);
    if (state.drawn !== before) this.prompted(false);
  }

  cursorAt(at) {
    if (state.tool === "pan" || this.space) return "grab";
    const handle = hit(state.drawn, at, state.view.scale);
    if (!handle) return "crosshair";
    if (handle.startsWith("edge")) return { edge00: "nwse-resize", edge22: "nwse-resize", edge02: "nesw-resize", edge20: "nesw-resize", edge10: "ns-resize", edge12: "ns-resize" }[handle] ?? "ew-resize";
    return handle === "inside" || handle === "middle" || handle.startsWith("click") ? "move" : "pointer";
  }

  draw(models) {
    const { context, width, height, ratio } = prepare(this.canvas);
    if (!state.info || !width) return;
    const { view } = state;
    const old = this.shown;
    if (old && old.info.id === state.info.id && !sameChanges(old.changes, state.changes) && !this.tiles.has(state.info, state.changes)) {
      this.tiles.draw(context, old.info, old.changes, view, width, height, ratio); // until the changed picture is there
    }
    this.canvas.dataset.complete = this.tiles.draw(context, state.info, state.changes, view, width, height, ratio);
    if (this.tiles.has(state.info, state.changes)) this.shown = { info: state.info, changes: { ...state.changes } };
    if (state.show.patches && models?.patches) drawPatches(context, models.patches, view, width, height);
    if (state.show.truth && state.truth !== null) drawTruth(context, truthPath(), view, width, height);
    const tint = models?.shown.length === 1 && !state.show.patches ? 0.25 : 0;
    if (state.show.outlines) for (const model of models?.shown ?? []) if (model.path) drawMask(context, model.path, model.colour, view, width, height, { tint });
    const at = mapper(view, width, height);
    drawPrompt(context, state.drawn, at, view.scale, state.tool !== "pan");
    if (this.cursor && state.tool === "clicks" && document.activeElement === this.element) drawCross(context, at(...this.cursor));
  }
}

function drawCross(context, [x, y]) {
  for (const [colour, width] of [["#000", 4], ["#fff", 1.5]]) {
    context.beginPath();
    context.moveTo(x - 16, y);
    context.lineTo(x + 16, y);
    context.moveTo(x, y - 16);
    context.lineTo(x, y + 16);
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  }
}
