"""The trained MobileSAM on real photographs, and its postprocessing against the full-frame computation."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from torch.nn import functional

from baselines.onnx_sam import MEAN, STD, OnnxSam, enlarge, prepare, resized
from bench.registry import MODELS
from bench.segmenter import ModelUnavailable, Prompt
from objascale.masks import RegionMask


@pytest.fixture(scope="module")
def model(shared: Path) -> OnnxSam:
    folder = shared / "assets/weights"
    return OnnxSam(
        "m", folder / "mobilesam-encoder.onnx", folder / "mobilesam-decoder.onnx", parameters=1, device="cpu"
    )


def photographs(shared: Path, count: int) -> list[tuple[np.ndarray, list[RegionMask]]]:
    """The first `count` photographs of COCO128 with six objects or more, with the masks of those that are no crowd."""
    folder = shared / "assets/photos/coco128"
    truth = json.loads((folder / "instances_train2017.json").read_text())
    found = []
    for info in truth["images"]:
        masks = []
        for item in truth["annotations"]:
            if item["image_id"] == info["id"] and not item["iscrowd"]:
                parts = coco_mask.frPyObjects(item["segmentation"], info["height"], info["width"])
                masks.append(RegionMask.from_full(coco_mask.decode(coco_mask.merge(parts))))
        if len(masks) >= 6:
            image = np.asarray(Image.open(folder / "images" / info["file_name"]).convert("RGB"))
            found.append((image, masks))
        if len(found) == count:
            break
    return found


def test_it_segments_real_objects_from_their_boxes(model, shared):
    scores = []
    for image, masks in photographs(shared, 4):
        model.set_image(image)
        for mask in masks[:6]:
            predicted = model.predict(Prompt("box", box=mask.box))
            assert (predicted.width, predicted.height) == (image.shape[1], image.shape[0])
            scores.append(predicted.iou(mask))
    assert len(scores) == 24
    assert np.mean(scores) > 0.65  # over all 887 objects of COCO128 the mean is 0.72


@pytest.mark.parametrize("size", [None, (300, 1100)])
def test_the_mask_is_the_one_that_the_graph_makes_of_the_full_frame(model, shared, size):
    image, masks = photographs(shared, 1)[0]
    box = masks[0].box
    if size:
        box = tuple(np.array(box) * np.tile(np.array(size) / (image.shape[1], image.shape[0]), 2))
        image = np.asarray(Image.fromarray(image).resize(size))
    model.set_image(image)
    prompt = Prompt("box", box=box)
    feeds = {**model._feeds(prompt), "orig_im_size": np.array(image.shape[:2], np.float32)}
    logits = model._decoder.run(["masks"], feeds)[0][0, 0]
    mine = model.predict(prompt).full()
    assert mine.any()
    differ = mine != (logits > 0)
    assert np.abs(logits[differ]).max(initial=0) < 2e-3  # onnxruntime rounds coordinates to float32
    assert differ.sum() <= 2


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    blob=st.integers(0, 256),
    sparse=st.booleans(),
)
def test_enlarging_a_part_equals_enlarging_everything(seed, width, height, blob, sparse):
    rng = np.random.default_rng(seed)
    logits = rng.normal(-20, 1, (256, 256)).astype(np.float32)
    x, y = rng.integers(0, 256, 2)
    logits[y : y + blob, x : x + blob] = rng.normal(-2 if sparse else 2, 3, logits[y : y + blob, x : x + blob].shape)
    whole = torch.from_numpy(logits).double()[None, None]
    whole = functional.interpolate(whole, (1024, 1024), mode="bilinear", align_corners=False)
    fit_width, fit_height = resized(width, height)
    whole = whole[..., :fit_height, :fit_width]
    whole = functional.interpolate(whole, (height, width), mode="bilinear", align_corners=False)[0, 0].numpy()
    differ = enlarge(logits, width, height).full() != (whole > 0)
    assert np.abs(whole[differ]).max(initial=0) < 1e-4  # only where float32 rounds a zero


def test_an_8192_picture_never_becomes_a_frame_of_floats():
    logits = np.full((256, 256), -9.0, np.float32)
    logits[20:230, 20:230] = 9
    tracemalloc.start()
    mask = enlarge(logits, 8192, 8192)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mask.area == pytest.approx((210 * 32) ** 2, rel=0.02)
    assert peak < 8192 * 8192 * 3  # the mask itself is one byte a pixel of its box, the frame of floats would be four


def test_no_positive_logit_is_an_empty_mask():
    assert enlarge(np.full((256, 256), -1.0, np.float32), 640, 480).area == 0


def test_padding_comes_after_normalising():
    image = np.full((50, 100, 3), 7, np.uint8)
    pixels = prepare(image)
    assert pixels.shape == (1, 3, 1024, 1024)
    assert pixels[0, :, 511, 1023] == pytest.approx((7 - MEAN) / STD)
    assert (pixels[0, :, 512:] == 0).all()


@pytest.mark.parametrize(
    ("size", "expected"), [((640, 480), (1024, 768)), ((1, 5000), (1, 1024)), ((427, 640), (683, 1024))]
)
def test_sizes_are_rounded_as_sam_rounds(size, expected):
    assert resized(*size) == expected


def test_the_registered_parameter_count_is_what_the_files_hold(shared):
    count = 0
    for part in ("encoder", "decoder"):
        graph = onnx.load(shared / f"assets/weights/mobilesam-{part}.onnx").graph
        count += sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)
    assert MODELS["mobilesam-onnx"].parameters == count


def test_a_truncated_file_is_named(shared, tmp_path):
    whole = (shared / "assets/weights/mobilesam-decoder.onnx").read_bytes()
    broken = tmp_path / "mobilesam-decoder.onnx"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelUnavailable, match=r"mobilesam-decoder\.onnx"):
        OnnxSam("m", broken, broken, parameters=1, device="cpu")
