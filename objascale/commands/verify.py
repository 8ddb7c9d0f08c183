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
    from objascale.benchmarks import Benchmark
    from objascale.full_frame import FrameDifference
    from objascale.verify import Damage


def verify(
    folder: DatasetFolder,
    full_frame: Annotated[
        int, typer.Option(min=0, metavar="K", help="Render K random pictures again, also as full frames, and compare.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random choice of pictures.")] = 0,
    max_px: Annotated[
        int, typer.Option(help="Maximum side of these pictures, px. A full frame of 8192 px takes half an hour.")
    ] = 2048,
    objects: Annotated[Path | None, typer.Option(help="Folder of the objects, if it was moved.")] = None,
    hdris: Annotated[Path | None, typer.Option(help="Folder of the environment maps, if it was moved.")] = None,
    device: Annotated[RenderDevice, typer.Option(help="Cycles' device. auto uses a GPU if available.")] = "auto",
    timeout: Annotated[float, typer.Option(help="Time limit for one full frame, seconds.")] = 7200,
) -> None:
    """Check every file of a dataset and list all damage. The exit code is 1 if there is any.

    A dataset of a frozen benchmark is compared with it: its masks must be equal, and its pictures similar.

    The command checks images against SHA-256 and size, masks against box, area, fraction, moments and each other, the
    journal against the annotations, and amodal masks, poses and depth maps against masks. --full-frame K also renders K
    pictures again and compares them with Blender's own rendering of the whole picture. This needs the assets of the
    dataset. On the kind of processor that made a picture, the bytes are equal. On another kind the masks are equal, and
    99.9 % of the pixels are within 1 of 255.
    """
    import numpy as np

    from objascale.benchmarks import benchmark_of
    from objascale.benchmarks.pinning import mask_differences, picture_differences
    from objascale.engine.local import LocalWorker, local_engine
    from objascale.full_frame import choose_records
    from objascale.plan import load_plan
    from objascale.sources import folder as folder_source
    from objascale.verify import check_image, read_contents

    with errors():
        if not full_frame:
            refuse_idle("--full-frame", "seed", "max_px", "objects", "hdris", "device", "timeout")
        benchmark = benchmark_of(folder)
        contents = read_contents(folder)
        damages = list(contents.damages)
        if benchmark is not None:
            damages += mask_differences(benchmark, [row for rows in contents.images for row in rows])
        for rows in track(contents.images, "checking", "images", len(contents.images)):
            damages += check_image(folder, rows)
            if benchmark is not None:
                damages += picture_differences(benchmark, folder, rows)
        if full_frame:
            known = load_plan(folder / "plan.json")
            things = folder_source.objects(objects) if objects else known.objects
            maps = folder_source.environment_maps(hdris, ldr=True) if hdris else known.maps  # found by SHA-256
            damaged = {damage.file for damage in damages}
            intact = [record for record in contents.done if record["annotations"][0]["file"] not in damaged]
            chosen = choose_records(intact, full_frame, max_px, np.random.default_rng(seed))
            engine = local_engine(1, device=device, timeout=timeout)
            damages += _full_frames(folder, chosen, [*things, *maps], LocalWorker(engine))
    for damage in damages:
        print(f"{damage.file}: {damage.message}")
    files = len({damage.file for damage in damages})
    result = f"damage in {files} file{'s' if files > 1 else ''}" if damages else "no damage"
    print(f"{len(contents.images)} images in {folder}: {result}")
    if benchmark is not None:
        print(_verdict(folder, benchmark, sum(map(len, contents.images)), bool(damages)))
    if damages:
        raise typer.Exit(1)


def _verdict(folder: Path, benchmark: Benchmark, masks: int, damaged: bool) -> str:
    """Say in one sentence whether a data set is the benchmark that it belongs to."""
    from objascale.benchmarks import split_name

    series, version = split_name(benchmark.name)
    if damaged:
        return f"{folder} is not {series}, version {version}: the lines above name the differences"
    if not benchmark.content.pictures:
        return f"{folder} has the assets and settings of {series}, version {version}, whose pictures are not pinned"
    return f"{folder} is {series}, version {version}: all {masks} masks are equal, and all pictures agree"


def _full_frames(folder: Path, chosen: list[dict[str, Any]], things: list[Asset], worker: Worker) -> list[Damage]:
    from objascale.full_frame import compare_full_frame
    from objascale.verify import Damage, render_settings

    settings = render_settings(folder)
    damages: list[Damage] = []
    table = Table(
        title="Pictures rendered again, and compared with Blender's full frame; differences of 255",
        caption="On another kind of processor the bytes may differ, but the masks must be equal.",
    )
    table.add_column("file", no_wrap=True)
    for heading in (
        "px",
        "mask\npx",
        "same\nbytes",
        "mask\ndiffers",
        "background\nwithin 1",
        "largest",
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


def _cells(result: FrameDifference) -> list[str]:
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
