"""`objascale export`."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from objascale.commands.common import DatasetFolder, errors
from objascale.terminal import App, complain

app = App("Write a dataset in another format.")
MaxMegabytes = Annotated[
    int,
    typer.Option(
        "--max-mb", min=1, help="Maximum size of a file, millions of bytes. A larger image gets a file of its own."
    ),
]


@app.command(epilog="Example: objascale export coco data/mine --out data/mine/coco.json")
def coco(
    folder: DatasetFolder,
    out: Annotated[Path, typer.Option(help="JSON file to write. It refers to the images in DIR.")] = Path("coco.json"),
    amodal: Annotated[
        bool, typer.Option("--amodal", help="Write amodal masks, with visible_mask, invisible_mask and occlude_rate.")
    ] = False,
) -> None:
    """Write COCO's instances JSON with masks as RLE. Image names are relative to DIR."""
    from objascale.export.coco import write_coco

    with errors():
        count = write_coco(folder, out, amodal)
    print(f"{count} images in {out}")


@app.command(epilog="Example: objascale export yolo data/mine --out mine-yolo")
def yolo(
    folder: DatasetFolder,
    out: Annotated[Path, typer.Option(help="New folder for images, labels and data.yaml.")] = Path("yolo"),
) -> None:
    """Write YOLO's segmentation format: a polygon for each object, and the data.yaml that Ultralytics reads."""
    from objascale.export.yolo import write_yolo

    with errors():
        summary = write_yolo(folder, out)
    if summary.inexact:
        complain(
            f"{summary.inexact} of {len(summary.ious)} objects have masks of several parts that one polygon cannot "
            f"give exactly; the lowest IoU with the mask is {min(summary.ious):.3f}"
        )
    print(f"{summary.images} images and {len(summary.ious)} polygons in {out}")


@app.command(epilog="Example: objascale export bop data/mine --out mine-bop")
def bop(
    folder: DatasetFolder,
    out: Annotated[Path, typer.Option(help="New folder for the models' bounds and the scenes.")] = Path("bop"),
) -> None:
    """Write BOP's layout: images, masks, poses, and the depth of datasets of objascale render --depth."""
    from objascale.export.bop import write_bop

    with errors():
        summary = write_bop(folder, out)
    if not summary.depth:
        complain("the dataset has no depth maps, so there are no depth images; objascale render --depth makes them")
    print(f"{summary.images} images of {summary.objects} objects and {summary.models} models in {out}")


@app.command(epilog="Example: objascale export flip-hdf5 data/mine --out objascale-test.hdf5")
def flip_hdf5(
    folder: DatasetFolder,
    out: Annotated[Path, typer.Option(help="HDF5 file to write, for pictures of all sizes.")] = Path("objascale.hdf5"),
) -> None:
    """Write the FLIP authors' HDF5 format: JPEG images, PNG masks and their Gaussians."""
    from objascale.export.flip_hdf5 import write_flip_hdf5

    with errors():
        images, masks = write_flip_hdf5(folder, out)
    print(f"{images} images and {masks} masks in {out}")


@app.command(epilog="Example: objascale export webdataset data/mine --out shards --max-mb 1000")
def webdataset(
    folder: DatasetFolder,
    out: Annotated[Path, typer.Option(help="New folder for 000000.tar, 000001.tar, …")] = Path("shards"),
    max_mb: MaxMegabytes = 500,
) -> None:
    """Write WebDataset shards: tar files of images, each with a JSON file of its annotations."""
    from objascale.export.webdataset import write_webdataset

    with errors():
        paths = write_webdataset(folder, out, max_mb * 1_000_000)
    print(f"{len(paths)} shards in {out}")


@app.command(
    epilog="Example: objascale export huggingface data/mine --out objascale-hf --max-mb 1000\n\n"
    "To the hub: objascale export huggingface data/mine --push me/objascale-mine"
)
def huggingface(
    folder: DatasetFolder,
    out: Annotated[
        Path | None,
        typer.Option(
            help="New folder for the card, the data sheet, the credits and the Parquet files.",
            show_default="huggingface; with --push a temporary one",
        ),
    ] = None,
    max_mb: MaxMegabytes = 500,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME",
            help="Also upload the folder to this data set of the Hugging Face hub, which must exist. Run the same "
            "command again to continue an interrupted upload.",
        ),
    ] = None,
) -> None:
    """Write a folder for Hugging Face's load_dataset: Parquet files with images, a card, a data sheet and credits."""
    from objascale.export import hub
    from objascale.export.huggingface import write_huggingface

    with errors():
        if push is not None:
            hub.check_repository(push)
        with tempfile.TemporaryDirectory() if push and not out else nullcontext("huggingface") as usual:
            chosen = out or Path(usual)
            paths = write_huggingface(folder, chosen, max_mb * 1_000_000)
            print(f"{len(paths)} Parquet files in {chosen}")
            if push is not None:
                print(f"uploaded: {hub.push(chosen, push)}")


@app.command(epilog="Example: objascale export datasheet data/mine --out DATASHEET.md")
def datasheet(
    folder: DatasetFolder,
    name: Annotated[str, typer.Option(help="Name of the dataset.")] = "objascale",
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="DATASHEET.md in DIR")] = None,
) -> None:
    """Write a data sheet: motivation, composition, settings, licences and credits, uses and limits of the dataset."""
    from objascale.export.datasheet import DATASHEET, write_datasheet

    path = out or folder / DATASHEET
    with errors():
        write_datasheet(folder, name, path)
    print(f"written: {path}")


@app.command(epilog="Example: objascale export croissant data/mine --name objascale-mine")
def croissant(
    folder: DatasetFolder,
    name: Annotated[str, typer.Option(help="Name of the dataset.")] = "objascale",
) -> None:
    """Write croissant.json into DIR: metadata of MLCommons for search engines and loaders, with licences and limits."""
    from objascale.export.croissant import write_croissant

    with errors():
        path = write_croissant(folder, name)
    print(f"written: {path}")
