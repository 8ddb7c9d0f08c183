// The dials that change the picture.

import { byId, make } from "./dom.js";
import { DIALS, state } from "./state.js";

const DELAY_MS = 120; // after the last movement of a slider

/** Make the sliders. `changed(before)` is called with the changes before when they have changed. */
export function makeDials(changed) {
  let timer = null;
  const sliders = DIALS.map((dial) => {
    const id = `dial-${dial.name}`;
    const output = make("output", { for: id });
    const input = make("input", { id, type: "range", min: position(dial, dial.low), max: position(dial, dial.high), step: dial.log ? "any" : dial.step, input: () => {
      show(dial, input, output, valueOf(dial, input));
      clearTimeout(timer);
      timer = setTimeout(apply, DELAY_MS);
    } });
    return { dial, input, output, row: make("div", { class: "dial" }, make("label", { for: id }, dial.label), input, output) };
  });

  function apply() {
    timer = null;
    const before = state.changes;
    const next = {};
    for (const { dial, input } of sliders) {
      const value = valueOf(dial, input);
      if (value !== dial.none) next[dial.name] = value;
    }
    state.changes = next;
    byId("reset").disabled = !Object.keys(next).length;
    changed(before);
  }

  /** Set the sliders to the changes of the state. */
  function refresh() {
    for (const { dial, input, output } of sliders) {
      const value = state.changes[dial.name] ?? dial.none;
      input.value = position(dial, value);
      show(dial, input, output, value);
    }
    byId("reset").disabled = !Object.keys(state.changes).length;
  }

  byId("dials").replaceChildren(...sliders.map(({ row }) => row));
  byId("meaning").textContent = DIALS[0].meaning;
  byId("reset").addEventListener("click", () => {
    const before = state.changes;
    state.changes = {};
    refresh();
    changed(before);
  });
  refresh();
  return refresh;
}

const position = (dial, value) => (dial.log ? Math.log2(value) : value);

function valueOf(dial, input) {
  const value = dial.log ? 2 ** Number(input.value) : Number(input.value);
  const rounded = Math.round(value / dial.step) * dial.step;
  return Math.min(Math.max(Number(rounded.toFixed(2)), dial.low), dial.high);
}

function show(dial, input, output, value) {
  const text = `${dial.low < 0 && value > 0 ? "+" : ""}${value}${dial.unit ?? ""}`;
  output.textContent = dial.log ? `${value}${dial.unit}` : text;
  input.setAttribute("aria-valuetext", output.textContent);
  output.classList.toggle("on", value !== dial.none);
}
