"""The `@crop` variants: the square, the mask's position, and the gain for MobileSAM on a small object."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from baselines import registry
from baselines.crop import Cropped, NoExtent, crop_square
from baselines.sam import TorchSam
from baselines.segmenter import Options, Prompt
from baselines.torch_loading import network_card
from baselines.trivial import BoxFill, EllipseFill, PromptOutside
from flip.finite import NotFinite
from flip.gaussian import Gaussian
from flip.stopwatch import Stopwatch
from objascale.masks import RegionMask

W, H = 61, 37


class Seeing(BoxFill):
    """A BoxFill that stores its last image."""

    def set_image(self, image):
        super().set_image(image)
        self.image = image


def numbered() -> np.ndarray:
    """An image whose colours encode the position."""
    ys, xs = np.mgrid[:H, :W]
    return np.stack((xs, ys, xs + ys), -1).astype(np.uint8)


def spans(size: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(0, size), st.integers(0, size)).map(sorted).filter(lambda e: e[0] < e[1]).map(tuple)


crops = st.sampled_from([1.0, 1.5, 2.0, 3.0, 50.0])


@given(spans(W), spans(H), crops)
def test_the_square_contains_the_box_and_stays_in_the_frame(xs, ys, crop):
    x0, y0, x1, y1 = crop_square((xs[0], ys[0], xs[1], ys[1]), crop, W, H)
    side = int(np.ceil(crop * max(xs[1] - xs[0], ys[1] - ys[0])))
    assert 0 <= x0 <= xs[0] < xs[1] <= x1 <= W
    assert 0 <= y0 <= ys[0] < ys[1] <= y1 <= H
    assert (x1 - x0, y1 - y0) == (min(side, W), min(side, H))
    if side <= 2 * min(xs[0], W - xs[1]):  # far from the edges the square is centred
        assert abs((x0 + x1) - (xs[0] + xs[1])) <= 1


@given(spans(W), spans(H), crops)
def test_the_mask_is_placed_back_in_the_frame(xs, ys, crop):
    model = Cropped(Seeing(), crop)
    model.set_image(numbered())
    mask = model.predict(Prompt("box", box=(xs[0], ys[0], xs[1], ys[1])))
    assert (mask.box, mask.area) == ((xs[0], ys[0], xs[1], ys[1]), (xs[1] - xs[0]) * (ys[1] - ys[0]))
    assert (mask.width, mask.height) == (W, H)
    x0, y0, x1, y1 = crop_square((xs[0], ys[0], xs[1], ys[1]), crop, W, H)
    assert np.array_equal(model.segmenter.image, numbered()[y0:y1, x0:x1])


quarter = st.integers(4, 60).map(lambda n: n / 4)


@given(quarter, quarter, quarter, quarter, st.floats(0, 3.14))
def test_a_gaussian_is_shifted_and_its_ellipse_fits_the_crop(x, y, semi1, semi2, angle):
    gaussian = Gaussian.from_ellipse(x + 10, y + 5, semi1, semi2, math.degrees(angle))
    alone, cropped = EllipseFill(), Cropped(EllipseFill())
    for model in (alone, cropped):
        model.set_image(numbered())
    prompt = Prompt("gaussian", gaussian=gaussian)
    assert cropped.predict(prompt).rle() == alone.predict(prompt).rle()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (900, 700)])
@pytest.mark.parametrize("crop", [1.0, 2.0])
def test_a_box_of_one_pixel_works(network, size, crop):
    width, height = size
    model = Cropped(TorchSam(network, network_card("small", "SAM", network, None)), crop)
    model.set_image(np.full((height, width, 3), 90, np.uint8))
    mask = model.predict(Prompt("box", box=(0, height - 1, 1, height)))
    assert (mask.width, mask.height) == (width, height)
    assert mask.area <= 4


def test_the_time_of_a_crop_includes_encoding(network):
    inner = TorchSam(network, network_card("small", "SAM", network, None))
    inner.stopwatch = Stopwatch(clock=itertools.count().__next__)  # each timed block takes a second
    model = Cropped(inner)
    model.set_image(numbered())
    assert not model.stopwatch.reset()
    model.predict(Prompt("box", box=(3, 3, 9, 9)))
    # pre: crop, prepare the image, scale the points; model: encode, decode; post: enlarge
    assert model.stopwatch.reset() == {"pre": 3000, "model": 2000, "post": 1000}


def test_a_point_and_a_box_outside_are_refused(network):
    model = Cropped(TorchSam(network, network_card("small", "SAM", network, None)))
    model.set_image(numbered())
    assert model.accepts == ("box",)
    with pytest.raises(NoExtent, match="points and clicks have no extent"):
        model.predict(Prompt("point", point=(3, 3)))
    with pytest.raises(PromptOutside, match="no area inside the 61×37 image"):
        model.predict(Prompt("box", box=(70, 3, 80, 9)))


@pytest.mark.parametrize("box", [(3, 3, 9, 9), (40.5, 20, 61, 37)])
def test_an_error_names_the_cropped_model_and_the_prompt_in_the_whole_image(small_sam, box):
    poisoned = small_sam()
    with torch.no_grad():
        poisoned.get_parameter("mask_decoder.output_upscaling.3.bias")[0] = math.nan
    model = Cropped(TorchSam(poisoned, network_card("small", "SAM", poisoned, None)))
    model.set_image(numbered())
    with pytest.raises(NotFinite) as caught:
        model.predict(Prompt("box", box=box))
    assert (caught.value.model, str(caught.value.prompt)) == ("small@crop", f"the box {box}")


def test_the_card_is_that_of_the_model_with_the_crop(network):
    inner = TorchSam(network, network_card("small", "SAM", network, None))
    found, plain = Cropped(inner, 3).describe(), inner.describe()
    assert (found.name, found.parameters, found.untrained) == ("small@crop=3", plain.parameters, True)
    assert found.settings == {**plain.settings, "crop": 3}
    assert Cropped(inner).describe().name == "small@crop"


def test_mobilesam_segments_a_small_object_only_on_the_crop(shared):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60, (4000, 3000, 3), dtype=np.uint8)
    image[..., 2] += 120
    ys, xs = np.mgrid[:4000, :3000] + 0.5
    disc = (xs - 1200.3) ** 2 + (ys - 2900.8) ** 2 <= 9**2
    image[disc] = (220, 30, 30)
    truth = RegionMask.from_full(disc)
    scores = {}
    for model in registry.find_models(["mobilesam-onnx", "mobilesam-onnx@crop"]):
        files = registry.find_all_weights([model], shared / "assets/weights")[model.name]
        segmenter = registry.load(model, files, Options("cpu"))
        segmenter.set_image(image)
        scores[segmenter.describe().name] = segmenter.predict(Prompt("box", box=truth.box)).iou(truth)
    assert scores["mobilesam-onnx@crop"] > 0.9
    assert scores["mobilesam-onnx"] < 0.8
