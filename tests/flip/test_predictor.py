from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from bench.segmenter import Prompt, Segmenter
from flip.gaussian import Gaussian, GaussianError
from flip.predictor import FlipPredictor, PredictorError, load_predictor
from flip.released import ReleasedFlip
from flip.sampler import NoPatches
from flip.segmenter import FlipSegmenter
from flip.target import evaluation_box
from objascale.files import file_sha256
from objascale.masks import MaskError, RegionMask


@pytest.fixture
def predictor(tiny: ReleasedFlip) -> FlipPredictor:
    return FlipPredictor(tiny)


@pytest.fixture(scope="session")
def photo(shared: Path) -> np.ndarray:
    return np.asarray(Image.open(shared / "assets/photos/flip-demo.png").convert("RGB"))


def test_finds_the_authors_objects(golden: dict, photo: np.ndarray, predictor: FlipPredictor) -> None:
    """With patches of our own drawing, as near to the authors' mask as another drawing of theirs is, or nearly so."""
    predictor.set_image(photo)
    for name in ("plate", "clip"):
        prompt = golden[name]
        theirs = RegionMask(prompt.box[0], prompt.box[1], prompt.mask, prompt.width, prompt.height)
        mask = predictor.predict(gaussian=prompt.gaussian)
        assert mask.iou(theirs) > prompt.arrays["iou_other_samplings"].min() - 0.04


@pytest.mark.parametrize("name", ["plate", "clip", "cat_eye", "head", "rocket"])
def test_evaluation_box_as_the_authors(name: str, golden: dict) -> None:
    prompt = golden[name]
    assert evaluation_box(prompt.gaussian, prompt.width, prompt.height) == prompt.box


def test_real_photographs(shared: Path, predictor: FlipPredictor) -> None:
    folder = shared / "assets" / "photos" / "coco128"
    coco = COCO(str(folder / "instances_train2017.json"))
    chosen = [a for a in coco.dataset["annotations"] if not a["iscrowd"] and 500 < a["area"] < 1500][:48:4]
    ious, ellipses = [], []
    for annotation in chosen:
        picture = folder / "images" / coco.imgs[annotation["image_id"]]["file_name"]
        predictor.set_image(np.asarray(Image.open(picture).convert("RGB")))
        truth = RegionMask.from_full(coco.annToMask(annotation))
        ious.append(truth.iou(predictor.predict(mask=truth)))
        ellipses.append(truth.iou(Gaussian.from_mask(truth).ellipse_mask(truth.width, truth.height)))
    assert len(ious) == 12
    assert np.mean(ious) > 0.75
    assert np.mean(ious) > np.mean(ellipses)


def test_the_order_of_prompts_does_not_matter(photo: np.ndarray, predictor: FlipPredictor) -> None:
    prompts = [(150, 350, 165, 375), (240, 340, 270, 360), (400, 200, 440, 220)]
    predictor.set_image(photo)
    forward = [predictor.predict(box=box) for box in prompts]
    predictor.set_image(np.zeros_like(photo))
    predictor.predict(box=prompts[0])
    predictor.set_image(photo)
    backward = [predictor.predict(box=box) for box in reversed(prompts)][::-1]
    for one, other in zip(forward, backward, strict=True):
        assert one.area > 0
        assert one.rle() == other.rle()


def test_another_seed_draws_other_patches(golden: dict, photo: np.ndarray, tiny: ReleasedFlip) -> None:
    masks = []
    for seed in (0, 1):
        predictor = FlipPredictor(tiny, seed=seed)
        predictor.set_image(photo)
        masks.append(predictor.predict(gaussian=golden["clip"].gaussian))
    assert 0.8 < masks[0].iou(masks[1]) < 1


def test_a_box_is_its_inscribed_ellipse(photo: np.ndarray, predictor: FlipPredictor) -> None:
    predictor.set_image(photo)
    box = (150.0, 350.0, 165.0, 375.0)
    assert predictor.predict(box=box).rle() == predictor.predict(gaussian=Gaussian.from_box(box)).rle()


@pytest.mark.parametrize("box", [(0, 0, 6, 6), (762, 506, 768, 512), (760, 0, 790, 20), (300, 300, 301, 301)])
def test_small_objects_and_objects_at_the_border(
    box: tuple[int, int, int, int], photo: np.ndarray, predictor: FlipPredictor
) -> None:
    predictor.set_image(photo)
    mask = predictor.predict(box=box)
    assert (mask.width, mask.height) == (768, 512)


def test_a_tiny_picture(predictor: FlipPredictor) -> None:
    image = np.zeros((12, 9, 3), np.uint8)
    image[4:8, 3:7] = 255
    predictor.set_image(image)
    assert predictor.predict(box=(3, 4, 7, 8)).area > 0


def test_a_huge_frame_costs_nothing(predictor: FlipPredictor) -> None:
    """A small object in an 8192² picture needs no array of the picture's size."""
    image = np.zeros((8192, 8192, 3), np.uint8)
    image[4000:4010, 5000:5010] = 255
    predictor.set_image(image)
    predictor.predict(box=(5000, 4000, 5010, 4010))  # compiles
    tracemalloc.start()
    predictor.set_image(image)
    mask = predictor.predict(box=(5000, 4000, 5010, 4010))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mask.area > 0
    assert peak < 4e6


def test_stages_are_timed(photo: np.ndarray, predictor: FlipPredictor) -> None:
    predictor.set_image(photo)
    predictor.stopwatch.reset()
    predictor.predict(box=(150, 350, 165, 375))
    assert {stage for stage, ms in predictor.stopwatch.reset().items() if ms > 0} == {"pre", "model", "post"}


def test_wrong_calls(predictor: FlipPredictor, tiny: ReleasedFlip) -> None:
    with pytest.raises(PredictorError, match="set_image"):
        predictor.predict(box=(0, 0, 5, 5))
    for shape, kind in (((5, 5), "uint8"), ((5, 5, 4), "uint8"), ((5, 5, 3), "float32")):
        with pytest.raises(PredictorError, match="uint8 H×W×3"):
            predictor.set_image(np.zeros(shape, kind))
    predictor.set_image(np.zeros((30, 30, 3), np.uint8))
    with pytest.raises(PredictorError, match="exactly one"):
        predictor.predict()
    with pytest.raises(PredictorError, match="exactly one"):
        predictor.predict(box=(0, 0, 5, 5), gaussian=Gaussian.from_point(5, 5, 2))
    with pytest.raises(GaussianError):
        predictor.predict(box=(5, 5, 5, 9))
    with pytest.raises(MaskError):
        predictor.predict(mask=RegionMask.empty(30, 30))
    with pytest.raises(NoPatches):
        predictor.predict(box=(500, 500, 510, 510))
    with pytest.raises(PredictorError, match="at least one patch"):
        FlipPredictor(tiny, tokens=0)
    with pytest.raises(PredictorError, match="cpu or cuda"):
        FlipPredictor(tiny, device="toaster")


def test_segmenter_is_what_the_harness_expects(weights: Path, photo: np.ndarray) -> None:
    segmenter: Segmenter = FlipSegmenter("flip-tiny", weights / "flip-tiny.safetensors", seed=3)
    assert segmenter.accepts == ("gaussian", "box")
    segmenter.set_image(photo)
    by_box = segmenter.predict(Prompt("box", box=(150, 350, 165, 375)))
    direct = load_predictor(weights / "flip-tiny.onnx", seed=3)
    direct.set_image(photo)
    assert by_box.rle() == direct.predict(box=(150, 350, 165, 375)).rle()
    gaussian = Gaussian.from_box((150, 350, 165, 375))
    assert segmenter.predict(Prompt("gaussian", gaussian=gaussian)).rle() == by_box.rle()
    card = segmenter.describe()
    assert (card.name, card.family, card.parameters, card.weights) == (
        "flip-tiny",
        "FLIP",
        513_804,
        "flip-tiny.safetensors",
    )
    assert card.weights_sha256 == file_sha256(weights / "flip-tiny.safetensors")
    recipe = {"overlap": 2.67, "coverage": 1.44, "spread": 2**0.5}
    assert card.settings == {"tokens": 512, "seed": 3, **recipe, "dense": False, "dtype": "float32"}
