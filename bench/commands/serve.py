"""`bench serve`."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands.common import Weights, errors
from flip.choices import Device
from objascale.terminal import console, fail

if TYPE_CHECKING:
    from bench.weights import FoundWeights
    from objascale.datasets import Dataset

DEFAULT_MODELS = ("flip-tiny", "flip-s", "mobilesam-onnx", "grabcut")
"""Models that are fast on a CPU. Those whose weights are here are the default."""


def serve(
    picture: Annotated[Path | None, typer.Argument(help="A picture to open.")] = None,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Names from `bench models`, or FILE.py:CLASS, separated by commas.",
            show_default=f"those of {', '.join(DEFAULT_MODELS)} whose weights are here",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Folder or file of a data set, or a name of `bench datasets` in ./data."),
    ] = None,
    weights: Weights = None,
    device: Annotated[Device, typer.Option(help="Device of the networks.")] = "auto",
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen at. With one that other machines reach, the page's address has a secret token.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen at.", show_default="8765, or a free one")
    ] = None,
    open_page: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open the page in a browser.", show_default="if there is a desktop"),
    ] = None,
) -> None:
    """Open a page that shows the masks of models while a box, an ellipse or clicks are drawn on a picture."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        fail("bench serve needs two more packages: pip install 'objascale-suite[serve]'")
    from baselines.segmenter import Options
    from bench.serve.pictures import PictureRefused
    from bench.serve.server import Server, make_service

    with errors():
        try:
            service = make_service(_models(models, weights), Options(device), _dataset(data, picture), picture)
        except PictureRefused as error:
            fail(str(error))
        try:
            server = Server(service, host, port)
            console().print(server.address, style="bold", soft_wrap=True, highlight=False)
            console().print("Ctrl-C ends the server.")
            if _has_desktop() if open_page is None else open_page:
                webbrowser.open(server.address)
            server.run()
        except KeyboardInterrupt:
            pass  # the usual end
        finally:
            service.close()


def _models(names: str | None, weights: Path | None) -> FoundWeights:
    """Find the named models and fetch missing weights, or find the default models whose weights are here."""
    from baselines.registry import find_models
    from bench.weights import obtain_weights

    if names is not None:
        return obtain_weights(find_models([name.strip() for name in names.split(",")]), weights)
    return obtain_weights(find_models(DEFAULT_MODELS), weights, missing="omit")


def _dataset(given: str | None, picture: Path | None) -> Dataset | None:
    """Open a data set by its path, or by a name of the catalogue; the sample if nothing is named."""
    from bench.catalogue import CATALOGUE
    from bench.serve.server import SAMPLE
    from objascale.datasets.formats import open_dataset

    if given is None:
        return open_dataset(SAMPLE) if picture is None else None
    path, images = Path(given), None
    if given in CATALOGUE and not path.exists():
        public = CATALOGUE[given]
        path = public.path(Path("data"))
        images = Path("data") / public.name / public.images if public.images else None
    return open_dataset(path, images=images)


def _has_desktop() -> bool:
    """Return whether a browser can show a page here."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
