"""GrabCut segments a red disc in small and large images, and handles degenerate boxes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from baselines.grabcut import GrabCut
from baselines.segmenter import Prompt
from baselines.trivial import PromptOutside
from objascale.masks import RegionMask


def scene(size: int, x: float, y: float, radius: float) -> tuple[np.ndarray, RegionMask]:
    """A red disc on a noisy green background, and its mask."""
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 80, (size, size, 3), dtype=np.uint8)
    picture[..., 1] += 100
    x0, y0, n = int(x - radius) - 1, int(y - radius) - 1, int(2 * radius) + 4
    ys, xs = np.mgrid[y0 : y0 + n, x0 : x0 + n] + 0.5
    disc = (xs - x) ** 2 + (ys - y) ** 2 <= radius**2
    picture[y0 : y0 + n, x0 : x0 + n][disc] = rng.integers(0, 30, (int(disc.sum()), 3), dtype=np.uint8) + [200, 0, 0]
    return picture, RegionMask(x0, y0, disc, size, size).tight()


def predict(picture: np.ndarray, box: tuple[float, float, float, float]) -> RegionMask:
    model = GrabCut()
    model.set_image(picture)
    return model.predict(Prompt("box", box=box))


@pytest.mark.parametrize(
    ("size", "x", "y", "radius"),
    [(64, 30.2, 33.7, 14), (4096, 3000.5, 1200, 11), (4096, 2000, 2100.5, 700), (4096, 15, 20, 12)],
    ids=["in 64 px", "small in 4096 px", "large in 4096 px: shrunk", "in a corner"],
)
def test_it_segments_a_red_disc_on_a_crop_of_at_most_512_pixels(size, x, y, radius, monkeypatch):
    picture, truth = scene(size, x, y, radius)
    sides, grab_cut = [], cv2.grabCut
    monkeypatch.setattr(cv2, "grabCut", lambda image, *rest: sides.append(max(image.shape)) or grab_cut(image, *rest))
    assert predict(picture, truth.box).iou(truth) > 0.9
    assert len(sides) == 1
    assert sides[0] <= 512


def test_it_is_deterministic():
    picture, truth = scene(64, 30, 30, 9)
    picture = picture // 2 + np.random.default_rng(3).integers(0, 128, picture.shape, dtype=np.uint8)
    first, second = predict(picture, truth.box), predict(picture, truth.box)
    assert (first.full() == second.full()).all()


@pytest.mark.parametrize(
    "box",
    [(10, 10, 11, 11), (0, 0, 1, 1), (63, 63, 64, 64), (0, 0, 64, 64), (0, 0, 64, 1), (20.2, 20.2, 20.4, 20.4)],
)
@pytest.mark.parametrize("flat", [False, True])
def test_boxes_of_any_size_are_accepted(box, flat):
    picture = np.full((64, 64, 3), 90, np.uint8) if flat else scene(64, 30, 30, 9)[0]
    mask = predict(picture, box)
    x0, y0, x1, y1 = np.floor(box[0]), np.floor(box[1]), np.ceil(box[2]), np.ceil(box[3])
    left, top, right, bottom = mask.box or (x0, y0, x1, y1)
    assert x0 <= left < right <= x1
    assert y0 <= top < bottom <= y1


def test_a_sliver_across_a_large_image_is_shrunk():
    picture = np.zeros((40, 6000, 3), np.uint8)
    picture[20:22, 1000:5000] = 255
    mask = predict(picture, (1000, 20, 5000, 22))
    assert (mask.width, mask.height) == (6000, 40)


def test_an_error_names_a_box_outside_the_image():
    with pytest.raises(PromptOutside, match="no area inside the 10×10 image"):
        predict(np.zeros((10, 10, 3), np.uint8), (20, 20, 30, 30))
