from __future__ import annotations

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from baselines.flip import FlipSegmenter
from baselines.segmenter import Prompt, Segmenter
from flip.gaussian import Gaussian, GaussianError
from flip.predictor import load_predictor
from flip.prompts import PredictorError
from flip.released.model import ReleasedFlip
from flip.released.predictor import FlipPredictor
from flip.released.target import evaluation_box
from flip.sampler import SHRUNK, NoPatches, Recipe
from objascale.files import file_sha256
from objascale.masks import MaskError, RegionMask


@pytest.fixture
def predictor(tiny: ReleasedFlip) -> FlipPredictor:
    return FlipPredictor(tiny)


@pytest.fixture(scope="session")
def photo(shared: Path) -> np.ndarray:
    return np.asarray(Image.open(shared / "assets/photos/flip-demo.png").convert("RGB"))


def test_the_authors_objects_are_segmented(golden: dict, photo: np.ndarray, predictor: FlipPredictor) -> None:
    """The masks are about as close to the authors' masks as those of another draw of the authors."""
    predictor.set_image(photo)
    for name in ("plate", "clip"):
        prompt = golden[name]
        theirs = RegionMask(prompt.box[0], prompt.box[1], prompt.mask, prompt.width, prompt.height)
        mask = predictor.predict(gaussian=prompt.gaussian)
        assert mask.iou(theirs) > prompt.arrays["iou_other_samplings"].min() - 0.04


@pytest.mark.parametrize("name", ["plate", "clip", "cat_eye", "head", "rocket"])
def test_the_search_box_is_that_of_the_authors(name: str, golden: dict) -> None:
    prompt = golden[name]
    assert evaluation_box(prompt.gaussian, prompt.width, prompt.height) == prompt.box


def test_objects_in_photographs_are_segmented_better_than_by_the_ellipse(
    shared: Path, predictor: FlipPredictor
) -> None:
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


def test_a_box_counts_as_its_inscribed_ellipse(photo: np.ndarray, predictor: FlipPredictor) -> None:
    predictor.set_image(photo)
    box = (150.0, 350.0, 165.0, 375.0)
    assert predictor.predict(box=box).rle() == predictor.predict(gaussian=Gaussian.from_box(box)).rle()


def test_a_point_and_an_ellipse_are_gaussians(photo: np.ndarray, predictor: FlipPredictor) -> None:
    predictor.set_image(photo)
    for given, gaussian in (
        ({"point": (157, 362, 5)}, Gaussian.from_point(157, 362, 5)),
        ({"ellipse": (157, 362, 9, 14, 30)}, Gaussian.from_ellipse(157, 362, 9, 14, 30)),
    ):
        mask = predictor.predict(**given)
        assert mask.area > 0
        assert mask.rle() == predictor.predict(gaussian=gaussian).rle()


def test_a_box_that_sticks_out_is_cut_at_the_edges_of_the_image(photo: np.ndarray, predictor: FlipPredictor) -> None:
    predictor.set_image(photo)
    height, width = photo.shape[:2]
    for out, inside in (
        ((-40, -30, 60, 80), (0, 0, 60, 80)),
        ((width - 50, height - 70, width + 90, height + 7), (width - 50, height - 70, width, height)),
    ):
        mask = predictor.predict(box=out)
        assert mask.rle() == predictor.predict(gaussian=Gaussian.from_box(inside)).rle()
        assert predictor.predict_many([out])[0].rle() == mask.rle()


def test_prompts_may_be_arrays(photo: np.ndarray, predictor: FlipPredictor) -> None:
    """Masks and boxes may be NumPy arrays, and a predicted mask may be a prompt."""
    predictor.set_image(photo)
    box = np.array((150, 350, 165, 375), np.float32)
    first = predictor.predict(box=box)
    assert first.rle() == predictor.predict(box=(150, 350, 165, 375)).rle()
    again = predictor.predict(mask=first)
    assert again.area > 0
    for kind in (bool, np.uint8, np.float32):
        assert predictor.predict(mask=np.asarray(first).astype(kind)).rle() == again.rle()
    prompts = [box, box.tolist(), np.asarray(first)]
    for mask, expected in zip(predictor.predict_many(prompts), (first, first, again), strict=True):
        assert mask.iou(expected) >= 0.9999
    assert predictor.predict(point=np.array((157, 362, 5))).rle() == predictor.predict(point=(157, 362, 5)).rle()


def test_results_are_bool_arrays_of_the_images_size(photo: np.ndarray, predictor: FlipPredictor) -> None:
    predictor.set_image(photo)
    mask = predictor.predict(box=[150, 350, 165, 375])
    array = np.asarray(mask)
    assert (array.shape, array.dtype) == (photo.shape[:2], bool)
    assert len(photo[array]) == mask.area > 0


@pytest.mark.parametrize("box", [(0, 0, 6, 6), (762, 506, 768, 512), (760, 0, 790, 20), (300, 300, 301, 301)])
def test_small_objects_and_objects_at_the_edge_give_masks(
    box: tuple[int, int, int, int], photo: np.ndarray, predictor: FlipPredictor
) -> None:
    predictor.set_image(photo)
    mask = predictor.predict(box=box)
    assert (mask.width, mask.height) == (768, 512)


def test_single_pixels_are_segmented_better_than_by_the_authors_recipe(photo: np.ndarray, tiny: ReleasedFlip) -> None:
    """Pixels are everywhere, also in corners, in blurred surroundings."""
    image = cv2.GaussianBlur(np.ascontiguousarray(photo[60:424, 60:708]), (0, 0), 3)
    pixels = [(x, y) for x in (0, 40, 150, 260, 370, 480, 590, 647) for y in (0, 60, 180, 300, 363)]
    for x, y in pixels:
        image[y, x] = (image[y, x].astype(int) + 128) % 256
    truths = [RegionMask(x, y, np.ones((1, 1), bool), 648, 364) for x, y in pixels]
    ours, theirs = FlipPredictor(tiny), FlipPredictor(tiny, recipe=Recipe(min_area=0))
    scores = []
    for predictor in (ours, theirs):
        predictor.set_image(image)
        ious = []
        for truth in truths:
            try:
                ious.append(truth.iou(predictor.predict(mask=truth)))
            except NoPatches:
                assert predictor is theirs
                ious.append(0.0)
        scores.append(np.mean(ious))
    assert scores[0] > 0.2
    assert scores[0] > scores[1] + 0.08


def test_a_long_object_in_a_low_image_is_segmented(predictor: FlipPredictor) -> None:
    """Its size asks for patches of 16 px only, which do not fit into an image of this height."""
    image = np.full((10, 3000, 3), 60, np.uint8)
    image[3:7, 100:2900] = (230, 220, 60)
    predictor.set_image(image)
    truth = RegionMask(100, 3, np.ones((4, 2800), bool), 3000, 10)
    assert truth.iou(predictor.predict(mask=truth)) > 0.6


def test_a_tiny_image_gives_a_mask(predictor: FlipPredictor) -> None:
    image = np.zeros((12, 9, 3), np.uint8)
    image[4:8, 3:7] = 255
    predictor.set_image(image)
    assert predictor.predict(box=(3, 4, 7, 8)).area > 0


def test_a_huge_image_needs_no_memory(predictor: FlipPredictor) -> None:
    """A small object in an 8192² image needs no array of the image's size."""
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


def test_wrong_arguments_are_named(predictor: FlipPredictor, tiny: ReleasedFlip) -> None:
    with pytest.raises(PredictorError, match="set_image"):
        predictor.predict(box=(0, 0, 5, 5))
    with pytest.raises(PredictorError, match="shape H×W"):
        predictor.set_image(np.zeros((5, 5, 2), np.uint8))
    predictor.set_image(np.zeros((30, 30, 3), np.uint8))
    with pytest.raises(PredictorError, match="exactly one"):
        predictor.predict()
    with pytest.raises(PredictorError, match="exactly one"):
        predictor.predict(box=(0, 0, 5, 5), gaussian=Gaussian.from_point(5, 5, 2))
    with pytest.raises(PredictorError, match=r"point must be \(x, y, scale\), not \(5, 5\)"):
        predictor.predict(point=(5, 5))  # type: ignore[arg-type]
    with pytest.raises(PredictorError, match=r"box must be \(x0, y0, x1, y1\)"):
        predictor.predict(box=(5, 5, 3))  # type: ignore[arg-type]
    with pytest.raises(PredictorError, match="ellipse must be"):
        predictor.predict(ellipse=(5, 5, 3, 3))  # type: ignore[arg-type]
    for wrong in (RegionMask.empty(31, 30), np.ones((30, 31), bool), np.ones((1, 30, 30), bool)):
        with pytest.raises(PredictorError, match=r"mask must (have the size of the image, 30×30|be an array H×W)"):
            predictor.predict(mask=wrong)
    with pytest.raises(GaussianError):
        predictor.predict(point=(5, 5, 0))
    with pytest.raises(GaussianError):
        predictor.predict(box=(5, 5, 5, 9))
    with pytest.raises(MaskError):
        predictor.predict(mask=RegionMask.empty(30, 30))
    with pytest.raises(NoPatches):
        predictor.predict(box=(500, 500, 510, 510))
    with pytest.raises(PredictorError, match="tokens must be at least 1"):
        FlipPredictor(tiny, tokens=0)
    with pytest.raises(PredictorError, match="cpu or cuda"):
        FlipPredictor(tiny, device="toaster")


def test_the_segmenter_fulfils_the_protocol(weights: Path, photo: np.ndarray) -> None:
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
    recipe = {"overlap": 2.67, "coverage": 1.44, "spread": 2**0.5, "least": 16.0}
    where = {"dtype": "float32", "device": "cpu"}
    assert card.settings == {"tokens": 512, "seed": 3, **recipe, "dense": False, **where}


def test_the_segmenter_takes_many_prompts(weights: Path, photo: np.ndarray) -> None:
    segmenter = FlipSegmenter("flip-tiny", weights / "flip-tiny.safetensors")
    segmenter.set_image(photo)
    boxes = [(150, 350, 165, 375), (240, 340, 270, 360)]
    prompts = [Prompt("box", box=boxes[0]), Prompt("gaussian", gaussian=Gaussian.from_box(boxes[1]))]
    together = segmenter.predict_many(prompts)
    assert [mask.rle() for mask in together] == [segmenter.predict(prompt).rle() for prompt in prompts]
    assert segmenter.predict_many([]) == []
    with pytest.raises(PredictorError, match="not a point"):
        segmenter.predict(Prompt("point", point=(5, 5)))


def test_the_segmenter_takes_another_precision(weights: Path, photo: np.ndarray) -> None:
    path = weights / "flip-tiny.safetensors"
    single, half = (FlipSegmenter("flip-tiny", path, dtype=kind) for kind in ("float32", "bfloat16"))
    assert half.describe().settings == {**single.describe().settings, "dtype": "bfloat16"}
    prompt, masks = Prompt("box", box=(150, 350, 165, 375)), []
    for segmenter in (single, half):
        segmenter.set_image(photo)
        masks.append(segmenter.predict(prompt))
    assert 0.6 < masks[0].iou(masks[1]) < 1
    with pytest.raises(PredictorError, match="float32"):
        FlipSegmenter("flip-tiny", weights / "flip-tiny.safetensors", dtype="float8")


def test_a_recipe_that_does_not_fit_is_an_error(tiny: ReleasedFlip) -> None:
    with pytest.raises(PredictorError, match=r"patches of \(1, 2, 4, 8, 16\) px, not \(2, 4\)"):
        FlipPredictor(tiny, recipe=Recipe(sizes=(2, 4)))
    with pytest.raises(PredictorError, match="the released models take no patches of a shrunk image"):
        FlipPredictor(tiny, recipe=SHRUNK)
