"""`objascale export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from objascale.commands.common import DatasetFolder, errors
from objascale.export.coco import write_coco
from objascale.export.webdataset import write_webdataset

app = typer.Typer(no_args_is_help=True)


@app.command(epilog="Example: objascale export coco data/mine --out data/mine/coco.json")
def coco(
    folder: DatasetFolder,
    out: Annotated[Path, typer.Option(help="The JSON file. The images stay where they are.")] = Path("coco.json"),
) -> None:
    """Write COCO's instances JSON, masks as RLE; image names are relative to DIR."""
    with errors():
        count = write_coco(folder, out)
    print(f"{count} images in {out}")


@app.command(epilog="Example: objascale export webdataset data/mine --out shards --max-mb 1000")
def webdataset(
    folder: DatasetFolder,
    out: Annotated[Path, typer.Option(help="Folder for 000000.tar, 000001.tar, …")] = Path("shards"),
    max_mb: Annotated[int, typer.Option(min=1, help="Largest shard, in millions of bytes.")] = 500,
) -> None:
    """Write WebDataset shards: tar files of images, each followed by a JSON file of its annotations."""
    with errors():
        paths = write_webdataset(folder, out, max_mb * 1_000_000)
    print(f"{len(paths)} shards in {out}")
