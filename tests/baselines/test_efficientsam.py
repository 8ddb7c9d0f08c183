"""EfficientSAM on small graphs with the same inputs and outputs, compared with the graphs' full-frame masks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.nn.functional import interpolate

from baselines.efficientsam import EfficientSam, efficientsam_pixels
from baselines.registry import MODELS, fetch_weights, find_all_weights
from baselines.segmenter import ModelUnavailable, Options, Prompt
from flip.finite import NotFinite
from flip.weights import WeightsMissing

ENCODER = """
<ir_version: 8, opset_import: ["" : 17]>
encoder (float[b,3,h,w] batched_images) => (float[b,3,64,64] image_embeddings)
<int64[4] size = {1, 3, 1024, 1024}>
{
    none = Constant<value = float[0] {}>()
    input = Resize<mode = "linear", coordinate_transformation_mode = "half_pixel">(batched_images, none, none, size)
    image_embeddings = AveragePool<kernel_shape = [16, 16], strides = [16, 16]>(input)
}
"""

DECODER = """
<ir_version: 8, opset_import: ["" : 17]>
decoder (
    float[1,3,64,64] image_embeddings, float[1,1,2,2] batched_point_coords, float[1,1,2] batched_point_labels,
    int64[2] orig_im_size
) => (float[1,1,3,h,w] output_masks, float[1,1,3] iou_predictions)
<int64[2] first = {1, 3}, int64[1] axis = {1}, int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2},
 float side = {1024}, float half = {0.5}, float[1,3,1,1] radii = {1, 0.6, 2}, float[1,1,3] quality = {0.2, 0.9, 0.4}>
{
    sizes = Cast<to = 1>(orig_im_size)
    height = Slice(sizes, zero, one)
    width = Slice(sizes, one, two)
    across = Concat<axis = 0>(width, height)
    fractions = Div(batched_point_coords, across)
    from_zero = Mul(fractions, side)
    corners = Squeeze(from_zero, first_axes)
    upper_left = Slice(corners, zero, one)
    lower_right = Slice(corners, one, two)
    sum = Add(upper_left, lower_right)
    centre = Mul(sum, half)
    difference = Sub(lower_right, upper_left)
    extent = Mul(difference, half)
    cx = Slice(centre, zero, one, axis)
    cy = Slice(centre, one, two, axis)
    ex = Slice(extent, zero, one, axis)
    ey = Slice(extent, one, two, axis)
    dx = Sub(columns, cx)
    dy = Sub(rows, cy)
    qx = Div(dx, ex)
    qy = Div(dy, ey)
    xx = Mul(qx, qx)
    yy = Mul(qy, qy)
    distance = Add(xx, yy)
    logits = Sub(radii, distance)
    tint = ReduceMean<keepdims = 0>(image_embeddings)
    low = Add(logits, tint)
    none = Constant<value = float[0] {}>()
    full_size = Concat<axis = 0>(first, orig_im_size)
    large = Resize<mode = "linear", coordinate_transformation_mode = "half_pixel">(low, none, none, full_size)
    output_masks = Unsqueeze(large, zero)
    labels = ReduceSum<keepdims = 0>(batched_point_labels)
    five = Constant<value = float {5}>()
    right = Div(labels, five)
    iou_predictions = Mul(quality, right)
}
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, Path]:
    """Write a decoder whose masks are ellipses in the box. The second of the three has the highest estimated IoU."""
    folder = tmp_path_factory.mktemp("graphs")
    encoder = onnx.parser.parse_model(ENCODER)
    decoder = onnx.parser.parse_model(DECODER)
    grid = (np.arange(256, dtype=np.float32) + 0.5) * 4
    for name, array in (
        ("columns", grid.reshape(1, 1, 1, 256)),
        ("rows", grid.reshape(1, 1, 256, 1)),
        ("first_axes", np.array([0, 1])),
    ):
        decoder.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(encoder, folder / "efficient_sam_vitt_encoder.onnx")
    onnx.save(decoder, folder / "efficient_sam_vitt_decoder.onnx")
    return folder / "efficient_sam_vitt_encoder.onnx", folder / "efficient_sam_vitt_decoder.onnx"


def picture(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(640, 427), (30, 50), (1, 1), (1300, 1100)])
def test_the_mask_equals_the_full_frame_mask_of_the_graph(pair, size):
    width, height = size
    image = picture(width, height)
    model = EfficientSam("efficientsam-t", *pair, parameters=1, device="cpu")
    model.set_image(image)
    encoder, decoder = (onnxruntime.InferenceSession(path) for path in pair)
    whole = image.transpose(2, 0, 1)[None].astype(np.float32) / 255
    (embedding,) = encoder.run(None, {"batched_images": whole})
    assert np.abs(model._embedding - embedding).max() < 1e-5
    for box in ((0, 0, width, height), (width * 0.2, height * 0.3, width * 0.7, height * 0.5)):
        masks, quality = decoder.run(
            None,
            {
                "image_embeddings": embedding,
                "batched_point_coords": np.array(box, np.float32).reshape(1, 1, 2, 2),
                "batched_point_labels": np.array([[[2, 3]]], np.float32),
                "orig_im_size": np.array([height, width]),
            },
        )
        assert quality[0, 0] == pytest.approx([0.2, 0.9, 0.4])
        mine = model.predict(Prompt("box", box=box))
        differ = mine.full() != (masks[0, 0, 1] >= 0)
        assert np.abs(masks[0, 0, 1][differ]).max(initial=0) < 1e-3  # rounding of onnxruntime
        assert differ.mean() < 1e-3
        assert mine.area > 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("constant", ["radii", "quality"])
def test_bad_numbers_in_the_graph_make_no_mask(pair, tmp_path, constant, value):
    """NaN and infinity in the masks and in the estimated IoU are errors."""
    graph = onnx.load(pair[1])
    (tensor,) = (tensor for tensor in graph.graph.initializer if tensor.name == constant)
    numbers = np.full_like(onnx.numpy_helper.to_array(tensor), value)
    tensor.CopyFrom(onnx.numpy_helper.from_array(numbers, constant))
    onnx.save(graph, tmp_path / "decoder.onnx")
    model = EfficientSam("efficientsam-t", pair[0], tmp_path / "decoder.onnx", parameters=1, device="cpu")
    model.set_image(picture(64, 48))
    with pytest.raises(NotFinite, match=r"^efficientsam-t returned NaN .* for the box \(1, 2, 30, 40\), so"):
        model.predict(Prompt("box", box=(1, 2, 30, 40)))


@pytest.mark.parametrize("size", [(640, 427), (1, 1), (3, 2000), (1024, 1024), (1500, 1025)])
def test_the_resize_equals_pytorch_without_antialiasing(size):
    image = picture(*size)
    theirs = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    theirs = interpolate(theirs, (1024, 1024), mode="bilinear").numpy()
    mine = efficientsam_pixels(image)
    assert (mine.shape, mine.dtype) == (theirs.shape, np.float32)
    assert np.abs(mine - theirs).max() < 2e-4  # PyTorch rounds sample positions to float32


def test_the_registered_model_loads(pair):
    model = MODELS["efficientsam-t"].load(pair, Options("cpu"))
    card = model.describe()
    assert (card.name, card.parameters) == ("efficientsam-t", 10_223_204)
    assert card.weights == "efficient_sam_vitt_encoder.onnx, efficient_sam_vitt_decoder.onnx"


def test_it_cannot_have_random_weights():
    with pytest.raises(ModelUnavailable, match="cannot be made untrained"):
        MODELS["efficientsam-t"].load(None, Options("cpu"))


def test_the_error_for_unpublished_graphs_explains_the_export(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    for ask in (lambda row: fetch_weights(row, tmp_path), lambda row: find_all_weights([row], tmp_path)):
        with pytest.raises(WeightsMissing, match=r"unzip weights/efficient_sam_vits\.pt\.zip .* export_to_onnx\.py"):
            ask(MODELS["efficientsam-s"])


def test_an_error_names_a_truncated_file(pair, tmp_path):
    broken = tmp_path / "efficient_sam_vitt_decoder.onnx"
    broken.write_bytes(pair[1].read_bytes()[:700])
    with pytest.raises(ModelUnavailable, match=r"vitt_decoder\.onnx"):
        EfficientSam("efficientsam-t", pair[0], broken, parameters=1, device="cpu")
