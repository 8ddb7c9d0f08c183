"use strict";
// Sortable tables, zoomable figures, and helpers of the other scripts.

/** Make an element with attributes (functions become listeners) and children. Strings become text nodes, not markup. */
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "rect", "circle"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const byId = (id) => document.getElementById(id);

// ---- tables

/** Return the heading of each column. Headings may span rows and columns. */
function headings(table) {
  const columns = [];
  const taken = [];
  [...table.tHead.rows].forEach((row, r) => {
    let at = 0;
    for (const cell of row.cells) {
      while (taken[r]?.[at]) at += 1;
      for (let down = 0; down < cell.rowSpan; down += 1) {
        for (let right = 0; right < cell.colSpan; right += 1) (taken[r + down] ??= [])[at + right] = true;
      }
      if (cell.scope !== "colgroup") columns[at] = cell;
      at += cell.colSpan;
    }
  });
  return columns;
}

/** Return the number at the start of a cell (with k, M, G), else its text, null for a dash. Details are ignored. */
function value(cell) {
  const parts = [...cell.childNodes].filter((node) => !node.classList?.contains("detail"));
  const text = parts.map((node) => node.textContent).join("").trim();
  const found = /^[[<>≈]?\s*([+−-]?)(\d[\d,]*\.?\d*)(?:×10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+))?\s*([MGk])?(?![\w-])/u.exec(text);
  if (!found) return /^[—–-]?$/u.test(text) ? null : text.toLowerCase();
  const power = [...(found[3] ?? "⁰")].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻".indexOf(digit)).map((d) => (d > 9 ? "-" : d)).join("");
  const unit = { k: 1e3, M: 1e6, G: 1e9 }[found[4]] ?? 1;
  return (found[1] && found[1] !== "+" ? -1 : 1) * Number(found[2].replaceAll(",", "")) * 10 ** Number(power) * unit;
}

/** Sort the body of a table by a column. Dashes come last in both directions; the row that counts objects stays at the bottom. */
function sortRows(table, column, descending) {
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, fixed: row.dataset.row === "objects", key: value(row.cells[column]) }));
  const compare = (a, b) => {
    if (a.fixed !== b.fixed) return a.fixed ? 1 : -1;
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
    const order = typeof a.key === "number" && typeof b.key === "number" ? a.key - b.key : String(a.key).localeCompare(String(b.key));
    return descending ? -order : order;
  };
  table.tBodies[0].append(...rows.sort(compare).map(({ row }) => row));
}

for (const table of document.querySelectorAll("table")) {
  const columns = headings(table);
  columns.forEach((heading, index) => {
    const button = make("button", { type: "button", class: "sort", title: "Sort by this column" }, ...heading.childNodes);
    button.addEventListener("click", () => {
      const now = heading.getAttribute("aria-sort");
      const descending = now ? now === "ascending" : index > 0; // numbers: highest first
      for (const other of columns) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sortRows(table, index, descending);
    });
    heading.append(button);
  });
}

// ---- figures

const lightbox = byId("lightbox");
const stage = lightbox.querySelector(".stage");
const picture = stage.querySelector("img");
const sight = { scale: 1, x: 0, y: 0, width: 0, height: 0 };

function draw() {
  picture.style.width = `${sight.width * sight.scale}px`;
  picture.style.left = `${sight.x}px`;
  picture.style.top = `${sight.y}px`;
  lightbox.querySelector("output").textContent = `${Math.round(100 * sight.scale)} %`;
}

/** Fit the figure into the stage. */
function fit() {
  const ratio = picture.naturalWidth / picture.naturalHeight || 1.5;
  sight.width = Math.min(stage.clientWidth - 32, (stage.clientHeight - 32) * ratio);
  sight.height = sight.width / ratio;
  Object.assign(sight, { scale: 1, x: (stage.clientWidth - sight.width) / 2, y: (stage.clientHeight - sight.height) / 2 });
  draw();
}

/** Zoom by a factor around the point (x, y) of the stage. */
function zoom(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
  const scale = Math.min(16, Math.max(0.5, sight.scale * factor));
  sight.x = x - ((x - sight.x) * scale) / sight.scale;
  sight.y = y - ((y - sight.y) * scale) / sight.scale;
  sight.scale = scale;
  draw();
}

function pan(dx, dy) {
  sight.x += dx;
  sight.y += dy;
  draw();
}

for (const link of document.querySelectorAll("a.plot")) {
  link.setAttribute("aria-haspopup", "dialog");
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // open the file in a new tab
    event.preventDefault();
    const figure = link.closest("figure");
    lightbox.querySelector("h2").textContent = figure.querySelector(".title").textContent;
    picture.alt = link.querySelector("img").alt;
    picture.src = link.href;
    lightbox.showModal();
    if (picture.complete) fit();
  });
}
picture.addEventListener("load", fit);
window.addEventListener("resize", () => lightbox.open && fit());
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const { left, top } = stage.getBoundingClientRect();
  zoom(1.0015 ** -event.deltaY, event.clientX - left, event.clientY - top);
}, { passive: false });
stage.addEventListener("pointerdown", (event) => stage.setPointerCapture(event.pointerId));
stage.addEventListener("pointermove", (event) => stage.hasPointerCapture(event.pointerId) && pan(event.movementX, event.movementY));
const keys = {
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: fit,
  ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0), ArrowUp: () => pan(0, 60), ArrowDown: () => pan(0, -60),
};
lightbox.addEventListener("keydown", (event) => {
  if (!(event.key in keys) || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  keys[event.key]();
});
for (const button of lightbox.querySelectorAll("[data-key]")) button.addEventListener("click", () => keys[button.dataset.key]());
for (const button of document.querySelectorAll("dialog .close")) button.addEventListener("click", () => button.closest("dialog").close());
