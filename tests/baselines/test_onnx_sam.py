"""The trained MobileSAM on photographs, and its masks compared with the enlarged masks of the graph."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from baselines.onnx_sam import OnnxSam
from baselines.registry import MODELS
from baselines.segmenter import Click, ModelUnavailable, Prompt
from bench.prompts import inner_point
from bench.protocols.clicks import next_click
from flip.finite import NotFinite
from objascale.masks import RegionMask


@pytest.fixture(scope="module")
def model(shared: Path) -> OnnxSam:
    folder = shared / "assets/weights"
    return OnnxSam(
        "m", folder / "mobilesam-encoder.onnx", folder / "mobilesam-decoder.onnx", parameters=1, device="cpu"
    )


def photographs(shared: Path, count: int) -> list[tuple[np.ndarray, list[RegionMask]]]:
    """Return the first `count` photographs of COCO128 with at least six objects, and the masks of non-crowd objects."""
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


@pytest.fixture(scope="module")
def encoded(model, shared):
    """Return four photographs, their masks, and their encodings by the model."""
    found = []
    for image, masks in photographs(shared, 4):
        model.set_image(image)
        found.append((image, masks, model.encoding))
    return found


def test_it_segments_real_objects_from_their_boxes(model, encoded):
    scores = []
    for image, masks, encoding in encoded:
        model.encoding = encoding
        for mask in masks[:6]:
            predicted = model.predict(Prompt("box", box=mask.box))
            assert (predicted.width, predicted.height) == (image.shape[1], image.shape[0])
            scores.append(predicted.iou(mask))
    assert len(scores) == 24
    assert np.mean(scores) > 0.65  # over all 887 objects of COCO128 the mean is 0.72


@pytest.mark.parametrize("size", [None, (300, 1100)])
def test_the_mask_equals_the_enlarged_mask_of_the_graph(model, encoded, size):
    image, masks, model.encoding = encoded[0]
    box = masks[0].box
    if size:
        box = tuple(np.array(box) * np.tile(np.array(size) / (image.shape[1], image.shape[0]), 2))
        image = np.asarray(Image.fromarray(image).resize(size))
        model.set_image(image)
    prompt = Prompt("box", box=box)
    inputs = {**model._decoder_inputs(prompt), "orig_im_size": np.array(image.shape[:2], np.float32)}
    logits = model._decoder.run(["masks"], inputs)[0][0, 0]
    mine = model.predict(prompt).full()
    assert mine.any()
    differ = mine != (logits > 0)
    assert np.abs(logits[differ]).max(initial=0) < 2e-3  # onnxruntime rounds coordinates to float32
    assert differ.sum() <= 2


def test_clicks_segment_real_objects_and_a_negative_click_takes_pixels_away(model, encoded):
    gained, before, after = [], 0, 0
    for _, masks, encoding in encoded[:2]:
        model.encoding = encoding
        for mask in masks[:4]:
            first = Click(*inner_point(mask))
            one = model.predict(Prompt("clicks", clicks=(first,)))
            second = next_click(one, mask, [first])
            two = model.predict(Prompt("clicks", clicks=(first, second)))
            gained.append(two.iou(mask) - one.iou(mask))
            if not second.positive:
                before, after = before + one.area, after + two.area
    assert np.mean(gained) > 0
    assert after < before


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_bad_weight_makes_no_mask(shared, encoded, tmp_path, value):
    """The test changes the last bias of the upscaling, on which every logit depends."""
    folder = shared / "assets/weights"
    graph = onnx.load(folder / "mobilesam-decoder.onnx")
    (tensor,) = (t for t in graph.graph.initializer if t.name == "mask_decoder.output_upscaling.3.bias")
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.full(tensor.dims, value, np.float32), tensor.name))
    onnx.save(graph, tmp_path / "decoder.onnx")
    model = OnnxSam("m", folder / "mobilesam-encoder.onnx", tmp_path / "decoder.onnx", parameters=1, device="cpu")
    *_, model.encoding = encoded[0]
    with pytest.raises(NotFinite, match=r"^m returned NaN or infinite logits for the box \(1, 2, 30, 40\), so"):
        model.predict(Prompt("box", box=(1, 2, 30, 40)))


def test_the_registered_parameter_count_equals_the_files(shared):
    count = 0
    for part in ("encoder", "decoder"):
        graph = onnx.load(shared / f"assets/weights/mobilesam-{part}.onnx").graph
        count += sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)
    assert MODELS["mobilesam-onnx"].parameters == count


def test_an_error_names_a_truncated_file(shared, tmp_path):
    whole = (shared / "assets/weights/mobilesam-decoder.onnx").read_bytes()
    broken = tmp_path / "mobilesam-decoder.onnx"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelUnavailable, match=r"mobilesam-decoder\.onnx"):
        OnnxSam("m", broken, broken, parameters=1, device="cpu")
