"""The commands `flip predict`, `flip export` and `flip fetch`."""

from __future__ import annotations

import io
import math
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image, ImageOps
from rich.console import Console

from flip.best import best_model
from flip.checkpoint import OnnxMissing, WeightsBroken
from flip.choices import WEIGHTS_SUFFIXES
from flip.devices import parse_device
from flip.finite import NotFinite
from flip.gaussian import Gaussian, GaussianError
from flip.predictor import load_predictor
from flip.prompts import PredictorError
from flip.released.export import export_onnx
from flip.released.model import ReleasedFlip
from flip.sampler import NoPatches
from flip.show import show_patches
from flip.training.command import train
from flip.weights import WEIGHTS, DownloadFailed, WeightsMissing
from objascale import terminal
from objascale.files import write_atomically
from objascale.masks import MaskError, RegionMask
from objascale.pictures import PictureError, decode, eight_bits, orientation, turned

app = terminal.App(help="FLIP: segment an object from foveal patches around it.")
app.command(
    "train",
    epilog="Examples: flip train --data data/crops --backgrounds data/hdris --validate data/objascale --out runs/flip-s"
    "\n\nflip train --config flip-l --data sa1b=3 --data data/crops --backgrounds photos --out runs/flip-l",
)(train)

MODEL = f"{', '.join(WEIGHTS)}, or a file: {', '.join(WEIGHTS_SUFFIXES)}; either of a pair of .onnx graphs."

WeightsFolder = Annotated[
    Path | None,
    typer.Option("--weights", help="Weights folder. Default: $OBJASCALE_WEIGHTS, then the user's cache."),
]


errors = partial(
    terminal.errors,
    *(WeightsMissing, WeightsBroken, OnnxMissing, DownloadFailed),
    *(GaussianError, MaskError, NoPatches, PredictorError, NotFinite, torch.OutOfMemoryError),
)


def _numbers(option: str, text: str, metavar: str) -> list[float]:
    """Return the numbers of an option, as many as in its metavar."""
    names = metavar.split(",")
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != len(names):
        raise typer.BadParameter(f"{option} {text}: give {len(names)} numbers {metavar}, separated by commas")
    return numbers


BOX, POINT, ELLIPSE = "X0,Y0,X1,Y1", "X,Y,SCALE", "X,Y,SEMI1,SEMI2,DEGREES"


def _gaussian(option: str, text: str) -> Gaussian:
    """Return the prompt of --box, --point or --ellipse. Raises GaussianError that names the option."""
    try:
        if option == "--box":
            return Gaussian.from_box(_numbers(option, text, BOX))
        if option == "--point":
            return Gaussian.from_point(*_numbers(option, text, POINT))
        x, y, semi1, semi2, degrees = _numbers(option, text, ELLIPSE)
        return Gaussian.from_ellipse(x, y, semi1, semi2, math.radians(degrees))
    except GaussianError as error:
        raise GaussianError(f"{option} {text}: {error}") from None


def _check_device(device: str) -> None:
    """Raise PredictorError that names the option if a device is not available."""
    try:
        parse_device(device)
    except PredictorError as error:
        raise PredictorError(f"--{error}") from None  # the message starts with the argument, `device`


@app.command(epilog="Example: flip predict photo.jpg --box 40,60,90,200 --out mask.png --show patches.png")
def predict(
    image: Annotated[Path, typer.Argument(help="Picture in any common format.")],
    out: Annotated[Path, typer.Option(help="PNG to write: 255 inside the mask, 0 outside.")],
    box: Annotated[
        str | None,
        typer.Option(metavar=BOX, help="Box around the object: left, top, right and bottom edge in pixels."),
    ] = None,
    point: Annotated[
        str | None,
        typer.Option(metavar=POINT, help="Centre of the object, and a quarter of its size in pixels."),
    ] = None,
    ellipse: Annotated[
        str | None,
        typer.Option(
            metavar=ELLIPSE,
            help="Ellipse around the object: centre, semi-axes, and angle of the first one from right to down.",
        ),
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Rough mask, a PNG of the image's size, non-zero inside.")] = None,
    show: Annotated[
        Path | None,
        typer.Option(help="PNG to write: the patches over the image; 16 px purple, 8 yellow, 4 green, 2 blue, 1 red."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help=MODEL, show_default="the best one whose weights are present"),
    ] = None,
    weights: WeightsFolder = None,
    tokens: Annotated[int, typer.Option(min=1, max=65536, help="Maximum number of patches.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the patch positions.")] = 0,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Where the network runs.")] = "cpu",
) -> None:
    """Segment one object, given a box, a point, an ellipse or a rough mask."""
    if sum(prompt is not None for prompt in (box, point, ellipse, mask)) != 1:
        raise typer.BadParameter("give one of --box, --point, --ellipse and --mask")
    with errors():
        for path in filter(None, (out, show)):
            if not path.absolute().parent.is_dir():
                raise PredictorError(f"cannot write {path}: there is no folder {path.parent}")
        pixels = _read(image, "RGB")
        height, width = pixels.shape[:2]
        if mask is not None:
            gaussian = Gaussian.from_mask(_read_mask(mask, image, width, height))
        for option, text in (("--box", box), ("--point", point), ("--ellipse", ellipse)):
            if text is not None:
                gaussian = _gaussian(option, text)
        _check_device(device)
        model = model or best_model(weights)
        predictor = load_predictor(model, weights, tokens=tokens, seed=seed, device=device)
        predictor.set_image(pixels)
        prediction = predictor.predict(gaussian=gaussian)
        if show is not None:
            _write_png(show, show_patches(pixels, predictor.patches(gaussian), prediction))
        _write_png(out, np.where(prediction, 255, 0).astype(np.uint8))
    Console(soft_wrap=True, highlight=False).print(
        f"{out}: {prediction.area} of {width}×{height} pixels, by {model}", markup=False
    )


@app.command(epilog="Example: flip export flip-tiny --out onnx")
def export(
    model: Annotated[str, typer.Argument(help=MODEL)],
    out: Annotated[Path, typer.Option(help="Folder for MODEL-encoder.onnx and MODEL-predictor.onnx.")],
    weights: WeightsFolder = None,
) -> None:
    """Write a released model as two ONNX graphs, which accept any number of patches of each size."""
    with errors():
        network = load_predictor(model, weights).model
        if not isinstance(network, ReleasedFlip):
            raise PredictorError(f"{model} is a model of the paper; only the released models can be exported to ONNX")
        pair = export_onnx(network)
        for part, data in (("encoder", pair.encoder), ("predictor", pair.predictor)):
            target = out / f"{Path(model).stem}-{part}.onnx"
            write_atomically(target, data)
            Console(soft_wrap=True, highlight=False).print(f"{target}: {len(data)} bytes", markup=False)


@app.command("fetch", epilog="Example: flip fetch flip-tiny")
def fetch_command(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help=", ".join(WEIGHTS))],
    weights: Annotated[Path | None, typer.Option(help="Target folder. Default: the user's cache.")] = None,
) -> None:
    """Download models' published weights, resume interrupted downloads, and check their SHA-256.

    Weights that are on this machine already are not fetched again. If a model fails, the others are fetched, and the
    exit code is 1. If the authors publish no SHA-256, that of the first download is written beside the file and checked
    later.
    """
    from flip.fetching import FetchJob, fetch_all
    from flip.weights import fetch, find_and_check, find_record

    with errors():
        records = [find_record(name) for name in dict.fromkeys(names)]
        fetch_all(
            [
                FetchJob(
                    record.name,
                    record.licence,
                    partial(find_and_check, record, weights),
                    partial(fetch, record, weights),
                )
                for record in records
            ]
        )


def _read(path: Path, mode: str) -> NDArray[np.uint8]:
    """Read a picture as viewers show it: H×W×3 for mode RGB, H×W×2 (grey and alpha) for LA, the mode of masks.

    Pixels of 16 bits are reduced as `objascale.pictures.eight_bits` does, those of a mask to whether they are 0.

    Raises PredictorError for a file that is no picture.
    """
    if not path.is_file():
        raise PredictorError(f"there is no picture {path}")
    try:
        if mode == "RGB":
            with suppress(PictureError):  # Pillow reads more formats, but of 16-bit colours only the first 8 bits
                content = path.read_bytes()
                return turned(decode(content), orientation(content))
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                deep = np.asarray(upright)
                upright = Image.fromarray(eight_bits(deep) if mode == "RGB" else deep.clip(max=255).astype(np.uint8))
            elif upright.mode in ("I", "F"):
                raise PredictorError(f"{path} has {upright.mode} pixels of unknown range; save it with 8 or 16 bits")
            return np.asarray(upright.convert(mode))
    except (OSError, Image.DecompressionBombError) as error:
        raise PredictorError(f"{path} cannot be read as a picture: {error}") from None


def _read_mask(path: Path, image: Path, width: int, height: int) -> RegionMask:
    """Read the mask of a prompt. Raises MaskError if it is empty or has another size than the image."""
    mask = RegionMask.from_full(_read(path, "LA").all(2))
    if (mask.width, mask.height) != (width, height):
        raise MaskError(f"{path} is {mask.width}×{mask.height}, but {image} is {width}×{height}")
    if mask.area == 0:
        raise MaskError(f"{path} is empty: it has no pixel above 0")
    return mask


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    write_atomically(path, data.getvalue())


if __name__ == "__main__":
    app()
