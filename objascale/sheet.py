"""Contact sheets: for each object its whole picture, with the object marked, beside the magnified object.

If one of the two squares is almost black, the object has a second cell with brightened squares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from objascale.dataset import DatasetError, mask_of
from objascale.exposure import is_dark, stretched
from objascale.masks import RegionMask

COLUMNS, ROWS = 4, 6
"""Objects on a page."""

# Choices, px of the sheet.
_SQUARE_SIDE = 240  # of each of the two squares of a cell
_SQUARE_GAP = 6
_CELL_MARGIN = 28
_CAPTION_HEIGHT = 44
_CELL_WIDTH, _CELL_HEIGHT = 2 * _SQUARE_SIDE + _SQUARE_GAP, _SQUARE_SIDE + _CAPTION_HEIGHT
_MIN_MARKER_SIDE = 18
_MIN_WINDOW_SIDE = 16  # px of the picture; a smaller window would show no surroundings of a tiny object
_BACKGROUND, _TEXT, _PALE_TEXT, _HIGHLIGHT = (250, 250, 248), (35, 35, 38), (125, 125, 130), (255, 176, 0)


def pages(folder: Path, rows: Sequence[dict[str, Any]]) -> Iterator[Image.Image]:
    """Draw sheets of annotation rows.

    A page has COLUMNS × ROWS objects. A dark object takes two cells, so a page of dark objects is taller.

    Args:
        folder: The dataset.
        rows: Rows of its annotations, sorted by image.

    Raises:
        DatasetError: An image cannot be read.
    """
    for first in range(0, len(rows), COLUMNS * ROWS):
        cells = []
        for file, group in groupby(rows[first : first + COLUMNS * ROWS], key=lambda row: row["file"]):
            picture = read_picture(folder / file)
            cells += [cell for row in group for cell in draw_cells(picture, row)]
        step_x, step_y = _CELL_WIDTH + _CELL_MARGIN, _CELL_HEIGHT + _CELL_MARGIN
        width, height = min(len(cells), COLUMNS) * step_x, -(-len(cells) // COLUMNS) * step_y
        page = Image.new("RGB", (width + _CELL_MARGIN, height + _CELL_MARGIN), _BACKGROUND)
        for number, cell in enumerate(cells):
            row, column = divmod(number, COLUMNS)
            page.paste(cell, (_CELL_MARGIN + column * step_x, _CELL_MARGIN + row * step_y))
        yield page


def page_paths(out: Path, count: int) -> list[Path]:
    """Return the file of each page: `out` for one page, else numbered as sheet-1.png, sheet-2.png.

    Args:
        out: The file.
        count: Number of objects.
    """
    pages = -(-count // (COLUMNS * ROWS))
    if pages <= 1:
        return [out]
    digits = len(str(pages))
    return [out.with_name(f"{out.stem}-{number:0{digits}d}{out.suffix}") for number in range(1, pages + 1)]


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8 RGB. Raises DatasetError if the file is missing or not an image."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.exists() else None
    if picture is None:
        raise DatasetError(f"{path} is missing or damaged; objascale verify lists all damaged files")
    return np.asarray(picture, np.uint8)


def draw_cells(picture: NDArray[np.uint8], row: dict[str, Any]) -> list[Image.Image]:
    """Draw one object: its cell and, if one of its two squares is almost black, a brightened cell.

    Args:
        picture: The whole picture, (H, W, 3) uint8 RGB.
        row: The object's row of the annotations.

    Returns:
        One or two cells without a margin, each of two squares and two lines of caption.
    """
    mask = mask_of(row)
    scale = _SQUARE_SIDE / max(mask.width, mask.height)
    small = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    left, top, side = window_around(mask)
    window = picture[top : top + side, left : left + side]
    title = row["category"].replace("_", " ")
    cells = [_cell(small, window, mask, row, title)]
    if is_dark(small) or is_dark(window):
        cells.append(_cell(stretched(small), stretched(window), mask, row, f"{title}, brightened"))
    return cells


def _cell(
    small: NDArray[np.uint8], window: NDArray[np.uint8], mask: RegionMask, row: dict[str, Any], title: str
) -> Image.Image:
    """Draw one cell: the picture at the size of a square, the window around the object, and the caption."""
    cell = Image.new("RGB", (_CELL_WIDTH, _CELL_HEIGHT), _BACKGROUND)
    cell.paste(_overview(small, mask), (0, 0))
    cell.paste(_magnified(window, mask), (_SQUARE_SIDE + _SQUARE_GAP, 0))
    draw = ImageDraw.Draw(cell)
    side = f"{mask.width} px" if mask.width == mask.height else f"{mask.width} by {mask.height} px"
    draw.text((0, _SQUARE_SIDE + 6), title, _TEXT, ImageFont.load_default(15))
    draw.text((_CELL_WIDTH, _SQUARE_SIDE + 6), f"{mask.area:,} px", _TEXT, ImageFont.load_default(15), anchor="ra")
    name = f"{Path(row['file']).stem} · object {row['object_id']} · {side}"
    draw.text((0, _SQUARE_SIDE + 26), name, _PALE_TEXT, ImageFont.load_default(12))
    hidden = f"{row['visible']:.0%} visible · " if row["visible"] < 0.995 else ""
    share = f"{hidden}{mask.fraction:.1e} of the picture"
    draw.text((_CELL_WIDTH, _SQUARE_SIDE + 26), share, _PALE_TEXT, ImageFont.load_default(12), anchor="ra")
    return cell


def window_around(mask: RegionMask) -> tuple[int, int, int]:
    """Return left, top and side, px, of a square around an object. It is 1.6 times as long as the object.

    The square lies inside the picture if the picture is large enough.
    """
    x0, y0, x1, y1 = mask.box or (0, 0, mask.width, mask.height)
    side = min(max(_MIN_WINDOW_SIDE, round(1.6 * max(x1 - x0, y1 - y0))), max(mask.width, mask.height))
    left = min(max((x0 + x1 - side) // 2, 0), max(mask.width - side, 0))
    top = min(max((y0 + y1 - side) // 2, 0), max(mask.height - side, 0))
    return left, top, side


def _overview(small: NDArray[np.uint8], mask: RegionMask) -> Image.Image:
    """Draw the whole picture at the size of a square, with four corners around the object."""
    scale = _SQUARE_SIDE / max(mask.width, mask.height)
    image = Image.new("RGB", (_SQUARE_SIDE, _SQUARE_SIDE), _BACKGROUND)
    image.paste(Image.fromarray(small), (0, 0))
    x0, y0, x1, y1 = (edge * scale for edge in mask.box or (0, 0, 0, 0))
    grow_x, grow_y = (max(5, (_MIN_MARKER_SIDE - size) / 2) for size in (x1 - x0, y1 - y0))
    box = (x0 - grow_x, y0 - grow_y, x1 + grow_x, y1 + grow_y)
    draw = ImageDraw.Draw(image)
    for colour, width in (((0, 0, 0), 4), (_HIGHLIGHT, 2)):
        _corners(draw, box, colour, width)
    return image


def _corners(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], colour: tuple[int, int, int], width: int
) -> None:
    x0, y0, x1, y1 = box
    arm = min(10.0, 0.35 * min(x1 - x0, y1 - y0))
    for x, inwards_x in ((x0, arm), (x1, -arm)):
        for y, inwards_y in ((y0, arm), (y1, -arm)):
            draw.line([(x + inwards_x, y), (x, y), (x, y + inwards_y)], colour, width, joint="curve")


def _magnified(window: NDArray[np.uint8], mask: RegionMask) -> Image.Image:
    """Draw the object's window at the size of a square, with an outline around the mask."""
    left, top, side = window_around(mask)
    method = cv2.INTER_NEAREST if side < _SQUARE_SIDE else cv2.INTER_AREA
    shown = np.asarray(cv2.resize(window, (_SQUARE_SIDE, _SQUARE_SIDE), interpolation=method), np.uint8).copy()
    inside = mask.window((left, top, left + side, top + side)).astype(np.uint8)
    inside = np.asarray(cv2.resize(inside, (_SQUARE_SIDE, _SQUARE_SIDE), interpolation=cv2.INTER_NEAREST), np.uint8)
    outline = cv2.dilate(inside, np.ones((3, 3), np.uint8)) > inside
    shown[outline] = _HIGHLIGHT
    return Image.fromarray(shown)
