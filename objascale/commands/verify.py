"""`objascale verify`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from objascale.commands.common import DatasetFolder, errors
from objascale.engine import RenderDevice, Worker
from objascale.progress import track
from objascale.sources import Asset
from objascale.terminal import refuse_idle

if TYPE_CHECKING:
    from objascale.full_frame import Comparison
    from objascale.verify import Damage


def verify(
    folder: DatasetFolder,
    full_frame: Annotated[
        int, typer.Option(min=0, metavar="K", help="Render K random pictures again, as full frames, and compare.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Decides which ones.")] = 0,
    max_px: Annotated[
        int, typer.Option(help="Choose among pictures up to this side; a full frame of 8192 px takes half an hour.")
    ] = 2048,
    objects: Annotated[Path | None, typer.Option(help="The objects' folder, if it was moved since.")] = None,
    hdris: Annotated[Path | None, typer.Option(help="The environment maps' folder, if it was moved since.")] = None,
    device: Annotated[RenderDevice, typer.Option(help="auto takes a GPU if there is one.")] = "auto",
    timeout: Annotated[float, typer.Option(help="Seconds that one full frame may take.")] = 7200,
) -> None:
    """Check every file of a dataset; name every damage, and end with exit code 1 if there is one.

    Images against SHA-256 and size, masks against box, area, fraction, moments and each other, the journal against
    the annotations. --full-frame K compares K pictures with Blender's own rendering of the whole picture, which needs
    the assets that they were made of. On the kind of processor that made a picture, it is rendered again byte for
    byte. On another kind its masks must be equal, and 99.9 % of its pixels within 1 of 255.
    """
    import numpy as np

    from objascale.engine.local import LocalWorker, local_engine
    from objascale.full_frame import choose_records
    from objascale.plan import load_plan
    from objascale.sources import folder as folder_source
    from objascale.verify import check_image, read_contents

    with errors():
        if not full_frame:
            refuse_idle("--full-frame", "seed", "max_px", "objects", "hdris", "device", "timeout")
        contents = read_contents(folder)
        damages = list(contents.damages)
        for rows in track(contents.images, "checking", "images", len(contents.images)):
            damages += check_image(folder, rows)
        if full_frame:
            known = load_plan(folder / "plan.json")
            things = folder_source.objects(objects) if objects else known.objects
            maps = folder_source.environment_maps(hdris, known.request.get("ldr_maps", False)) if hdris else known.maps
            damaged = {damage.file for damage in damages}
            whole = [record for record in contents.done if record["annotations"][0]["file"] not in damaged]
            chosen = choose_records(whole, full_frame, max_px, np.random.default_rng(seed))
            engine = local_engine(1, device=device, timeout=timeout)
            damages += _full_frames(folder, chosen, [*things, *maps], LocalWorker(engine))
    for damage in damages:
        print(f"{damage.file}: {damage.message}")
    files = len({damage.file for damage in damages})
    print(f"{len(contents.images)} images in {folder}: {f'damage in {files} of the files' if damages else 'no damage'}")
    if damages:
        raise typer.Exit(1)


def _full_frames(folder: Path, chosen: list[dict[str, Any]], things: list[Asset], worker: Worker) -> list[Damage]:
    from objascale.full_frame import compare_full_frame
    from objascale.verify import Damage, render_settings

    settings = render_settings(folder)
    damages: list[Damage] = []
    table = Table(
        title="Rendered again, and as Blender's full frame; differences of 255",
        caption="The bytes may differ on another kind of processor; the masks may not.",
    )
    table.add_column("file", no_wrap=True)
    for heading in (
        "px",
        "mask\npx",
        "same\nbytes",
        "mask\ndiffers",
        "background\nwithin 1",
        "at\nmost",
        "objects,\nmean",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    try:
        with tempfile.TemporaryDirectory(prefix="objascale-") as scratch:
            for record in track(chosen, "rendering", "full frames", len(chosen)):
                result = compare_full_frame(folder, record, settings, things, worker, Path(scratch))
                if isinstance(result, Damage):
                    damages.append(result)
                    continue
                damages += result.damages()
                table.add_row(*_cells(result))
    finally:
        worker.stop()
    Console().print(table)
    return damages


def _cells(result: Comparison) -> list[str]:
    return [
        result.file.removeprefix("images/"),
        str(result.width),
        str(result.area),
        "yes" if result.same_bytes else "no",
        f"{result.mask_px} px",
        f"{result.background_share:.4%}",
        str(result.background_largest),
        f"{result.object_mean:.2f}",
    ]
