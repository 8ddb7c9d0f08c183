// Tiles of pictures: loading, keeping, drawing.

import { query, tileAddress } from "./api.js";

const MAX_TILES = 256; // a tile takes 1 MB
const MAX_LOADING = 6;
const PIXELS_FROM = 2; // screen px per px from which on pixels are squares

export class Tiles {
  /** `changed` is called when a tile has arrived. */
  constructor(side, changed) {
    this.side = side;
    this.changed = changed;
    this.kept = new Map(); // address → image
    this.wanted = [];
    this.loading = new Set();
  }

  /** Forget which tiles are wanted, before everything is drawn again. */
  begin() {
    this.wanted = [];
  }

  /** Draw the part of a picture that a view shows. Return whether all its tiles are there. */
  draw(context, info, changes, view, width, height, ratio) {
    const finest = Math.min(Math.max(Math.floor(Math.log2(1 / (view.scale * ratio)) + 0.25), 0), info.levels - 1);
    context.imageSmoothingEnabled = view.scale * ratio < PIXELS_FROM;
    context.imageSmoothingQuality = "medium";
    let complete = true;
    for (let level = info.levels - 1; level >= finest; level -= 1) {
      const isEdge = level === info.levels - 1 || level === finest;
      const [unitX, unitY] = [info.width, info.height].map((side) => side / Math.ceil(side / 2 ** level)); // px per px of the level
      const [stepX, stepY] = [this.side * unitX, this.side * unitY];
      const [left, top] = [view.x - width / 2 / view.scale, view.y - height / 2 / view.scale];
      const [right, bottom] = [left + width / view.scale, top + height / view.scale];
      const columns = [Math.max(Math.floor(left / stepX), 0), Math.min(Math.ceil(right / stepX), Math.ceil(info.width / stepX - 1e-6))];
      const rows = [Math.max(Math.floor(top / stepY), 0), Math.min(Math.ceil(bottom / stepY), Math.ceil(info.height / stepY - 1e-6))];
      for (let row = rows[0]; row < rows[1]; row += 1) {
        for (let column = columns[0]; column < columns[1]; column += 1) {
          const image = this.tile(tileAddress(info.id, changes, level, column, row), isEdge);
          if (!image) {
            complete &&= !isEdge;
            continue;
          }
          const at = (x, y) => [(x - view.x) * view.scale + width / 2, (y - view.y) * view.scale + height / 2];
          const [x0, y0] = at(column * stepX, row * stepY);
          const [x1, y1] = at(column * stepX + image.naturalWidth * unitX, row * stepY + image.naturalHeight * unitY);
          context.drawImage(image, x0, y0, x1 - x0, y1 - y0);
        }
      }
    }
    return complete;
  }

  /** Return a tile that is there, and want it if it is not and `needed`. */
  tile(address, needed) {
    const image = this.kept.get(address);
    if (image) {
      this.kept.delete(address);
      this.kept.set(address, image); // the last one used
    } else if (needed && !this.loading.has(address)) this.wanted.push(address);
    return image;
  }

  /** Return whether the coarsest tile of a picture is there. */
  has(info, changes) {
    return this.kept.has(tileAddress(info.id, changes, info.levels - 1, 0, 0));
  }

  /** Load the tiles that were wanted since `begin`. */
  load() {
    while (this.wanted.length && this.loading.size < MAX_LOADING) {
      const address = this.wanted.shift();
      if (this.loading.has(address)) continue;
      this.loading.add(address);
      const image = new Image();
      image.src = address;
      const done = (there) => {
        this.loading.delete(address);
        if (there) {
          this.kept.set(address, image);
          while (this.kept.size > MAX_TILES) this.kept.delete(this.kept.keys().next().value);
          this.changed();
        }
        this.load();
      };
      image.decode().then(() => done(true), () => done(false));
    }
  }
}

export const sameChanges = (one, other) => query(one) === query(other);
