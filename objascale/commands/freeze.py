"""`objascale freeze`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from objascale.commands.common import DatasetFolder, errors
from objascale.progress import show_progress
from objascale.terminal import UsageError


def freeze(
    folder: DatasetFolder,
    name: Annotated[str, typer.Option(help="Name that ends in the version, such as my-objects-v1.")],
    out: Annotated[
        Path | None, typer.Option(help="JSON file to write, for objascale render.", show_default="NAME.json")
    ] = None,
    about: Annotated[str, typer.Option(help="One sentence that describes the benchmark.")] = "",
) -> None:
    """Freeze a dataset as a benchmark that others render instead of downloading it.

    The file names the assets and settings, and has the SHA-256 of every mask and a sketch of every picture. objascale
    verify compares a dataset with it.
    """
    from objascale.benchmarks.freezing import freeze as write

    out = out or Path(f"{name}.json")
    with errors():
        try:
            with show_progress("reading") as progress:
                masks = write(folder, name, about, out, progress)
        except OSError as error:
            raise UsageError(f"cannot write {out} ({error.strerror}); choose another --out") from None
    print(f"{name} pins {masks} masks: {out}")
    print(f"To make it elsewhere: objascale render {out}")
