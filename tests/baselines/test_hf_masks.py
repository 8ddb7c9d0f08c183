"""Masks of `hf:` models equal those of transformers' own processor, network and post-processing, to the last pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from baselines.crop import Cropped, crop_square
from baselines.hf.architectures import ARCHITECTURES
from baselines.hf.folder import weights_files
from baselines.hf.load import load_hf
from baselines.hf.segmenter import HfSam
from baselines.sam import PROMPTS_PER_DECODE, prompt_points
from baselines.segmenter import Click, Options, Prompt
from flip.finite import NotFinite
from tests.baselines.tiny_hf import CONFIGS

SIZES = {
    "as the input": (64, 64),
    "larger, wide": (400, 90),
    "larger, tall": (80, 300),
    "smaller, wide": (47, 30),
    "flat": (200, 3),
}
"""Widths and heights of images. The input is 64 px wide."""


@pytest.fixture(scope="session")
def tiny(tiny_hf: Any) -> Any:
    """Return a function that loads a tiny model by `model_type` once."""
    loaded: dict[str, HfSam] = {}

    def load(model_type: str) -> HfSam:
        if model_type not in loaded:
            loaded[model_type] = load_hf("tiny", weights_files(tiny_hf(model_type)), Options("cpu"))
        return loaded[model_type]

    return load


@pytest.fixture(scope="session")
def official(tiny_hf: Any) -> Any:
    """Return a function that loads the network and the processor of a tiny model by `model_type` once."""
    import transformers

    loaded: dict[str, Any] = {}

    def load(model_type: str) -> Any:
        if model_type not in loaded:
            folder = tiny_hf(model_type)
            network = transformers.AutoModelForMaskGeneration.from_pretrained(folder)
            processor = getattr(transformers, ARCHITECTURES[model_type].processor).from_pretrained(folder)
            loaded[model_type] = network.eval(), processor
        return loaded[model_type]

    return load


def picture(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def prompts_of(kind: str, width: int, height: int) -> list[Prompt]:
    """Return six boxes, six points, or six times a click on the object and a click beside it."""
    rng = np.random.default_rng(height)
    corners = np.sort(rng.uniform(0, 1, (6, 2, 2)), axis=1) * (width, height)
    if kind == "box":
        return [Prompt("box", box=tuple(map(float, box.ravel()))) for box in corners]
    if kind == "clicks":
        pairs = [tuple(Click(*map(float, at), bool(i)) for i, at in enumerate(pair[::-1])) for pair in corners]
        return [Prompt("clicks", clicks=pair[::-1]) for pair in pairs]
    return [Prompt("point", point=tuple(map(float, point))) for point in corners[:, 0] + 0.25]


def by_hand(official: Any, image: NDArray[np.uint8], prompts: list[Prompt]) -> NDArray[np.bool_]:
    """Return masks (n, H, W) as the documentation of transformers computes them, in one call."""
    network, processor = official
    if prompts[0].box:
        inputs: dict[str, Any] = {"input_boxes": [[list(prompt.box) for prompt in prompts]]}
    else:  # as indices of pixels
        clicks = [prompt.clicks or (Click(*prompt.point),) for prompt in prompts]
        points = [[[click.x - 0.5, click.y - 0.5] for click in each] for each in clicks]
        labels = [[int(click.positive) for click in each] for each in clicks]
        inputs = {"input_points": [points], "input_labels": [labels]}
    # without a format, transformers would take an image 3 px high for one with channels first
    prepared = processor(images=image, **inputs, input_data_format="channels_last", return_tensors="pt")
    sizes = [prepared[name] for name in ("original_sizes", "reshaped_input_sizes") if name in prepared]
    with torch.no_grad():
        logits = network(**prepared, multimask_output=False).pred_masks
    return processor.post_process_masks(logits, *sizes)[0][:, 0].numpy()


def not_trivial(masks: NDArray[np.bool_]) -> bool:
    """Whether a mask has pixels of both kinds."""
    return bool((masks.any((1, 2)) & ~masks.all((1, 2))).any())


FAMILIES = ("sam", "sam_hq", "sam2", "edgetam", "sam3_tracker")
CASES = [
    (model_type, kind, name)
    for model_type in CONFIGS
    for name in (SIZES if model_type in FAMILIES else ["larger, wide"])  # a model of videos is one of the families
    for kind in (("box", "point", "clicks") if name == "larger, wide" else ("box",))
]


@pytest.mark.parametrize(("model_type", "kind", "size"), CASES)
def test_masks_equal_those_of_transformers(tiny: Any, official: Any, model_type: str, kind: str, size: str) -> None:
    image, prompts = picture(*SIZES[size]), prompts_of(kind, *SIZES[size])
    model = tiny(model_type)
    model.set_image(image)
    theirs = by_hand(official(model_type), image, prompts[:1])
    assert np.array_equal(model.predict(prompts[0]).full(), theirs[0])
    step = PROMPTS_PER_DECODE["cpu"]
    together = [by_hand(official(model_type), image, prompts[at : at + step]) for at in range(0, len(prompts), step)]
    theirs = np.concatenate(together)
    assert not_trivial(theirs)
    assert len(np.unique(theirs, axis=0)) > 1  # the prompt matters
    assert np.array_equal([mask.full() for mask in model.predict_many(prompts)], theirs)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_masks_of_clicks_equal_those_of_transformers(tiny: Any, official: Any, model_type: str) -> None:
    width, height = SIZES["larger, wide"]
    image = picture(width, height)
    places = [prompt.point for prompt in prompts_of("point", width, height)]
    pairs = (Click(*places[0]), Click(*places[1], False)), (Click(*places[2]), Click(*places[3], False))
    prompts = [Prompt("clicks", clicks=pair) for pair in pairs]
    model = tiny(model_type)
    model.set_image(image)
    theirs = by_hand(official(model_type), image, prompts)
    assert not_trivial(theirs)
    assert np.array_equal([mask.full() for mask in model.predict_many(prompts)], theirs)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_masks_of_crops_equal_those_of_transformers_on_the_crop(tiny: Any, official: Any, model_type: str) -> None:
    width, height = 300, 200
    image, box = picture(width, height), (40.5, 60.0, 90.0, 83.25)
    cropped = Cropped(tiny(model_type))
    cropped.set_image(image)
    x0, y0, x1, y1 = crop_square(box, 2.0, width, height)
    moved = Prompt("box", box=(box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0))
    theirs = by_hand(official(model_type), image[y0:y1, x0:x1], [moved])
    assert not_trivial(theirs)
    full = np.zeros((height, width), bool)
    full[y0:y1, x0:x1] = theirs[0]
    assert np.array_equal(cropped.predict(Prompt("box", box=box)).full(), full)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_the_image_is_encoded_once(tiny: Any, model_type: str) -> None:
    model, calls = tiny(model_type), []
    watch = model._network.vision_encoder.register_forward_hook(lambda *_: calls.append(1))
    model.set_image(picture(70, 50))
    model.predict_many([*prompts_of("box", 70, 50), *prompts_of("point", 70, 50)])
    watch.remove()
    assert calls == [1]


def test_prompts_of_both_kinds_keep_their_order(tiny: Any) -> None:
    model = tiny("sam2")
    model.set_image(picture(70, 50))
    boxes, points = prompts_of("box", 70, 50), prompts_of("point", 70, 50)
    mixed = [boxes[0], points[0], points[1], boxes[1]]
    alone = [model.predict(prompt) for prompt in mixed]
    for mask, single in zip(model.predict_many(mixed), alone, strict=True):
        assert (mask.full() != single.full()).mean() < 0.01  # rounding in a batch


@pytest.mark.parametrize(("model_type", "precision"), [*((name, "bf16") for name in FAMILIES), ("sam", "fp16")])
def test_mixed_precision_gives_nearly_the_same_logits(tiny: Any, tiny_hf: Any, model_type: str, precision: Any) -> None:
    mixed = load_hf("tiny", weights_files(tiny_hf(model_type)), Options("cpu", precision))
    assert mixed.describe().settings["precision"] == precision
    logits = []
    for model in (mixed, tiny(model_type)):
        model.set_image(picture(70, 50))
        with torch.inference_mode():
            boxes = prompts_of("box", 70, 50)
            points, labels = torch.from_numpy(model._points(boxes)), torch.from_numpy(prompt_points(boxes)[1])
            logits.append(model._decode(points, labels).float())
    error = (logits[0] - logits[1]).abs().mean() / logits[1].abs().mean()
    assert 1e-6 < error < 0.1


def test_positions_are_encoded_in_full_precision(tiny: Any, tiny_hf: Any) -> None:
    mixed = load_hf("tiny", weights_files(tiny_hf("sam2")), Options("cpu", "bf16"))
    points = torch.rand(1, 1, 2, 2) * 64
    with mixed._autocast():
        encoded = mixed._network.prompt_encoder.shared_embedding(points, (64, 64))
        assert encoded.dtype == torch.bfloat16  # without the protection
        sparse, _ = mixed._network.prompt_encoder(None, None, points.flatten(2), None)
        assert mixed._network.get_image_wide_positional_embeddings().dtype == torch.float32
    assert sparse.dtype == torch.float32


@pytest.mark.parametrize("model_type", ["sam2", "edgetam", "sam3_tracker"])
def test_the_fallback_to_the_best_of_three_masks_is_recorded(tiny: Any, model_type: str) -> None:
    model, prompts = tiny(model_type), prompts_of("box", 70, 50)
    decoder, seen = model._network.mask_decoder, []
    choose = decoder._dynamic_multimask_via_stability

    def watched(logits: torch.Tensor, scores: torch.Tensor) -> Any:
        chosen, best = choose(logits, scores)
        seen.extend((chosen[:, :, 0] != logits[:, :, 0]).flatten(2).any(-1).flatten().tolist())
        return chosen, best

    decoder._dynamic_multimask_via_stability = watched
    threshold = decoder.dynamic_multimask_stability_thresh
    model.set_image(picture(70, 50))
    try:
        model.predict_many(prompts)
        assert model.fallbacks == seen
        assert len(seen) == len(prompts)
        assert any(seen)
        assert Cropped(model).fallbacks == seen
    finally:
        del decoder._dynamic_multimask_via_stability
    assert decoder.dynamic_multimask_stability_thresh == threshold
    assert model.describe().settings["multimask"] == "fallback"
    model.predict(prompts[0])
    assert model.fallbacks == seen[:1]


@pytest.mark.parametrize("model_type", ["sam", "sam_hq"])
def test_a_network_without_fallback_records_none(tiny: Any, model_type: str) -> None:
    model = tiny(model_type)
    model.set_image(picture(70, 50))
    model.predict_many(prompts_of("box", 70, 50))
    assert model.fallbacks == []


def test_nan_logits_make_no_mask(tiny_hf: Any) -> None:
    model = load_hf("tiny", weights_files(tiny_hf("sam")), Options("cpu"))
    with torch.no_grad():
        model._network.mask_decoder.upscale_conv2.bias[0] = torch.nan
    model.set_image(picture(70, 50))
    with pytest.raises(NotFinite, match="tiny returned NaN or infinite logits for the box"):
        model.predict(prompts_of("box", 70, 50)[0])


def test_a_channel_of_three_rows_is_not_taken_for_colours(tiny: Any) -> None:
    model = tiny("sam2")
    image = np.zeros((3, 40, 3), np.uint8)
    image[:, 20:] = 255
    pixels = model._prepare(image)
    assert (np.diff(pixels[0], axis=1) == 0).all()  # all rows of the input are alike
    assert pixels[0, 0, 0, 0] < 0 < pixels[0, 0, 0, -1]


def test_the_card_says_how_the_masks_are_made(tiny: Any, tiny_hf: Any) -> None:
    import hashlib

    for model_type in CONFIGS:
        card = tiny(model_type).describe()
        content = Path(tiny_hf(model_type), "model.safetensors").read_bytes()
        assert (card.weights, card.weights_sha256) == ("model.safetensors", hashlib.sha256(content).hexdigest())
        assert card.family == ARCHITECTURES[model_type].family
        multimask = False if model_type in ("sam", "sam_hq") else "fallback"
        assert card.settings == {"input": 64, "multimask": multimask, "precision": "fp32", "device": "cpu"}
        assert card.parameters > 50_000
        assert not card.untrained
