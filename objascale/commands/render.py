"""`objascale render`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from objascale.commands.common import Device, Source, assets, console, errors, fail
from objascale.dataset import Dataset
from objascale.engine.local import EngineSettings, local_engine
from objascale.plan import Plan, PlanSettings, RenderSettings
from objascale.render import Outcome, Rendering

Format = StrEnum("Format", ["png", "jpg"])
View = StrEnum("View", [("AgX", "AgX"), ("Filmic", "Filmic"), ("Standard", "Standard")])


def render(
    source: Annotated[Source, typer.Option(help="starter needs nothing; folder takes --objects.")] = Source.starter,
    objects: Annotated[Path | None, typer.Option(help="Objects, as DIR/CATEGORY/NAME.glb (gltf, obj, fbx, …).")] = None,
    hdris: Annotated[
        Path | None, typer.Option(help="Environment maps, .exr or .hdr. Without it, the eight that Blender ships.")
    ] = None,
    n: Annotated[int, typer.Option(min=1, help="Number of images.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Decides every random choice.")] = 0,
    out: Annotated[Path, typer.Option(help="The dataset's folder; an unfinished one is continued.")] = Path(
        "data/objascale"
    ),
    min_px: Annotated[int, typer.Option(help="Smallest picture, px a side.")] = 512,
    max_px: Annotated[int, typer.Option(help="Largest picture, px a side.")] = 8192,
    min_fraction: Annotated[float, typer.Option(help="Smallest mask, as a fraction of the picture.")] = 1e-6,
    max_fraction: Annotated[float, typer.Option(help="Largest mask, likewise.")] = 0.25,
    min_area: Annotated[int, typer.Option(help="Smallest mask in px.")] = 4,
    samples: Annotated[int, typer.Option(help="Paths a pixel, at the most.")] = 64,
    noise: Annotated[float, typer.Option(help="Stop sampling a pixel below this noise; 0 never stops.")] = 0.03,
    denoise: Annotated[bool, typer.Option(help="Denoise the object with Open Image Denoise.")] = True,
    view: Annotated[View, typer.Option(help="View transform.")] = View.AgX,
    format: Annotated[Format, typer.Option(help="png is exact, jpg (quality 95) small and fast.")] = Format.png,
    workers: Annotated[int | None, typer.Option(min=1, help="Blender processes. [default: one a core]")] = None,
    device: Annotated[Device, typer.Option(help="auto takes a GPU if there is one.")] = Device.auto,
    timeout: Annotated[float, typer.Option(help="Seconds that one image may take.")] = 1800,
) -> None:
    """Render images with exact masks. The same command continues an unfinished dataset."""
    with errors():
        settings = RenderSettings(
            samples=samples,
            noise_threshold=noise,
            denoise=denoise,
            view=view.value,
            format=format.value,
            min_area=min_area,
        )
        ranges = PlanSettings(
            seed=seed,
            min_px=min_px,
            max_px=max_px,
            min_fraction=min_fraction,
            max_fraction=max_fraction,
            min_area=min_area,
        )
        things, maps = assets(source, objects, hdris)
        engine = local_engine(workers, device=device.value, timeout=timeout)
        rendering = Rendering(Plan(things, maps, ranges), settings, Dataset(out), source.value)
        _report(rendering, n, engine)


def _report(rendering: Rendering, n: int, engine: EngineSettings) -> None:
    """Render with a progress bar, then say what came of it; exit code 1 if a slot stayed empty."""
    slots = rendering.begin(n)
    if len(slots) < n:
        console.print(f"{n - len(slots)} of {n} images are there already")
    failures: Counter[str] = Counter()
    empty: list[int] = []
    for outcome in _progress(rendering.work(slots, engine), len(slots), failures):
        failures.update(record["reason"] for record in outcome.records if record["status"] == "failed")
        if not outcome.done:
            empty.append(outcome.slot)
    for reason, times in failures.most_common():
        console.print(f"{times} × {reason}: recorded in {rendering.dataset.journal} and replaced by the next draw")
    print(f"{n - len(empty)} images in {rendering.dataset.folder}")
    if empty:
        fail(f"{len(empty)} images could not be made after many draws each; {rendering.dataset.journal} says why")


def _progress(outcomes: Iterator[Outcome], total: int, failures: Counter[str]) -> Iterator[Outcome]:
    if not console.is_terminal:
        for number, outcome in enumerate(outcomes, 1):
            yield outcome
            if number % max(1, total // 10) == 0:
                console.print(f"{number} of {total} images")
        return
    columns = (
        TextColumn("rendering"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} a minute, {task.fields[failed]} replaced,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, rate=0.0, failed=0)
        for number, outcome in enumerate(outcomes, 1):
            yield outcome
            minutes = (progress.tasks[task].elapsed or 1) / 60
            progress.update(task, advance=1, rate=number / minutes, failed=failures.total())
