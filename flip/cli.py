"""`flip predict` and `flip fetch`: FLIP from the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from flip.checkpoint import OnnxMissing, WeightsBroken
from flip.gaussian import GaussianError
from flip.predictor import PredictorError, load_predictor
from flip.sampler import NoPatches
from flip.weights import WEIGHTS, DownloadFailed, WeightsMissing, fetch, find_record
from objascale.masks import MaskError, RegionMask

app = typer.Typer(no_args_is_help=True, help="FLIP: segment one object from fovea-like patches around it.")

WeightsFolder = Annotated[
    Path | None, typer.Option("--weights", help="Folder of weights; else $OBJASCALE_WEIGHTS, then the user's cache.")
]


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Errors that a user can cause, as a sentence instead of a traceback."""
    try:
        yield
    except (
        *(WeightsMissing, WeightsBroken, OnnxMissing, DownloadFailed),
        *(GaussianError, MaskError, NoPatches, PredictorError),
        OSError,
    ) as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(1) from None


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        x0, y0, x1, y1 = (float(number) for number in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not four numbers x0,y0,x1,y1, as in 40,60,90,200") from None
    return x0, y0, x1, y1


@app.command(epilog="Example: flip predict photo.jpg --box 40,60,90,200 --out mask.png")
def predict(
    image: Annotated[Path, typer.Argument(help="Picture in any common format.")],
    out: Annotated[Path, typer.Option(help="PNG to write: 255 where the object is, 0 elsewhere.")],
    box: Annotated[
        str | None,
        typer.Option(metavar="X0,Y0,X1,Y1", help="Box about the object: pixel edges, left, top, right, bottom."),
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="PNG of the image's size, non-zero where the object is.")] = None,
    model: Annotated[str, typer.Option(help=f"{', '.join(WEIGHTS)}, or a .safetensors or .onnx file.")] = "flip-tiny",
    weights: WeightsFolder = None,
    tokens: Annotated[int, typer.Option(min=1, help="Patches to look at, at most.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Of the random patch positions.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Segment one object, told by a box or by a rough mask."""
    if (box is None) == (mask is None):
        raise typer.BadParameter("give either --box or --mask")
    corners = _box(box) if box is not None else None
    with _one_sentence():
        if not out.absolute().parent.is_dir():
            raise PredictorError(f"cannot write {out}: there is no folder {out.parent}")
        pixels = _read(image, "RGB")
        height, width = pixels.shape[:2]
        prompt = None
        if mask is not None:
            prompt = RegionMask.from_full(_read(mask, "L"))
            if (prompt.width, prompt.height) != (width, height):
                raise MaskError(f"{mask} is {prompt.width}×{prompt.height}, but {image} is {width}×{height}")
            if prompt.area == 0:
                raise MaskError(f"{mask} is empty: it has no pixel above 0")
        predictor = load_predictor(model, weights, tokens=tokens, seed=seed, device=device)
        predictor.set_image(pixels)
        found = predictor.predict(mask=prompt, box=corners)
        Image.fromarray(found.full().astype(np.uint8) * 255).save(out, format="PNG")
    Console(soft_wrap=True, highlight=False).print(f"{out}: {found.area} of {width}×{height} pixels", markup=False)


@app.command("fetch", epilog="Example: flip fetch flip-tiny")
def fetch_command(
    name: Annotated[str, typer.Argument(help=", ".join(WEIGHTS))],
    weights: Annotated[Path | None, typer.Option(help="Folder to put them in; the user's cache if not given.")] = None,
) -> None:
    """Download a model's published weights, resumed where they were left, and checked by SHA-256.

    Where the authors publish none, that of the first download is noted beside the file and holds from then on.
    """
    with _one_sentence():
        record = find_record(name)
        columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=Console(stderr=True), disable=not Console(stderr=True).is_terminal) as bar:
            task = bar.add_task(name)
            paths = fetch(record, weights, progress=lambda done, total: bar.update(task, completed=done, total=total))
    for path in paths:
        Console(soft_wrap=True, highlight=False).print(f"{path} ({record.licence})", markup=False)


def _read(path: Path, mode: str) -> NDArray[np.uint8]:
    """A picture as an array, H×W×3 for mode RGB and H×W for L. Raises PredictorError for a file that is none."""
    if not path.is_file():
        raise PredictorError(f"there is no picture {path}")
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert(mode))
    except (OSError, Image.DecompressionBombError) as error:
        raise PredictorError(f"cannot read {path} as a picture: {error}") from None
