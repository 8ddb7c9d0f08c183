"""FastSAM on random networks with detections, compared with masks of ultralytics to the pixel."""

from __future__ import annotations

import copy
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from baselines import fastsam
from baselines.fastsam import DISTANCE_BINS, FastSam, build_fastsam, fastsam_pixels, load_fastsam
from baselines.registry import MODELS
from baselines.segmenter import ModelUnavailable, Options, Prompt
from baselines.torch_loading import network_card
from baselines.ultralytics_offline import offline
from flip.finite import NotFinite

with offline():
    from ultralytics.models.fastsam import FastSAMPredictor


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Return an image of coloured squares of 8 px."""
    squares = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return squares.repeat(8, 0).repeat(8, 1)[:height, :width]


def finder(confidence: float) -> torch.nn.Module:
    """Return a network whose detections differ in place, size, confidence and mask; `confidence` is their logit."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_fastsam("s", DISTANCE_BINS["s"])
        head = network.model[-1]
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.momentum = 1.0
            network.train()(
                fastsam_pixels(picture(320, 320))[..., ::4, ::4]
            )  # without it the signal fades from layer to layer
            for boxes, classes, masks in zip(head.cv2, head.cv3, head.cv4, strict=True):
                boxes[-1].weight.mul_(8)
                classes[-1].weight.mul_(0.5)
                classes[-1].bias.fill_(confidence)
                masks[-1].bias.normal_()
    return network.eval()


def segmenter(network: torch.nn.Module) -> FastSam:
    network = copy.deepcopy(network)
    return FastSam(network, network_card("fastsam-s", "FastSAM", network, None))


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return finder(-1.3)


@pytest.fixture(scope="module")
def model(network) -> FastSam:
    return segmenter(network)


@pytest.fixture
def official(loaded, monkeypatch):
    """Return the predictor of ultralytics, without torchvision, whose operators may be missing."""
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    return loaded


@pytest.fixture(scope="module")
def loaded(network):
    """Return the predictor of ultralytics without the warm-up, which imports torchvision."""
    overrides = {"conf": 0.4, "iou": 0.9, "imgsz": 1024, "retina_masks": True, "rect": True, "mode": "predict"}
    predictor = FastSAMPredictor(overrides={**overrides, "save": False, "verbose": False, "device": "cpu"})
    threads = torch.get_num_threads()
    predictor.setup_model(copy.deepcopy(network), verbose=False)
    torch.set_num_threads(threads)  # the number of threads changes the last bits
    predictor.done_warmup = True
    return predictor


@pytest.mark.parametrize(("size", "millions"), [("s", 11.8), ("x", 72.2)])
def test_parameters_are_those_of_the_paper_and_of_the_registry(size, millions):
    count = sum(parameter.numel() for parameter in build_fastsam(size, DISTANCE_BINS[size]).parameters())
    assert count == MODELS[f"fastsam-{size}"].parameters
    assert round(count / 1e6, 1) == millions


# Long pictures: the network's input is 1024 px long, and its height is the cost.
@pytest.mark.parametrize("size", [(640, 227), (133, 500), (13, 61), (750, 150), (2000, 31), (1, 300)])
def test_the_mask_equals_ultralytics(model, official, size):
    width, height = size
    image = picture(width, height)
    model.set_image(image)
    (everything,) = official(image[..., ::-1].copy())
    assert len(everything) == len([found for found in model._detections if found.area]) > 1
    rng = np.random.default_rng(1)
    boxes = [(0, 0, width, height), (0, 0, 1, 1), (width - 1, height - 1, width, height)]
    for _ in range(3):
        x0, y0 = int(rng.integers(0, width)), int(rng.integers(0, height))
        boxes.append((x0, y0, int(rng.integers(x0, width)) + 1, int(rng.integers(y0, height)) + 1))
    masks = []
    for box in boxes:
        (theirs,) = official.prompt([everything], bboxes=[list(box)])
        (theirs,) = theirs.masks.data.numpy()
        mine = model.predict(Prompt("box", box=box))
        assert np.array_equal(mine.full(), theirs.astype(bool))
        masks.append(theirs.tobytes())
    assert len(set(masks)) > 1


def test_a_fractional_box_is_cropped_as_by_ultralytics(model, official):
    image = picture(640, 127)
    model.set_image(image)
    (everything,) = official(image[..., ::-1].copy())
    box = (100.7, -3.2, 300.9, 150.1)
    (theirs,) = official.prompt([everything], bboxes=[list(box)])
    assert np.array_equal(model.predict(Prompt("box", box=box)).full(), theirs.masks.data[0].numpy().astype(bool))


def test_no_detection_is_an_empty_mask():
    model = segmenter(finder(-99))
    model.set_image(picture(640, 127))
    mask = model.predict(Prompt("box", box=(1, 1, 50, 50)))
    assert (mask.area, mask.width, mask.height) == (0, 640, 127)


INFINITE = (math.nan, math.inf, -math.inf)


@pytest.fixture(scope="module")
def seeing(network) -> FastSam:
    """Return a model with detections of an image, which tests copy."""
    model = segmenter(network)
    model.set_image(picture(320, 80))
    return model


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *(("model.0.conv.weight", value) for value in INFINITE),
        *(("model.22.proto.cv3.conv.weight", value) for value in INFINITE),
        ("model.22.cv3.0.2.bias", math.nan),  # a bias of the confidences; infinity would give 0 or 1
    ],
)
def test_a_bad_weight_gives_an_error_and_no_empty_mask(seeing, part, value):
    model = copy.deepcopy(seeing)
    assert model._detections
    with torch.no_grad():
        parameter = model._network.get_parameter(part)
        parameter[(0,) * parameter.ndim] = value
    with pytest.raises(NotFinite, match=r"^fastsam-s returned NaN or infinite logits for this image, so"):
        model.set_image(picture(320, 80))
    assert not model._detections, "detections of the previous image must be deleted"


@pytest.mark.parametrize(
    ("size", "shape"),
    [((640, 427), (704, 1024)), ((37, 61), (1024, 640)), ((1, 300), (1024, 32)), ((8, 8), (1024,) * 2)],
)
def test_the_input_is_grey_around_the_picture(size, shape):
    pixels = fastsam_pixels(np.full((size[1], size[0], 3), (255, 0, 51), np.uint8))
    assert pixels.shape == (1, 3, *shape)
    assert pixels[0, :, shape[0] // 2, shape[1] // 2].tolist() == pytest.approx([1, 0, 0.2])
    if shape[0] != shape[1]:
        assert pixels[0, :, 0, 0].tolist() == pytest.approx([114 / 255] * 3)


class Largest(TorchDispatchMode):
    """Record the size of the largest tensor that any operation returns."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


def test_8192_pixels_need_no_full_frame_of_floats(network):
    model = segmenter(network)
    model._size = (8192, 8192)
    found = torch.zeros(37, 3)
    found[:4] = torch.tensor([[512, 512, 900, 900], [256, 256, 10, 10], [800, 800, 40, 40]]).T  # centre and size
    found[4] = torch.tensor([0.9, 0.8, 0.7])
    found[5] = 1
    with Largest() as largest:
        model._detections = list(fastsam._detections(found, torch.ones(32, 256, 256), 8192, 8192))
        mask = model.predict(Prompt("box", box=(2000, 2000, 2090, 2090)))
    assert mask.box == (2008, 2008, 2088, 2088)
    assert largest.numbers <= 8192 * 8192 // 8


# ---- weights


def published(path: Path, network: torch.nn.Module, **more: object) -> Path:
    """Save a checkpoint like ultralytics: the pickled module in half precision, and other entries."""
    extras = {"epoch": -1, "best_fitness": None, "ema": None, "optimizer": None, "train_args": {"imgsz": 1024}}
    torch.save({**extras, "model": copy.deepcopy(network).half(), **more}, path)
    return path


def test_a_published_file_is_read_without_executing_code(tmp_path, network):
    marker = tmp_path / "marker"

    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    path = published(tmp_path / "FastSAM-s.pt", network, train_args=Attack())
    model = load_fastsam("s", (path,), Options("cpu"))
    assert not marker.exists()
    expected = copy.deepcopy(network).half().float()
    assert (model.describe().weights, model.describe().parameters) == ("FastSAM-s.pt", 11_790_483)
    assert not model.describe().untrained
    other = segmenter(expected)
    for each in (model, other):
        each.set_image(picture(640, 127))
    assert len(model._detections) == len(other._detections) > 1
    assert all(np.array_equal(a.logits, b.logits) for a, b in zip(model._detections, other._detections, strict=True))
    torch.load(path, weights_only=False)
    assert marker.exists()  # the attack works if the file is unpickled


def test_the_number_of_bins_is_read_from_the_file(tmp_path):
    path = published(tmp_path / "FastSAM-s.pt", build_fastsam("s", 26))
    assert load_fastsam("s", (path,), Options("cpu")).describe().parameters > 11_790_483


def test_an_error_names_weights_that_do_not_fit(tmp_path, network):
    broken = copy.deepcopy(network)
    broken.extra = torch.nn.Linear(1, 1)
    broken.model[0].conv = torch.nn.Identity()
    broken.model[1].conv = torch.nn.Conv2d(1, 1, 1, bias=False)
    path = published(tmp_path / "FastSAM-s.pt", broken)
    with pytest.raises(ModelUnavailable) as caught:
        load_fastsam("s", (path,), Options("cpu"))
    for words in (
        "FastSAM-s.pt",
        "model.0.conv.weight is missing",
        "extra.weight is unknown",
        "model.1.conv.weight is (1",
    ):
        assert words in str(caught.value)
    with pytest.raises(ModelUnavailable, match=r"FastSAM-s\.pt does not fit"):
        load_fastsam("x", (published(tmp_path / "FastSAM-s.pt", network),), Options("cpu"))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelUnavailable, match=r"FastSAM-s\.pt is not a complete file of torch"):
        load_fastsam("s", (path,), Options("cpu"))


# ---- side effects of ultralytics

WATCHED = """
import os, sys
seen = []
names = ("socket.", "subprocess.", "os.system", "os.fork", "os.posix_spawn", "os.exec")
sys.addaudithook(lambda event, arguments: seen.append((event, str(arguments))) if event.startswith(names) else None)
import cv2, numpy as np, torch
from pathlib import Path
from PIL import Image
state = lambda: (
    dict(os.environ), cv2.getNumThreads(), torch.get_num_threads(), np.get_printoptions(), torch.save, Image.open
)
before = state()
from baselines.fastsam import load_fastsam
from baselines.sam2 import build_sam2
from baselines.segmenter import Options, Prompt
build_sam2("t")
model = load_fastsam("s", (Path(sys.argv[1]),), Options("cpu"))
model.set_image(np.full((90, 120, 3), 80, np.uint8))
model.predict(Prompt("box", box=(5, 5, 50, 50)))
assert before == state()
print(seen)
"""


def test_ultralytics_leaves_no_side_effects(tmp_path, network):
    path = published(tmp_path / "FastSAM-s.pt", network)
    home, empty = tmp_path / "home", tmp_path / "empty"
    home.mkdir()
    empty.mkdir()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("YOLO_", "XDG_", "PYTEST_"))}
    environment = {**inherited, "HOME": str(home), "PYTHONPATH": str(Path(fastsam.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(path)],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert not list(home.iterdir())
    assert not list(empty.iterdir())
