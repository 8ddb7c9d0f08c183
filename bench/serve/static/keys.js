// The keyboard.

import { byId, make } from "./dom.js";
import { hasExtent, moved, resized, rotated, spanning } from "./prompt.js";
import { state } from "./state.js";

const STEP = 4; // screen px of a prompt's step
const FIRST_SHARE = 0.25; // of the view: the first prompt by keyboard
const DEGREES = 5;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const LISTED = [
  ["B · E · C · H", "box, ellipse, clicks, move the picture"],
  ["Arrow keys", "move the prompt; with Alt by one pixel"],
  ["Shift + arrow keys", "resize the prompt"],
  [", · .", "turn the ellipse"],
  ["Enter", "set a prompt, or a click, in the middle or at the cross"],
  ["X", "clicks on the object or beside it"],
  ["Backspace · Escape", "remove the last click, or the prompt"],
  ["+ · − · 0 · Z", "zoom in, out, whole picture, prompt"],
  ["I · J · K · L", "move the picture"],
  ["N · Shift + N", "next or previous true object"],
  ["Page Up · Page Down", "previous or next picture of the data set"],
  ["P · O · T", "patches, masks, truth"],
  ["?", "this list"],
];

/** Listen to keys. `actions` has a function for each that is not a change of the prompt. */
export function listen(stage, actions) {
  byId("keys").querySelector("dl").replaceChildren(...LISTED.flatMap(([keys, what]) => [make("dt", {}, keys), make("dd", {}, what)]));
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const typing = target.closest("select, textarea, dialog") || target.matches("input:not([type=checkbox], [type=radio])");
    if (typing || event.ctrlKey || event.metaKey) return;
    if (event.altKey && !(event.key in ARROWS)) return;
    const onStage = target === stage.element || target === document.body;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if ((onStage && promptKey(stage, event, key)) || (!event.altKey && otherKey(stage, event, key, actions))) event.preventDefault();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === " ") stage.space = false;
    if (event.key in ARROWS && event.target === stage.element && hasExtent(state.drawn)) stage.prompted(false);
  });
}

function promptKey(stage, event, key) {
  if (!state.info) return false;
  const change = (drawn) => {
    state.drawn = drawn;
    stage.prompted(true);
    return true;
  };
  if (key in ARROWS) {
    const step = event.altKey ? 1 : Math.max(STEP / state.view.scale, 0.5);
    const [dx, dy] = ARROWS[key].map((sign) => sign * step);
    if (state.tool === "pan") return stage.pan(-ARROWS[key][0] * 10 * STEP, -ARROWS[key][1] * 10 * STEP) ?? true;
    if (state.tool === "clicks") {
      const [x, y] = stage.cursor ?? [state.view.x, state.view.y];
      stage.cursor = [x + dx, y + dy];
      stage.viewed();
      return true;
    }
    if (!state.drawn) return false;
    return change(event.shiftKey ? resized(state.drawn, dx, -dy) : moved(state.drawn, dx, dy));
  }
  if (key === "," || key === ".") return state.drawn?.ellipse ? change(rotated(state.drawn, key === "." ? DEGREES : -DEGREES)) : false;
  if (key === "Enter") {
    if (state.tool === "clicks") stage.click(stage.cursor ?? [state.view.x, state.view.y], !stage.negative);
    else if (state.tool !== "pan" && !state.drawn) {
      const [width, height] = stage.size.map((side) => (side * FIRST_SHARE) / 2 / state.view.scale);
      const reach = Math.min(width, height);
      state.drawn = spanning(state.tool, [state.view.x - reach, state.view.y - reach], [state.view.x + reach, state.view.y + reach]);
      stage.prompted(false);
    }
    return true;
  }
  if (key === "Backspace" && state.drawn?.clicks?.length > 1) {
    state.drawn = { kind: "clicks", clicks: state.drawn.clicks.slice(0, -1) };
    stage.prompted(false);
    return true;
  }
  if (key === "Backspace" || key === "Escape" || key === "Delete") {
    state.drawn = null;
    stage.prompted(false);
    return true;
  }
  if (key === " ") return (stage.space = true);
  return false;
}

function otherKey(stage, event, key, actions) {
  const tools = { b: "box", e: "ellipse", c: "clicks", h: "pan" };
  const shows = { p: "patches", o: "outlines", t: "truth" };
  const pans = { j: [60, 0], l: [-60, 0], i: [0, 60], k: [0, -60] };
  if (key in tools) actions.tool(tools[key]);
  else if (key in shows) actions.show(shows[key]);
  else if (key === "?") byId("keys").showModal();
  else if (key === "PageDown") actions.step(1);
  else if (key === "PageUp") actions.step(-1);
  else if (!state.info) return false;
  else if (key in pans) stage.pan(...pans[key]);
  else if (key === "+" || key === "=") stage.zoom(1.25);
  else if (key === "-") stage.zoom(0.8);
  else if (key === "0") stage.fit();
  else if (key === "z") stage.showPrompt();
  else if (key === "x") actions.negative();
  else if (key === "n") actions.object(event.shiftKey ? -1 : 1);
  else return false;
  return true;
}

