// Draws a view of the picture: tiles, truth, masks, patches.

import { PATCHES, TRUTH } from "./colours.js";

/** Return the map from px of the picture to px of the screen. */
export const mapper = (view, width, height) => (x, y) => [(x - view.x) * view.scale + width / 2, (y - view.y) * view.scale + height / 2];

/** Prepare a canvas for drawing at the resolution of the screen. Return context, width, height and screen px per CSS px. */
export function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height, ratio };
}

/** Return the outline of a mask of the server as a path in px of the picture. */
export function pathOf(mask) {
  const path = new Path2D();
  if (mask.path) path.addPath(new Path2D(mask.path), new DOMMatrix([mask.scale, 0, 0, mask.scale, mask.x, mask.y]));
  return path;
}

/** Draw a mask: its outline in a colour with a dark edge, and a tint inside. */
export function drawMask(context, path, colour, view, width, height, { tint = 0.3, line = 2.25, edge = "#000" } = {}) {
  const [x, y] = mapper(view, width, height)(0, 0);
  const shown = new Path2D();
  shown.addPath(path, new DOMMatrix([view.scale, 0, 0, view.scale, x, y]));
  context.lineJoin = "round";
  if (tint) {
    context.globalAlpha = tint;
    context.fillStyle = colour;
    context.fill(shown, "evenodd");
    context.globalAlpha = 1;
  }
  for (const [stroke, wide] of [[edge, line + 2], [colour, line]]) {
    context.strokeStyle = stroke;
    context.lineWidth = wide;
    context.stroke(shown);
  }
}

export const drawTruth = (context, path, view, width, height) => drawMask(context, path, TRUTH, view, width, height, { tint: 0, line: 1.75 });

/** Draw FLIP's patches, small ones on top. */
export function drawPatches(context, patches, view, width, height) {
  const at = mapper(view, width, height);
  context.lineWidth = 1;
  for (const size of Object.keys(patches).map(Number).sort((a, b) => b - a)) {
    const path = new Path2D();
    for (const [x0, y0, x1, y1] of patches[size]) {
      const [[left, top], [right, bottom]] = [at(x0, y0), at(x1, y1)];
      path.rect(left, top, Math.max(right - left, 1), Math.max(bottom - top, 1));
    }
    context.globalAlpha = 0.28;
    context.fillStyle = PATCHES[size];
    context.fill(path);
    context.globalAlpha = 0.9;
    context.strokeStyle = PATCHES[size];
    context.stroke(path);
  }
  context.globalAlpha = 1;
}
