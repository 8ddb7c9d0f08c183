"""TorchSam compared with Meta's predictor on small networks with random weights, and errors."""

from __future__ import annotations

import copy
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.registry import MODELS
from baselines.sam import (
    PIXEL_MEAN,
    PIXEL_STD,
    SAM_SIZES,
    TorchSam,
    build_sam,
    load_sam_weights,
    prompt_points,
    sam_pixels,
)
from baselines.segmenter import Click, ModelUnavailable, OutOfMemory, Prompt
from baselines.torch_loading import network_card
from flip.finite import NotFinite

BOXES = [(10, 10, 200, 160), (3, 5, 4, 6), (0, 0, 500, 333), (400.5, 20.25, 480, 300), (499, 332, 500, 333)]
PROMPTS = [Prompt("box", box=box) for box in BOXES]


def picture(width: int = 500, height: int = 333, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def segmenter(network, **options) -> TorchSam:
    return TorchSam(network, network_card("small", "SAM", network, None), **options)


@pytest.fixture(scope="module")
def model(network) -> TorchSam:
    found = segmenter(network)
    found.set_image(picture())
    return found


@pytest.fixture(scope="module")
def official(network):
    """Return Meta's predictor after `set_image` with the same image."""
    from segment_anything import SamPredictor

    predictor = SamPredictor(network)
    predictor.set_image(picture())
    return predictor


@pytest.mark.parametrize(("name", "millions"), [("sam-b", 93.7), ("sam-l", 312.3), ("sam-h", 641.1)])
def test_parameters_are_those_of_the_paper_and_of_the_registry(name, millions):
    with torch.device("meta"):
        network = build_sam(name)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == MODELS[name].parameters
    assert round(count / 1e6, 1) == millions


def test_every_size_is_in_the_registry():
    assert set(SAM_SIZES) == {name for name, row in MODELS.items() if row.family == "SAM"}


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (500, 333), (1024, 1024), (1500, 1100), (2049, 5)])
def test_the_network_input_equals_the_package_bit_for_bit(network, size):
    from segment_anything.utils.transforms import ResizeLongestSide

    image = picture(*size)
    theirs = torch.as_tensor(ResizeLongestSide(1024).apply_image(image)).permute(2, 0, 1)[None]
    mine = sam_pixels(image)
    assert mine.shape == (1, 3, 1024, 1024)
    assert np.array_equal(mine, network.preprocess(theirs).numpy())


def test_padding_comes_after_normalising():
    pixels = sam_pixels(np.full((50, 100, 3), 7, np.uint8))
    assert pixels[0, :, 511, 1023] == pytest.approx((7 - PIXEL_MEAN) / PIXEL_STD)
    assert (pixels[0, :, 512:] == 0).all()


@pytest.mark.parametrize("box", BOXES)
def test_the_mask_of_a_box_equals_the_package_bit_for_bit(model, official, box):
    theirs = official.predict(box=np.array(box), multimask_output=False)[0][0]
    assert np.array_equal(model.predict(Prompt("box", box=box)).full(), theirs)


def test_the_mask_of_a_point_equals_the_package_for_its_pixel_index(model, official):
    theirs = official.predict(np.array([[37, 120]]), np.array([1]), multimask_output=False)[0][0]
    assert np.array_equal(model.predict(Prompt("point", point=(37.5, 120.5))).full(), theirs)


CLICKS = (Click(37.5, 120.5), Click(80.5, 90.5, positive=False), Click(200.5, 40.5))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_mask_of_clicks_equals_the_package(model, official, count):
    theirs = official.predict(
        np.array([[37, 120], [80, 90], [200, 40]])[:count], np.array([1, 0, 1])[:count], multimask_output=False
    )[0][0]
    assert np.array_equal(model.predict(Prompt("clicks", clicks=CLICKS[:count])).full(), theirs)


def test_masks_of_many_prompts_equal_those_of_single_prompts(model):
    mixed = [*PROMPTS, Prompt("point", point=(50.0, 60.0)), PROMPTS[0]]
    mixed += [Prompt("clicks", clicks=CLICKS[:count]) for count in (1, 3, 3, 2)]
    together = model.predict_many(mixed)
    assert len(together) == len(mixed)
    for mask, prompt in zip(together, mixed, strict=True):
        alone = model.predict(prompt)
        assert (mask.full() != alone.full()).mean() < 1e-3  # random logits are near zero, so rounding shows
    assert model.predict_many([]) == []


def test_every_stage_is_timed(model):
    model.stopwatch.reset()
    model.predict(PROMPTS[0])
    assert set(model.stopwatch.reset()) == {"pre", "model", "post"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", ["image_encoder.neck.3.bias", "mask_decoder.output_upscaling.3.bias"])
def test_a_bad_weight_makes_no_mask(network, model, part, value):
    poisoned = copy.deepcopy(network)
    with torch.no_grad():
        poisoned.get_parameter(part)[0] = value
    encoding, model = model.encoding, segmenter(poisoned)
    if part.startswith("mask_decoder"):
        model.encoding = encoding
    else:
        model.set_image(picture())
    with pytest.raises(NotFinite, match=r"^small returned NaN or infinite logits for the box \(10, 10, 200, 160\), so"):
        model.predict(PROMPTS[0])
    with pytest.raises(NotFinite, match=r"the point \(50\.0, 60\.0\)"):
        model.predict(Prompt("point", point=(50.0, 60.0)))


def test_the_error_names_the_prompt_without_finite_logits(model, monkeypatch):
    decode = model._decode
    wide = lambda points: (points[:, -1, 0] - points[:, 0, 0] > 700)[:, None, None]  # noqa: E731
    monkeypatch.setattr(model, "_decode", lambda points, kind: decode(points, kind).masked_fill(wide(points), math.nan))
    with pytest.raises(NotFinite, match=r"the box \(0, 0, 500, 333\)"):
        model.predict_many(PROMPTS)
    assert len(model.predict_many([prompt for prompt in PROMPTS if prompt.box != BOXES[2]])) == len(BOXES) - 1


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_gives_nearly_the_same_masks_and_is_in_the_card(network, model, precision):
    mixed = segmenter(network, precision=precision)
    mixed.set_image(picture())
    assert mixed.describe().settings["precision"] == precision
    error = (mixed._embedding.float() - model._embedding).abs().mean() / model._embedding.abs().mean()
    assert 1e-5 < error < 0.05
    corners, labels = prompt_points(PROMPTS[:1])
    points, labels = torch.from_numpy(mixed._to_input(corners)), torch.from_numpy(labels)
    with torch.inference_mode():
        logits, right = (each._decode(points, labels).float() for each in (mixed, model))
    assert (logits - right).abs().mean() < 0.05 * right.abs().mean()


def test_the_card_marks_random_weights(network):
    found = segmenter(network).describe()
    assert found.untrained
    assert (found.weights, found.weights_sha256) == (None, None)
    assert found.settings == {"input": 1024, "multimask": False, "precision": "fp32", "device": "cpu"}


# ---- checkpoints


def test_weights_of_a_checkpoint_are_loaded(small_sam, tmp_path):
    source, target = small_sam(), small_sam()
    with torch.no_grad():
        for parameter in source.parameters():
            parameter += 1
    torch.save(source.state_dict(), tmp_path / "w.pth")
    load_sam_weights(target, tmp_path / "w.pth")
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))
    found = network_card("small", "SAM", target, tmp_path / "w.pth")
    assert (found.untrained, found.weights, len(found.weights_sha256)) == (False, "w.pth", 64)


def test_the_error_names_missing_extra_and_misshapen_keys(network, tmp_path):
    state = dict(network.state_dict())
    gone = ["image_encoder.pos_embed", "mask_decoder.iou_token.weight"]
    for name in gone:
        del state[name]
    state["image_encoder.neck.9.weight"] = torch.zeros(3)
    state["prompt_encoder.no_mask_embed.weight"] = torch.zeros(2, 2)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ModelUnavailable) as caught:
        load_sam_weights(network, tmp_path / "w.pth")
    for part in (
        str(tmp_path / "w.pth"),
        *(f"{name} is missing" for name in gone),
        "image_encoder.neck.9.weight is unknown",
        "prompt_encoder.no_mask_embed.weight is (2, 2), not (1, 256)",
    ):
        assert part in str(caught.value)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_no_code_of_a_checkpoint_is_executed(network, tmp_path):
    torch.save({"a": Evil(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(ModelUnavailable, match=r"w\.pth is not a complete checkpoint"):
        load_sam_weights(network, tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half a file", b"<html>not found</html>"])
def test_an_error_names_a_broken_checkpoint(network, tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"w\.pth is not a complete checkpoint .*fetch it again"):
        load_sam_weights(network, tmp_path / "w.pth")


@pytest.mark.parametrize("content", [[1, 2], {"model": {"a": torch.zeros(1)}}, torch.zeros(3)])
def test_an_error_names_a_file_of_another_kind(network, tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelUnavailable, match="no dictionary of tensors"):
        load_sam_weights(network, tmp_path / "w.pth")


# ---- memory


class Narrow(torch.nn.Module):
    """A mask decoder that runs out of memory for more than `prompts` prompts."""

    def __init__(self, decoder: torch.nn.Module, prompts: int) -> None:
        super().__init__()
        self.decoder, self.prompts = decoder, prompts

    def forward(self, *, sparse_prompt_embeddings, **rest):
        if len(sparse_prompt_embeddings) > self.prompts:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.decoder(sparse_prompt_embeddings=sparse_prompt_embeddings, **rest)


def test_out_of_memory_on_a_prompt_is_an_error_and_the_next_prompt_works(network, model):
    narrow = copy.deepcopy(network)
    narrow.mask_decoder = Narrow(narrow.mask_decoder, 0)
    found = segmenter(narrow)
    found.encoding = model.encoding
    with pytest.raises(OutOfMemory, match=r"small has too little GPU memory to decode a prompt; .*the precision bf16"):
        found.predict(PROMPTS[0])
    narrow.mask_decoder.prompts = 1
    assert found.predict(PROMPTS[0]).rle() == model.predict(PROMPTS[0]).rle()


def test_out_of_memory_on_an_image_is_an_error(small_sam):
    class Full(torch.nn.Module):
        def forward(self, pixels):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    full = small_sam()
    full.image_encoder = Full()
    with pytest.raises(OutOfMemory, match="to encode an image"):
        segmenter(full).set_image(picture())
