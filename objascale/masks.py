"""Binary masks, stored as a small array, its position, and the size of the whole frame.

Pixel (column c, row r) covers [c, c+1) × [r, r+1), and its centre is (c+½, r+½). Boxes are xyxy pixel edges: the box of
a one-pixel mask at (3, 5) is (3, 5, 4, 6). Only `RegionMask.full` allocates the full frame. The cost of all other
operations depends on the size of the object, not of the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Box = tuple[int, int, int, int]
_MAX_CHARACTERS = 8  # of a number in COCO's RLE: 2^39 pixels


class MaskError(ValueError):
    """A mask does not match its size or encoding."""


@dataclass(frozen=True, eq=False)
class RegionMask:
    """A binary mask: `data` (h×w bool) with its upper left pixel at column `x`, row `y` of a `width`×`height` frame.

    Everything outside `data` is background. Raises MaskError if the region leaves the frame.
    """

    x: int
    y: int
    data: NDArray[np.bool_]
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.data.ndim != 2 or self.data.dtype != np.bool_:
            raise MaskError(f"mask data must be a 2-D boolean array, not {self.data.dtype} {self.data.shape}")
        h, w = self.data.shape
        if self.x < 0 or self.y < 0 or self.x + w > self.width or self.y + h > self.height:
            raise MaskError(f"mask region {w}×{h} at ({self.x}, {self.y}) leaves its {self.width}×{self.height} frame")

    @classmethod
    def empty(cls, width: int, height: int) -> RegionMask:
        """Return a mask without object pixels."""
        return cls(0, 0, np.zeros((0, 0), bool), width, height)

    @classmethod
    def from_full(cls, mask: NDArray[Any]) -> RegionMask:
        """Make a mask from a full-frame H×W array. Non-zero values are object. `data` is a copy of the tight box."""
        height, width = mask.shape
        x0, y0, x1, y1 = _tight_box(mask) or (0, 0, 0, 0)
        return cls(x0, y0, mask[y0:y1, x0:x1] != 0, width, height)

    @classmethod
    def from_rle(cls, rle: dict[str, Any]) -> RegionMask:
        """Decode COCO RLE.

        Args:
            rle: `{"size": [height, width], "counts": compressed str or bytes, or list of runs}`.

        Raises:
            MaskError: The runs do not fill the frame exactly.
        """
        height, width = (int(v) for v in rle["size"])
        counts = rle["counts"]
        runs = np.array(counts, np.int64) if isinstance(counts, list) else _decode_counts(counts)
        if (runs < 0).any() or runs.sum() != height * width:
            raise MaskError(f"RLE runs cover {runs.sum()} pixels, the mask has {width}×{height}")
        ends = np.cumsum(runs)
        starts, lengths = ends[:-1:2], runs[1::2]
        starts, lengths = starts[lengths > 0], lengths[lengths > 0]
        if len(starts) == 0:
            return cls.empty(width, height)
        lasts = starts + lengths - 1
        x0, x1 = int(starts[0] // height), int(lasts[-1] // height) + 1
        one_column = starts // height == lasts // height
        y0 = int(np.where(one_column, starts % height, 0).min())
        y1 = int(np.where(one_column, lasts % height, height - 1).max()) + 1
        columns = np.zeros((x1 - x0, height), bool) if not one_column.all() else None
        if columns is not None:  # a run continues in the next column, so the mask has the full height
            flat = columns.reshape(-1)
            for start, length in zip(starts - x0 * height, lengths, strict=True):
                flat[start : start + length] = True
            return cls(x0, y0, _transposed(columns[:, y0:y1]), width, height)
        data = np.zeros((x1 - x0, y1 - y0), bool)
        for column, start, length in zip(starts // height - x0, starts % height - y0, lengths, strict=True):
            data[column, start : start + length] = True
        return cls(x0, y0, _transposed(data), width, height)

    def rle(self) -> dict[str, Any]:
        """Encode as COCO RLE with compressed ASCII counts: `{"size": [height, width], "counts": str}`."""
        h, w = self.data.shape
        changes = np.zeros((h + 1, w), bool)  # between a pixel and the one above it
        changes[:h] = self.data
        changes[1:] ^= self.data
        rows, columns = np.divmod(np.flatnonzero(changes), max(w, 1))
        positions = np.sort((columns + self.x) * self.height + rows + self.y)
        bounds = np.concatenate(([0], positions, [self.width * self.height]))
        runs = np.diff(bounds)
        joined = np.flatnonzero(runs[1:-1] == 0) + 1  # empty runs between object pixels of two columns
        if len(joined):
            runs = np.diff(np.delete(bounds, np.concatenate((joined, joined + 1))))
        if len(runs) > 1 and runs[-1] == 0:
            runs = runs[:-1]
        return {"size": [self.height, self.width], "counts": _encode_counts(runs)}

    def full(self) -> NDArray[np.bool_]:
        """Return the whole H×W boolean frame (64 MB at 8192²)."""
        frame = np.zeros((self.height, self.width), bool)
        h, w = self.data.shape
        frame[self.y : self.y + h, self.x : self.x + w] = self.data
        return frame

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the whole H×W frame, as `full` does, so that NumPy functions take the mask."""
        if copy is False:
            raise ValueError("a RegionMask stores a part of its frame, so np.asarray has to make a new array")
        frame = self.full()
        return frame if dtype is None else frame.astype(dtype)

    def tight(self) -> RegionMask:
        """Return the same mask with `data` cut to the tight box."""
        box = _tight_box(self.data)
        if box is None:
            return RegionMask.empty(self.width, self.height)
        x0, y0, x1, y1 = box
        return RegionMask(self.x + x0, self.y + y0, self.data[y0:y1, x0:x1], self.width, self.height)

    def window(self, box: Box) -> NDArray[np.bool_]:
        """Return the mask inside a box as a bool array of its size. The box, xyxy edges, may leave the frame."""
        bx0, by0, bx1, by1 = box
        out = np.zeros((max(by1 - by0, 0), max(bx1 - bx0, 0)), bool)
        h, w = self.data.shape
        x0, y0, x1, y1 = max(bx0, self.x), max(by0, self.y), min(bx1, self.x + w), min(by1, self.y + h)
        if x0 < x1 and y0 < y1:
            out[y0 - by0 : y1 - by0, x0 - bx0 : x1 - bx0] = self.data[
                y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x
            ]
        return out

    def without(self, other: RegionMask) -> RegionMask:
        """Return the pixels of this mask that are not in another mask of the same frame."""
        h, w = self.data.shape
        covered = other.window((self.x, self.y, self.x + w, self.y + h))
        return RegionMask(self.x, self.y, self.data & ~covered, self.width, self.height)

    @cached_property
    def area(self) -> int:
        """Number of object pixels."""
        return int(np.count_nonzero(self.data))

    @property
    def fraction(self) -> float:
        """Object pixels over all pixels of the frame."""
        return self.area / (self.width * self.height)

    @cached_property
    def box(self) -> Box | None:
        """Tight box as xyxy pixel edges, None for an empty mask."""
        tight = self.tight()
        h, w = tight.data.shape
        return (tight.x, tight.y, tight.x + w, tight.y + h) if h else None

    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the moments of the area that the mask covers.

        Pixels are unit squares, so each variance includes 1/12: a mask of one pixel has σ = 0.289 px.

        Returns:
            Mean (x, y) in px, and 2×2 covariance in px².

        Raises:
            MaskError: The mask is empty.
        """
        if self.area == 0:
            raise MaskError("an empty mask has no moments")
        import cv2  # here, so that `import flip` needs no OpenCV

        sums = cv2.moments(self.data.view(np.uint8), binaryImage=True)  # sums of integers, so exact
        n, x, y, xx, xy, yy = (round(sums[name]) for name in ("m00", "m10", "m01", "m20", "m11", "m02"))
        vxx, vxy, vyy = ((n * both - one * other) / n**2 for both, one, other in ((xx, x, x), (xy, x, y), (yy, y, y)))
        covariance = np.array(((vxx, vxy), (vxy, vyy))) + np.eye(2) / 12
        return np.array((x / n + (self.x + 0.5), y / n + (self.y + 0.5))), covariance

    def mean(self) -> NDArray[np.float64]:
        """Return the mean (x, y) of `moments` in px, without the cost of the others. Raises MaskError if empty."""
        if self.area == 0:
            raise MaskError("an empty mask has no mean")
        x, y = (int(counts @ np.arange(len(counts))) for counts in (self.data.sum(axis, np.uint32) for axis in (0, 1)))
        return np.array((x / self.area + (self.x + 0.5), y / self.area + (self.y + 0.5)))

    def check_frame(self, other: RegionMask) -> None:
        """Raise MaskError if the frame of another mask has a different size."""
        if (self.width, self.height) != (other.width, other.height):
            raise MaskError(f"masks of different frames: {self.width}×{self.height} and {other.width}×{other.height}")

    def intersection(self, other: RegionMask) -> int:
        """Return the number of pixels in both masks. Raises MaskError if the frames differ in size."""
        self.check_frame(other)
        (h, w), (other_h, other_w) = self.data.shape, other.data.shape
        x0, x1 = max(self.x, other.x), min(self.x + w, other.x + other_w)
        y0, y1 = max(self.y, other.y), min(self.y + h, other.y + other_h)
        if x0 >= x1 or y0 >= y1:
            return 0
        ours, theirs = (mask.data[y0 - mask.y : y1 - mask.y, x0 - mask.x : x1 - mask.x] for mask in (self, other))
        return int(np.count_nonzero(ours & theirs))

    def iou(self, other: RegionMask) -> float:
        """Return intersection over union; 0 if both masks are empty."""
        both = self.intersection(other)
        union = self.area + other.area - both
        return both / union if union else 0.0

    def dice(self, other: RegionMask) -> float:
        """Return twice the intersection over the sum of areas; 0 if both masks are empty."""
        total = self.area + other.area
        return 2 * self.intersection(other) / total if total else 0.0


def without_ignored(
    predicted: RegionMask, truth: RegionMask, ignored: RegionMask | None
) -> tuple[RegionMask, RegionMask]:
    """Return both masks without the pixels that scores leave out.

    Args:
        predicted: The mask of a model.
        truth: The true mask, in a frame of the same size.
        ignored: Pixels such as a band that nobody labelled; None for none.
    """
    if ignored is None:
        return predicted, truth
    return predicted.without(ignored).tight(), truth.without(ignored).tight()


def as_region_mask(mask: object, width: int, height: int, source: str) -> RegionMask:
    """Convert the output of a model to a mask of a `width`×`height` picture.

    Args:
        mask: A RegionMask, or an array H×W of bool or uint8, where 0 is background and any other value is object.
        width: Width of the picture, px.
        height: Height of the picture, px.
        source: Name of the model, for the error.

    Raises:
        MaskError: The mask is something else, or of a picture of another size.
    """
    if isinstance(mask, RegionMask):
        if (mask.width, mask.height) == (width, height):
            return mask
        found = f"a RegionMask of a {mask.width}×{mask.height} picture"
    elif isinstance(mask, np.ndarray):
        if mask.dtype in (np.bool_, np.uint8) and mask.shape == (height, width):
            return RegionMask.from_full(mask)
        found = f"an array of {mask.dtype} with shape {mask.shape}"
    else:
        found = f"an object of type {type(mask).__name__}"
    raise MaskError(
        f"{source} returned {found}; a mask of this {width}×{height} picture is a RegionMask, or an array of bool or "
        f"uint8 with shape ({height}, {width})"
    )


def _tight_box(data: NDArray[Any]) -> Box | None:
    """Return the tight box of the non-zero values of an array as xyxy edges, None if there are none."""
    rows, columns = np.flatnonzero(data.any(1)), np.flatnonzero(data.any(0))
    if len(rows) == 0:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _transposed(data: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a copy of `data.T`. OpenCV transposes block by block, about ten times as fast as NumPy."""
    import cv2  # as above

    return cv2.transpose(data.view(np.uint8)).view(bool) if data.size else data.T


def _encode_counts(runs: NDArray[np.int64]) -> str:
    """Encode runs as COCO does: five bits per character, and from the fourth run on the difference to two runs before.

    Source: `rleToString` of cocodataset/cocoapi.
    """
    values = runs.copy()
    values[3:] -= runs[1:-2]
    characters, used = [], [np.ones(len(runs), bool)]
    while used[-1].any():
        bits = values & 31
        values >>= 5
        more = values != np.where(bits & 16, -1, 0)
        characters.append((bits | more << 5) + 48)
        used.append(used[-1] & more)
    return np.stack(characters, 1)[np.stack(used[:-1], 1)].astype(np.uint8).tobytes().decode("ascii")


def _decode_counts(counts: str | bytes) -> NDArray[np.int64]:
    """Decode the string of `_encode_counts`. Raises MaskError for strings that COCO's encoder does not write."""
    codes = np.frombuffer(counts.encode() if isinstance(counts, str) else counts, np.uint8).astype(np.int64) - 48
    strange = (codes < 0) | (codes >= 64)
    if strange.any():
        raise MaskError(
            f"RLE counts hold the character {chr(codes[strange][0] + 48)!r}, which COCO's encoding does not use"
        )
    lasts = np.flatnonzero(codes < 32)
    if len(codes) and (len(lasts) == 0 or lasts[-1] != len(codes) - 1):
        raise MaskError("RLE counts end in the middle of a number")
    if len(lasts) == 0:
        return lasts
    firsts = np.concatenate(([0], lasts[:-1] + 1))
    lengths = lasts - firsts + 1
    if lengths.max() > _MAX_CHARACTERS:
        raise MaskError(f"RLE counts hold a number of {lengths.max()} characters; the maximum is {_MAX_CHARACTERS}")
    places = 5 * (np.arange(len(codes)) - np.repeat(firsts, lengths))
    values = np.add.reduceat((codes & 31) << places, firsts)
    values -= np.where(codes[lasts] & 16, 1 << 5 * lengths, 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
