"""`objascale crops`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from objascale.commands.common import complain_by_reason, errors
from objascale.commands.options import AssetOptions, takes_options
from objascale.engine import RenderDevice
from objascale.progress import track
from objascale.settings import ViewTransform
from objascale.terminal import complain, fail, refuse_idle

if TYPE_CHECKING:
    from objascale.crops import Cropping
    from objascale.engine.local import LocalWorker

_NOISE_THRESHOLD = 0.1  # Cycles' default for interactive rendering; the denoiser removes the rest
_OBJECTS_PER_PROCESS = 25  # 600 renders at 24 views; Blender leaks memory


@takes_options
def crops(
    options: AssetOptions,
    out: Annotated[Path, typer.Option(help="Output folder. An unfinished one is continued.")] = Path("data/crops"),
    views: Annotated[int, typer.Option(help="Number of crops of each object.")] = 24,
    px: Annotated[
        int, typer.Option(help="Side of the rendered square, px. The longer side of the object is nine tenths of it.")
    ] = 256,
    n: Annotated[int, typer.Option(min=1, help="Minimum number of objects from Objaverse.")] = 680,
    samples: Annotated[int, typer.Option(help="Maximum number of paths per pixel.")] = 16,
    denoise: Annotated[bool, typer.Option(help="Denoise with Open Image Denoise.")] = True,
    view: Annotated[ViewTransform, typer.Option(help="View transform.")] = "AgX",
    workers: Annotated[int | None, typer.Option(min=1, help="Blender processes.", show_default="one per core")] = None,
    device: Annotated[RenderDevice, typer.Option(help="Cycles' device. auto uses a GPU if available.")] = "auto",
    timeout: Annotated[float, typer.Option(help="Time limit for one object, seconds.")] = 1800,
) -> None:
    """Render objects alone, from many directions, with alpha, as training data for `flip train`.

    The same command continues an interrupted run.
    """
    from objascale.commands.planning import choose_assets, choose_source
    from objascale.crops import CROPS_HEADER, Cropping, CropSettings
    from objascale.dataset import DatasetWriter
    from objascale.engine.local import LocalWorker, local_engine
    from objascale.settings import RenderSettings

    with errors():
        if choose_source(options) != "objaverse":
            refuse_idle("--source objaverse", "n")
        settings = CropSettings(seed=options.seed, views=views, px=px)
        render = RenderSettings(samples=samples, noise_threshold=_NOISE_THRESHOLD, denoise=denoise, view=view)
        objects, maps, _ = choose_assets(options, n)
        cropping = Cropping(objects, maps, settings, render, DatasetWriter(out, CROPS_HEADER))
        engine = local_engine(workers, device=device, timeout=timeout, restart_after=_OBJECTS_PER_PROCESS)
        _report(cropping, [LocalWorker(engine) for _ in range(engine.workers)])


def _report(cropping: Cropping, workers: list[LocalWorker]) -> None:
    """Render, show progress and print a summary. The exit code is 1 if there is no crop."""
    numbers = cropping.begin()
    folder = cropping.folder
    if len(numbers) < len(cropping.objects):
        complain(f"{len(cropping.objects) - len(numbers)} of {len(cropping.objects)} objects exist already")
    for _ in track(cropping.work(numbers, workers), "rendering", "objects", len(numbers)):
        pass
    records = folder.records()
    reasons = Counter(record["reason"] for record in records if record["status"] == "failed")
    complain_by_reason(reasons, f"objects left out; {folder.journal} names the files")
    made = sum(len(record["crops"]) for record in records if record["status"] == "done")
    print(f"{made} crops of {len(records) - reasons.total()} objects in {folder.folder}")
    if not made:
        fail(f"no object could be rendered; {folder.journal} says why")
