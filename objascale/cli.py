"""The command `objascale`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from objascale.color import ColorError
from objascale.dataset import Dataset, DatasetError
from objascale.engine.local import EngineSettings, Fatal, local_engine
from objascale.plan import Plan, PlanSettings, RenderSettings
from objascale.render import Outcome, Rendering
from objascale.sources import Asset, SourceError, embedded, folder

app = typer.Typer(no_args_is_help=True, help="Make ObjaScale: objects before HDRI backgrounds, with exact masks.")
console = Console(stderr=True)

Source = StrEnum("Source", ["starter", "folder"])
Format = StrEnum("Format", ["png", "jpg"])
View = StrEnum("View", [("AgX", "AgX"), ("Filmic", "Filmic"), ("Standard", "Standard")])
Device = StrEnum("Device", ["auto", "cpu", "cuda", "optix", "hip", "metal"])


@app.callback()
def main() -> None:
    """Make ObjaScale: objects before HDRI backgrounds, with exact masks."""


@app.command(
    epilog="Example: objascale render --source folder --objects glbs --hdris maps --n 100 --seed 1 --out data/mine"
)
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
    with _errors():
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
        things, maps = _assets(source, objects, hdris)
        engine = local_engine(workers, device=device.value, timeout=timeout)
        rendering = Rendering(Plan(things, maps, ranges), settings, Dataset(out), source.value)
        _report(rendering, n, engine)


def _assets(source: Source, objects: Path | None, hdris: Path | None) -> tuple[list[Asset], list[Asset]]:
    maps = folder.environment_maps(hdris) if hdris else embedded.environment_maps()
    if source is Source.folder:
        if objects is None:
            raise SourceError("--source folder needs --objects DIR, with the objects as DIR/CATEGORY/NAME.glb")
        return folder.objects(objects), maps
    if objects is not None:
        raise SourceError("--objects goes with --source folder; the starter objects are made by the program itself")
    with console.status("making the starter objects"):
        return embedded.objects(), maps


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
        _fail(f"{len(empty)} images could not be made after many draws each; {rendering.dataset.journal} says why")


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


@contextmanager
def _errors() -> Iterator[None]:
    """Turn the errors that a user can cause into one sentence."""
    try:
        yield
    except ValidationError as error:
        _fail("; ".join(_sentence(detail) for detail in error.errors()), 2)
    except (SourceError, DatasetError, ColorError, Fatal) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on where this one stopped", 130)
    except OSError as error:
        _fail(f"{error.filename or 'a file'}: {error.strerror or error}")


def _sentence(detail: Any) -> str:
    where = "--" + str(detail["loc"][0]).replace("_", "-") + " " if detail["loc"] else ""
    return where + str(detail["msg"]).removeprefix("Value error, ")


def _fail(message: str, code: int = 1) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)


if __name__ == "__main__":
    app()
