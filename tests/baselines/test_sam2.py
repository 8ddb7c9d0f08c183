"""SAM 2.1 compared with the predictor of ultralytics, on a small network with random weights."""

from __future__ import annotations

import copy
import math
import os

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from baselines.sam2 import SAM2_MODELS, Sam2, build_sam2, letterbox_mask, letterbox_pixels
from baselines.segmenter import Click, ModelUnavailable, Prompt
from baselines.torch_loading import load_weights, network_card
from baselines.ultralytics_offline import offline
from flip.finite import NotFinite

with offline():
    from ultralytics.models.sam import SAM2Predictor
    from ultralytics.models.sam.build import _build_sam2
    from ultralytics.utils.ops import scale_masks

SIZE = (640, 427)  # the padding begins inside a pixel of the logits
BOXES = [(10, 10, 200, 160), (3, 5, 4, 6), (0, 0, 640, 427), (400.5, 20.25, 480, 300), (639, 426, 640, 427)]


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """Return SAM 2 with one narrow block per stage."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _build_sam2(
            encoder_embed_dim=16,
            encoder_stages=[1, 1, 1, 1],
            encoder_num_heads=1,
            encoder_global_att_blocks=[],
            encoder_window_spec=[8, 4, 14, 7],
            encoder_backbone_channel_list=[128, 64, 32, 16],
        ).requires_grad_(False)


def segmenter(network: torch.nn.Module) -> Sam2:
    return Sam2(network, network_card("small", "SAM 2.1", network, None))


@pytest.fixture(scope="module")
def model(network) -> Sam2:
    found = segmenter(network)
    found.set_image(picture(*SIZE))
    return found


@pytest.fixture(scope="module")
def official(network):
    """Return the predictor of ultralytics with the same image, without the threshold on estimated quality."""
    overrides = {"conf": 0.0, "imgsz": 1024, "mode": "predict", "save": False, "verbose": False, "device": "cpu"}
    predictor = SAM2Predictor(overrides=overrides)
    threads = torch.get_num_threads()
    predictor.setup_model(copy.deepcopy(network), verbose=False)
    torch.set_num_threads(threads)  # the number of threads changes the last bits
    predictor.set_image(picture(*SIZE)[..., ::-1].copy())
    return predictor


def test_parameters_are_those_of_the_registry():
    assert [row.name for row in SAM2_MODELS] == ["sam2.1-t", "sam2.1-s", "sam2.1-b+", "sam2.1-l"]
    for row in SAM2_MODELS:
        network = build_sam2(row.name.removeprefix("sam2.1-"))
        assert sum(parameter.numel() for parameter in network.parameters()) == row.parameters


def test_the_features_equal_ultralytics(model, official):
    theirs = [*official.features["high_res_feats"], official.features["image_embed"]]
    assert [tuple(level.shape[1:]) for level in theirs] == [(32, 256, 256), (64, 128, 128), (256, 64, 64)]
    assert all(torch.equal(mine, level) for mine, level in zip(model._embedding, theirs, strict=True))


@pytest.mark.parametrize("box", BOXES)
def test_the_mask_of_a_box_equals_ultralytics(model, official, box):
    (theirs,) = official(bboxes=[list(box)])
    assert np.array_equal(model.predict(Prompt("box", box=box)).full(), theirs.masks.data[0].numpy())


def test_masks_of_several_boxes_equal_ultralytics(model, official):
    (theirs,) = official(bboxes=[list(box) for box in BOXES[:4]])
    mine = model.predict_many([Prompt("box", box=box) for box in BOXES[:4]])
    assert len({mask.area for mask in mine}) > 1
    for mask, expected in zip(mine, theirs.masks.data.numpy(), strict=True):
        assert np.array_equal(mask.full(), expected)


def test_the_mask_of_a_point_equals_ultralytics(model, official):
    (theirs,) = official(points=[[33, 20]], labels=[1])
    assert np.array_equal(model.predict(Prompt("point", point=(33.5, 20.5))).full(), theirs.masks.data[0].numpy())


def test_the_mask_of_clicks_equals_ultralytics(model, official):
    (theirs,) = official(points=[[[33, 20], [60, 45]]], labels=[[1, 0]])
    clicks = (Click(33.5, 20.5), Click(60.5, 45.5, positive=False))
    assert np.array_equal(model.predict(Prompt("clicks", clicks=clicks)).full(), theirs.masks.data[0].numpy())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_bad_weight_makes_no_mask(network, model, value):
    poisoned = copy.deepcopy(network)
    with torch.no_grad():
        poisoned.get_parameter("sam_mask_decoder.output_upscaling.3.bias")[0] = value
    encoding, model = model.encoding, segmenter(poisoned)
    model.encoding = encoding
    with pytest.raises(NotFinite, match=r"^small returned NaN or infinite logits for the box \(3, 5, 4, 6\), so"):
        model.predict(Prompt("box", box=BOXES[1]))


side = st.one_of(st.integers(1, 8), st.integers(1, 900), st.sampled_from((256, 512, 1024, 2048)))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), side, side, st.sampled_from(("object", "about zero", "holes", "negative")))
@example(0, 640, 427, "about zero")
@example(0, 1, 3000, "object")
@example(0, 3000, 1, "about zero")
@example(43259, 1, 1, "holes")
def test_the_mask_equals_the_full_frame_mask(seed, width, height, kind):
    rng = np.random.default_rng(seed)
    logits = rng.normal(-20, 1, (256, 256))
    x, y, w, h = rng.integers(0, 256, 4)
    logits[y : y + h, x : x + w] = rng.normal(0, 3, logits[y : y + h, x : x + w].shape)
    if kind == "about zero":
        logits = rng.normal(0, 1e-6, (256, 256))
    if kind == "holes":
        logits = np.where(rng.random((256, 256)) < 0.1, -3, 2)
    if kind == "negative":
        logits = -np.abs(logits) - 0.1
    logits = logits.astype(np.float32)
    gain = min(1024 / height, 1024 / width)
    ratio = [round(length * gain) * 256 / 1024 / length for length in (height, width)]
    whole = torch.from_numpy(logits)[None, None]
    theirs = scale_masks(whole, (height, width), (ratio, (0, 0)), padding=False)[0, 0].numpy()
    mine = letterbox_mask(logits, width, height).full()
    assert np.array_equal(mine, theirs > 0)
    assert mine.any() or kind != "holes" or width * height < 100  # in a tiny image, all pixels may be in holes


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (640, 427), (1500, 1100)])
def test_the_network_input_equals_ultralytics(official, size):
    image = picture(*size)
    before, official.im = official.im, None
    theirs = official.preprocess([image[..., ::-1].copy()]).numpy()
    official.im = before
    mine = letterbox_pixels(image)
    assert mine.dtype == np.float32
    assert np.array_equal(mine, theirs)


# ---- weights


def test_sam2_weights_are_read_without_executing_code(tmp_path, network):
    marker, path = tmp_path / "marker", tmp_path / "sam2.1_t.pt"

    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    torch.save({"model": network.state_dict(), "epoch": Attack()}, path)
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.no_mem_embed.add_(1)
    load_weights(other, path, ("model",))
    assert not marker.exists()
    assert torch.equal(other.no_mem_embed, network.no_mem_embed)


def test_an_error_names_weights_that_do_not_fit(tmp_path, network):
    state = network.state_dict()
    state["other"] = state.pop("no_mem_embed")
    torch.save({"model": state}, tmp_path / "sam2.1_t.pt")
    with pytest.raises(ModelUnavailable, match=r"sam2\.1_t\.pt .*no_mem_embed is missing; other is unknown"):
        load_weights(copy.deepcopy(network), tmp_path / "sam2.1_t.pt", ("model",))
    torch.save(state, tmp_path / "sam2.1_t.pt")
    with pytest.raises(ModelUnavailable, match=r"sam2\.1_t\.pt .*it holds no model"):
        load_weights(copy.deepcopy(network), tmp_path / "sam2.1_t.pt", ("model",))
