"""The command line of `flip`; `flip train` is in `flip.training.command`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial, reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from flip.choices import PAPER_MODELS, WEIGHTS_SUFFIXES
from flip.pseudo_labels.command import pseudo_label
from flip.training.card_command import card
from flip.training.command import train
from flip.weights import WEIGHTS
from objascale import terminal

if TYPE_CHECKING:
    from flip.gaussian import Gaussian

app = terminal.App(help="FLIP: segment an object from foveal patches around it.")
app.command(
    "train",
    epilog="Examples: flip train --data data/crops --backgrounds data/hdris --validate data/objascale --out runs/flip-s"
    "\n\nflip train --config flip-l --data sa1b=3 --data data/crops --backgrounds photos --out runs/flip-l",
)(train)
app.command(
    "pseudo-label",
    epilog="Examples: flip pseudo-label photos --teacher mobilesam-onnx --out data/pseudo"
    "\n\nflip pseudo-label photos --teacher hf:facebook/sam-vit-base --grid 16 --out data/pseudo"
    "\n\nflip train --data data/pseudo --data data/crops --backgrounds photos --out runs/mine",
)(pseudo_label)
app.command("card", epilog="Example: flip card runs/long runs/trial-* --data renders=data/held-out --out flip-s.md")(
    card
)

MODEL = f"{', '.join(WEIGHTS)}, or a file: {', '.join(WEIGHTS_SUFFIXES)}; either of a pair of .onnx graphs."

WeightsFolder = Annotated[
    Path | None,
    typer.Option("--weights", help="Weights folder. Default: $OBJASCALE_WEIGHTS, then the user's cache."),
]


def errors() -> AbstractContextManager[None]:
    """End the command with one sentence for errors that a user can cause."""
    from torch import OutOfMemoryError

    from flip.checkpoint import OnnxMissing, WeightsBroken
    from flip.finite import NotFinite
    from flip.gaussian import GaussianError
    from flip.paper.grow import GrowError
    from flip.prompts import PredictorError
    from flip.sampler import NoPatches
    from flip.training_data import RecordBroken
    from flip.weights import DownloadFailed, WeightsMissing
    from objascale.masks import MaskError

    return terminal.errors(
        *(WeightsMissing, WeightsBroken, OnnxMissing, DownloadFailed, RecordBroken, GrowError),
        *(GaussianError, MaskError, NoPatches, PredictorError, NotFinite, OutOfMemoryError),
    )


def _numbers(option: str, text: str, metavar: str, hint: str = "") -> list[float]:
    """Return the numbers of an option, as many as in its metavar. A hint ends the message about other text."""
    names = metavar.split(",")
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != len(names):
        raise typer.BadParameter(f"{option} {text}: give {len(names)} numbers {metavar}, separated by commas{hint}")
    return numbers


BOX, POINT, ELLIPSE = "X0,Y0,X1,Y1", "X,Y,SCALE", "X,Y,SEMI1,SEMI2,DEGREES"


def _gaussian(option: str, text: str, width: int, height: int) -> Gaussian:
    """Return the prompt of --box, --point or --ellipse for an image. Raises GaussianError that names the option."""
    from flip.gaussian import Gaussian, GaussianError
    from flip.prompts import as_gaussian

    try:
        if option == "--box":
            return as_gaussian(_numbers(option, text, BOX), width, height)
        if option == "--point":
            return Gaussian.from_point(*_numbers(option, text, POINT, "; SCALE is a quarter of the object's size"))
        x, y, semi1, semi2, degrees = _numbers(option, text, ELLIPSE)
        return Gaussian.from_ellipse(x, y, semi1, semi2, degrees)
    except GaussianError as error:
        raise GaussianError(f"{option} {text}: {error}") from None


def _refuse_idle_weights(*models: str) -> None:
    """Raise UsageError if --weights was typed and all models are files."""
    if all(Path(model).suffix in WEIGHTS_SUFFIXES for model in models):
        terminal.refuse_idle("the name of a model", "weights")


def _check_device(device: str) -> None:
    """Raise PredictorError that names the option if a device is not available."""
    from flip.devices import parse_device
    from flip.prompts import PredictorError

    try:
        parse_device(device)
    except PredictorError as error:
        raise PredictorError(f"--{error}") from None  # the message starts with the argument, `device`


@app.command(epilog="Example: flip predict photo.jpg --box 40,60,90,200 --out mask.png --show patches.png")
def predict(
    image: Annotated[Path, typer.Argument(help="Picture in any common format.")],
    out: Annotated[Path, typer.Option(help="PNG to write: 255 inside the mask, 0 outside.")] = Path("mask.png"),
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
            help="Ellipse around the object: centre, semi-axes, and angle of the first one, from right to down.",
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
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda", help="Device of the network. auto uses a GPU if available.")
    ] = "auto",
) -> None:
    """Segment one object, given a box, a point, an ellipse or a rough mask."""
    import numpy as np

    from flip.best import best_model
    from flip.gaussian import Gaussian
    from flip.picture_files import read_mask, read_picture, write_png
    from flip.predictor import load_predictor
    from flip.prompts import PredictorError
    from flip.show import show_patches

    if sum(prompt is not None for prompt in (box, point, ellipse, mask)) != 1:
        raise typer.BadParameter("give one of --box, --point, --ellipse and --mask")
    with errors():
        _refuse_idle_weights(model or "")
        for path in filter(None, (out, show)):
            if not path.absolute().parent.is_dir():
                raise PredictorError(f"cannot write {path}: there is no folder {path.parent}")
            if path.suffix.lower() != ".png":
                raise PredictorError(f"cannot write {path}: the file is a PNG, so give a name that ends in .png")
        pixels = read_picture(image)
        height, width = pixels.shape[:2]
        if mask is not None:
            gaussian = Gaussian.from_mask(read_mask(mask, image, width, height))
        for option, text in (("--box", box), ("--point", point), ("--ellipse", ellipse)):
            if text is not None:
                gaussian = _gaussian(option, text, width, height)
        _check_device(device)
        model = model or best_model(weights)
        predictor = load_predictor(model, weights, tokens=tokens, seed=seed, device=device)
        predictor.set_image(pixels)
        prediction = predictor.predict(gaussian=gaussian)
        if show is not None:
            write_png(show, show_patches(pixels, predictor.patches(gaussian), prediction))
        write_png(out, np.where(prediction, 255, 0).astype(np.uint8))
    line = f"{out}: {prediction.area} of {width}×{height} pixels, by {model}"
    Console(soft_wrap=True, highlight=False).print(line, markup=False)


@app.command(epilog="Example: flip export flip-tiny --out onnx")
def export(
    model: Annotated[str, typer.Argument(help=MODEL)],
    out: Annotated[Path, typer.Option(help="Folder for MODEL-encoder.onnx and MODEL-predictor.onnx.")],
    weights: WeightsFolder = None,
) -> None:
    """Write a released model as two ONNX graphs, which accept any number of patches of each size."""
    from flip.predictor import load_predictor
    from flip.prompts import PredictorError
    from flip.released.export import export_onnx
    from flip.released.model import ReleasedFlip
    from objascale.files import write_atomically

    with errors():
        _refuse_idle_weights(model)
        network = load_predictor(model, weights).model
        if not isinstance(network, ReleasedFlip):
            raise PredictorError(f"{model} is a model of the paper; only the released models can be exported to ONNX")
        pair = export_onnx(network)
        for part, data in (("encoder", pair.encoder), ("predictor", pair.predictor)):
            target = out / f"{Path(model).stem}-{part}.onnx"
            write_atomically(target, data)
            Console(soft_wrap=True, highlight=False).print(f"{target}: {len(data)} bytes", markup=False)


@app.command(
    "grow",
    epilog="Examples: flip grow flip-s flip-l --out flip-l.safetensors"
    "\n\nflip grow flip-s runs/b/flip-s.safetensors runs/c/flip-s.safetensors flip-l --out flip-l.safetensors",
)
def grow_command(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL", help=f"{', '.join(PAPER_MODELS)}, or .safetensors files of such models."),
    ],
    larger: Annotated[str, typer.Argument(metavar="LARGER", help=f"The larger model: {', '.join(PAPER_MODELS)}.")],
    out: Annotated[Path, typer.Option(help="Weights file to write, with the suffix .safetensors.")],
    weights: WeightsFolder = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise that makes copied channels differ.")] = 0,
) -> None:
    """Initialise a larger model of the paper with the trained weights of smaller ones, for further training.

    From one model: flip-l, of three times the channels of flip-s, predicts the same masks to rounding. flip-m predicts
    nearly the same.

    From several, whose channels add up, such as three of flip-s for flip-l: the larger model holds them side by side
    and predicts about the mean of their outputs, often a little better than each if they differ in their seeds.
    """
    from flip.checkpoint import write_paper_model
    from flip.paper.grow import GrowError, grow
    from flip.paper.join import join
    from flip.paper.model import Flip
    from flip.predictor import load_predictor, weights_file
    from flip.training_data import UNKNOWN, read_record, write_record
    from flip.weights import sha256

    with errors():
        _refuse_idle_weights(*models)
        if len(models) > 1:
            terminal.refuse_idle("copied channels, which a single MODEL has", "seed")
        if out.suffix != ".safetensors":
            raise GrowError(f"--out {out}: the weights file needs the suffix .safetensors")
        sources = [weights_file(model, weights) for model in models]
        networks = []
        for model, source in zip(models, sources, strict=True):
            network = load_predictor(source).model
            if not isinstance(network, Flip):
                raise GrowError(f"{model} is a released model; only models of the paper can be grown")
            networks.append(network)
        grown = join(networks, larger) if len(networks) > 1 else grow(networks[0], larger, seed)
        write_paper_model(grown, larger, out)
        records = [read_record(source, sha256(source)) for source in sources]
        if any(records):
            write_record(reduce(or_, (record or UNKNOWN for record in records)), out, sha256(out))
    Console(soft_wrap=True, highlight=False).print(f"{out}: {out.stat().st_size} bytes", markup=False)


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


if __name__ == "__main__":
    app()
