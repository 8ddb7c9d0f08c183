"""`objascale sheet`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import typer

from objascale.commands.common import DatasetFolder, errors
from objascale.files import write_atomically
from objascale.progress import track


def sheet(
    folder: DatasetFolder,
    out: Annotated[Path, typer.Option(help="PNG file to write. Several pages are numbered before the suffix.")] = Path(
        "sheet.png"
    ),
    limit: Annotated[
        int | None, typer.Option(min=1, help="Number of objects, spread evenly over the dataset.", show_default="all")
    ] = None,
) -> None:
    """Draw a contact sheet: each object marked in its picture, and magnified beside it."""
    from objascale.dataset import DatasetError, read_annotations
    from objascale.sheet import page_paths, pages

    with errors():
        if out.suffix.lower() != ".png":
            raise DatasetError(f"--out {out} should end in .png, the format of a contact sheet")
        table = read_annotations(folder)
        if limit and limit < len(table):
            table = table.iloc[[number * len(table) // limit for number in range(limit)]]
        paths = page_paths(out, len(table))
        rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
        drawn = track(pages(folder, rows), "drawing", "pages", len(paths))
        for path, page in zip(paths, drawn, strict=True):
            data = io.BytesIO()
            page.save(data, "PNG")
            write_atomically(path, data.getvalue())
            print(path)
