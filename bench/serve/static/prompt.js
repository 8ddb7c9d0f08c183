// Geometry of prompts: boxes, ellipses and clicks, in px of the picture.

const HANDLE = 6; // screen px
const REACH = 12; // screen px around a handle
const ROTATOR = 26; // screen px beyond the ellipse
const MIN_SIDE = 0.5; // px
const RADIANS = Math.PI / 180;

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Return [x0, y0, x1, y1] around a prompt, null for none. */
export function boxOf(drawn) {
  if (!drawn) return null;
  if (drawn.box) return drawn.box;
  if (drawn.ellipse) {
    const [x, y, a, b, degrees] = drawn.ellipse;
    const [c, s] = [Math.cos(degrees * RADIANS), Math.sin(degrees * RADIANS)];
    const [dx, dy] = [Math.hypot(a * c, b * s), Math.hypot(a * s, b * c)];
    return [x - dx, y - dy, x + dx, y + dy];
  }
  const [xs, ys] = [drawn.clicks.map(([x]) => x), drawn.clicks.map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** Return a box or an ellipse that spans from one corner to another. */
export function spanning(kind, [ax, ay], [bx, by]) {
  const box = [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
  return converted({ kind: "box", box }, kind);
}

/** Return a prompt as a box or an ellipse; the ellipse lies in the box, the box around the ellipse. */
export function converted(drawn, kind) {
  if (!drawn || drawn.kind === kind) return drawn;
  const [x0, y0, x1, y1] = boxOf(drawn);
  if (drawn.kind === "clicks" || kind === "clicks") return null;
  if (kind === "box") return { kind, box: [x0, y0, x1, y1] };
  return { kind, ellipse: [(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2, 0] };
}

export function hasExtent(drawn) {
  if (!drawn) return false;
  const [x0, y0, x1, y1] = boxOf(drawn);
  return drawn.kind === "clicks" || (x1 - x0 >= MIN_SIDE && y1 - y0 >= MIN_SIDE);
}

export function moved(drawn, dx, dy) {
  if (drawn.box) return { ...drawn, box: drawn.box.map((edge, i) => edge + (i % 2 ? dy : dx)) };
  if (drawn.ellipse) return { ...drawn, ellipse: [drawn.ellipse[0] + dx, drawn.ellipse[1] + dy, ...drawn.ellipse.slice(2)] };
  const last = drawn.clicks.length - 1;
  return { ...drawn, clicks: drawn.clicks.map(([x, y, on], i) => (i === last ? [x + dx, y + dy, on] : [x, y, on])) };
}

/** Make a box wider and taller at both sides, or the axes of an ellipse longer. */
export function resized(drawn, dx, dy) {
  if (drawn.box) {
    const [x0, y0, x1, y1] = drawn.box;
    const [mx, my] = [(x0 + x1) / 2, (y0 + y1) / 2];
    const [hx, hy] = [Math.max((x1 - x0) / 2 + dx, MIN_SIDE), Math.max((y1 - y0) / 2 + dy, MIN_SIDE)];
    return { ...drawn, box: [mx - hx, my - hy, mx + hx, my + hy] };
  }
  if (!drawn.ellipse) return drawn;
  const [x, y, a, b, degrees] = drawn.ellipse;
  return { ...drawn, ellipse: [x, y, Math.max(a + dx, MIN_SIDE), Math.max(b + dy, MIN_SIDE), degrees] };
}

export function rotated(drawn, by) {
  if (!drawn.ellipse) return drawn;
  const [x, y, a, b, degrees] = drawn.ellipse;
  return { ...drawn, ellipse: [x, y, a, b, ((degrees + by + 270) % 180) - 90] };
}

/** Return a prompt after the map x ↦ middle + (x − middle) · factor. */
export function scaled(drawn, [mx, my], factor) {
  const [at, to] = [(x) => mx + (x - mx) * factor, (y) => my + (y - my) * factor];
  if (!drawn) return null;
  if (drawn.box) return { ...drawn, box: drawn.box.map((edge, i) => (i % 2 ? to(edge) : at(edge))) };
  if (drawn.clicks) return { ...drawn, clicks: drawn.clicks.map(([x, y, on]) => [at(x), to(y), on]) };
  const [x, y, a, b, degrees] = drawn.ellipse;
  return { ...drawn, ellipse: [at(x), to(y), a * factor, b * factor, degrees] };
}

/** Return the handles of a prompt: name and position, px. `scale` is screen px per px. */
export function handles(drawn, scale) {
  if (drawn?.box) {
    const [x0, y0, x1, y1] = drawn.box;
    const [xs, ys] = [[x0, (x0 + x1) / 2, x1], [y0, (y0 + y1) / 2, y1]];
    return [0, 1, 2].flatMap((i) => [0, 1, 2].filter((j) => i !== 1 || j !== 1).map((j) => ({ name: `edge${i}${j}`, x: xs[i], y: ys[j] })));
  }
  if (drawn?.ellipse) {
    const [x, y, a, b, degrees] = drawn.ellipse;
    const [c, s] = [Math.cos(degrees * RADIANS), Math.sin(degrees * RADIANS)];
    const at = (name, u, v) => ({ name, x: x + u * c - v * s, y: y + u * s + v * c });
    return [at("axis0", a, 0), at("axis0", -a, 0), at("axis1", 0, b), at("axis1", 0, -b), at("turn", a + ROTATOR / scale, 0), { name: "middle", x, y }];
  }
  return (drawn?.clicks ?? []).map(([x, y], i) => ({ name: `click${i}`, x, y }));
}

/** Return the name of the handle at a point, "inside" for the inside of a prompt, else null. */
export function hit(drawn, [x, y], scale) {
  const distances = handles(drawn, scale).map((handle) => [Math.hypot(handle.x - x, handle.y - y) * scale, handle.name]);
  const [distance, name] = distances.reduce((best, each) => (each[0] < best[0] ? each : best), [Infinity, null]);
  const extent = boxOf(drawn) ?? [0, 0, 0, 0];
  const small = Math.min(extent[2] - extent[0], extent[3] - extent[1]) * scale;
  const inside = drawn && drawn.kind !== "clicks" && isInside(drawn, x, y);
  if (distance <= REACH && !(inside && small < 4 * HANDLE)) return name;
  return inside ? "inside" : null;
}

function isInside(drawn, x, y) {
  if (drawn.box) return x >= drawn.box[0] && x <= drawn.box[2] && y >= drawn.box[1] && y <= drawn.box[3];
  const [mx, my, a, b, degrees] = drawn.ellipse;
  const [c, s] = [Math.cos(degrees * RADIANS), Math.sin(degrees * RADIANS)];
  return Math.hypot(((x - mx) * c + (y - my) * s) / a, ((y - my) * c - (x - mx) * s) / b) <= 1;
}

/** Return the prompt after its handle was dragged from one point to another. */
export function dragged(drawn, name, [fx, fy], [x, y]) {
  const [dx, dy] = [x - fx, y - fy];
  if (name === "inside" || name === "middle") return moved(drawn, dx, dy);
  if (name.startsWith("click")) {
    const number = Number(name.slice(5));
    return { ...drawn, clicks: drawn.clicks.map(([cx, cy, on], i) => (i === number ? [cx + dx, cy + dy, on] : [cx, cy, on])) };
  }
  if (name.startsWith("edge")) {
    const box = [...drawn.box];
    const [i, j] = [Number(name[4]), Number(name[5])];
    if (i !== 1) box[i] += dx; // 0 and 2 are the left and right edge
    if (j !== 1) box[j + 1] += dy;
    return spanning("box", [box[0], box[1]], [box[2], box[3]]);
  }
  const [mx, my, a, b, degrees] = drawn.ellipse;
  if (name === "turn") return { ...drawn, ellipse: [mx, my, a, b, Math.atan2(y - my, x - mx) / RADIANS] };
  const length = Math.max(Math.hypot(x - mx, y - my), MIN_SIDE);
  return { ...drawn, ellipse: name === "axis0" ? [mx, my, length, b, degrees] : [mx, my, a, length, degrees] };
}

/** Draw a prompt with its handles. `at` maps px of the picture to px of the screen. */
export function drawPrompt(context, drawn, at, scale, active) {
  if (!drawn) return;
  const path = new Path2D();
  if (drawn.box) {
    const [[x0, y0], [x1, y1]] = [at(drawn.box[0], drawn.box[1]), at(drawn.box[2], drawn.box[3])];
    path.rect(x0, y0, x1 - x0, y1 - y0);
  } else if (drawn.ellipse) {
    const [x, y, a, b, degrees] = drawn.ellipse;
    const [sx, sy] = at(x, y);
    path.ellipse(sx, sy, a * scale, b * scale, degrees * RADIANS, 0, 2 * Math.PI);
    if (active) {
      const turn = handles(drawn, scale).find(({ name }) => name === "turn");
      path.moveTo(...at(x + a * Math.cos(degrees * RADIANS), y + a * Math.sin(degrees * RADIANS)));
      path.lineTo(...at(turn.x, turn.y));
    }
  }
  context.setLineDash([]);
  for (const [colour, width, dash] of [["#000", 3.5, []], ["#fff", 1.75, [6, 4]]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.stroke(path);
  }
  context.setLineDash([]);
  for (const [x, y, on] of drawn.clicks ?? []) drawClick(context, at(x, y), on);
  if (!active || drawn.clicks) return;
  for (const { name, x, y } of handles(drawn, scale)) {
    const [sx, sy] = at(x, y);
    const side = name === "middle" ? HANDLE * 0.6 : HANDLE;
    context.beginPath();
    if (name.startsWith("edge")) context.rect(sx - side * 0.8, sy - side * 0.8, side * 1.6, side * 1.6);
    else context.arc(sx, sy, side, 0, 2 * Math.PI);
    context.fillStyle = name === "turn" ? "#f0e442" : "#fff";
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = "#000";
    context.stroke();
  }
}

/** Draw a click: a plus on the object, a minus beside it. */
function drawClick(context, [x, y], on) {
  context.beginPath();
  context.arc(x, y, 9, 0, 2 * Math.PI);
  context.fillStyle = on ? "#009e73" : "#d55e00";
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = "#fff";
  context.stroke();
  context.beginPath();
  context.moveTo(x - 5, y);
  context.lineTo(x + 5, y);
  if (on) {
    context.moveTo(x, y - 5);
    context.lineTo(x, y + 5);
  }
  context.stroke();
}

