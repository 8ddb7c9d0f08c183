"""Images that `set_image` accepts, and their conversion to uint8 RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from baselines.trivial import BoxFill
from flip.images import as_rgb
from flip.picture_files import read_picture
from flip.prompts import PredictorError
from flip.released.model import ReleasedFlip
from flip.released.predictor import FlipPredictor

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def test_rgb_of_8_bits_is_used_unchanged() -> None:
    assert as_rgb(PIXELS) is PIXELS


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floating_point_values_lie_from_0_to_1(kind: type) -> None:
    assert (as_rgb((PIXELS / 255).astype(kind)) == PIXELS).all()
    for wrong in (PIXELS.astype(kind), -PIXELS.astype(kind), np.full((2, 2, 3), np.nan, kind)):
        with pytest.raises(PredictorError, match="must lie from 0 to 1; divide them"):
            as_rgb(wrong)


@given(arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5))))
def test_grey_images_get_three_equal_channels(grey: np.ndarray) -> None:
    for image in (grey, grey[..., None], grey / 255, grey.astype(np.uint16) << 8):
        found = as_rgb(image)
        assert (found.dtype, found.shape) == (np.uint8, (*grey.shape, 3))
        assert (found == found[..., :1]).all()
    assert (as_rgb(grey)[..., 0] == grey).all()


def test_alpha_is_dropped_before_the_range_is_read() -> None:
    alpha = np.full((6, 9, 1), 255, np.uint8)
    assert (as_rgb(np.dstack((PIXELS, alpha))) == PIXELS).all()
    assert (as_rgb(np.dstack((PIXELS / 255, alpha))) == PIXELS).all()
    twelve_bits = np.dstack((PIXELS.astype(np.uint16) << 4, alpha.astype(np.uint16) * 257))
    assert (as_rgb(twelve_bits) == PIXELS).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
def test_pil_images_become_rgb(mode: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    assert (as_rgb(image) == np.asarray(image.convert("RGB"))).all()


def test_16_bit_pil_images_follow_the_rules_of_arrays() -> None:
    grey = PIXELS[..., 0]
    assert (as_rgb(Image.fromarray(grey.astype(np.uint16) << 8 | 0x8000)) >= 128).all()
    assert (as_rgb(Image.fromarray((grey / 255).astype(np.float32)))[..., 1] == grey).all()
    with pytest.raises(PredictorError, match="int32 values, whose range is unknown"):
        as_rgb(Image.fromarray(grey.astype(np.int32)))


def test_a_path_is_read_as_by_flip_predict(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    Image.fromarray(PIXELS).save(path, exif=exif)
    for given_as in (path, str(path)):
        assert (as_rgb(given_as) == read_picture(path)).all()
    assert as_rgb(path).shape == (9, 6, 3)
    with Image.open(path) as stored:
        assert as_rgb(stored).shape == (6, 9, 3)


@pytest.mark.parametrize(("image", "sentence"), [
    ([[1, 2]], "a path, a PIL image or a NumPy array H×W×3 in the order RGB, not a list"),
    (None, "not a NoneType"),
    (np.zeros((3, 6, 9), np.uint8), r"not \(3, 6, 9\); transpose it"),
    (np.zeros((6, 9, 2), np.uint8), r"H×W, H×W×3 or H×W×4, not \(6, 9, 2\)"),
    (np.zeros(5, np.uint8), r"not \(5,\)"),
    (np.zeros((0, 9, 3), np.uint8), r"not \(0, 9, 3\)"),
    (np.zeros((6, 9, 3), np.int64), "int64 values, whose range is unknown"),
    (np.zeros((6, 9), bool), "bool values"),
    (np.zeros((6, 9), complex), "complex128 values"),
    ("nowhere.jpg", "there is no picture nowhere.jpg"),
])  # fmt: skip
def test_other_images_are_refused(image: object, sentence: str) -> None:
    with pytest.raises(PredictorError, match=sentence):
        as_rgb(image)  # type: ignore[arg-type]


def test_predictors_and_baselines_accept_every_kind_of_image(tmp_path: Path, tiny: ReleasedFlip) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    masks = []
    for image in (pixels, path, Image.fromarray(pixels), pixels / 255, np.dstack((pixels, pixels[..., :1]))):
        predictor = FlipPredictor(tiny)
        predictor.set_image(image)
        masks.append(predictor.predict(box=(10, 10, 30, 25)).rle())
        BoxFill().set_image(image)
    assert masks.count(masks[0]) == len(masks)
