"""What the commands share: sentences instead of tracebacks, a console, and assets by name of their source."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

from objascale.color import ColorError
from objascale.dataset import DatasetError
from objascale.engine.local import Fatal
from objascale.sources import Asset, SourceError, embedded, folder

console = Console(stderr=True)

Source = StrEnum("Source", ["starter", "folder"])
Device = StrEnum("Device", ["auto", "cpu", "cuda", "optix", "hip", "metal"])
DatasetFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A dataset that objascale render made.")]


def assets(source: Source, objects: Path | None, hdris: Path | None) -> tuple[list[Asset], list[Asset]]:
    """Objects and environment maps as `--source`, `--objects` and `--hdris` name them. Raises SourceError."""
    maps = folder.environment_maps(hdris) if hdris else embedded.environment_maps()
    if source is Source.folder:
        if objects is None:
            raise SourceError("--source folder needs --objects DIR, with the objects as DIR/CATEGORY/NAME.glb")
        return folder.objects(objects), maps
    if objects is not None:
        raise SourceError("--objects goes with --source folder; the starter objects are made by the program itself")
    with console.status("making the starter objects"):
        return embedded.objects(), maps


@contextmanager
def errors() -> Iterator[None]:
    """Turn the errors that a user can cause into one sentence."""
    try:
        yield
    except ValidationError as error:
        fail("; ".join(_sentence(detail) for detail in error.errors()), 2)
    except (SourceError, DatasetError, ColorError, Fatal) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; the same command goes on where this one stopped", 130)
    except OSError as error:
        fail(f"{error.filename or 'a file'}: {error.strerror or error}")


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong and end the command."""
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _sentence(detail: Any) -> str:
    where = "--" + str(detail["loc"][0]).replace("_", "-") + " " if detail["loc"] else ""
    return where + str(detail["msg"]).removeprefix("Value error, ")
