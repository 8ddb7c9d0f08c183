"""`objascale render`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from objascale.commands.common import Device, UsageError, console, errors, fail
from objascale.commands.options import PlanOptions, changed_options, takes_options
from objascale.commands.planning import make_plan
from objascale.dataset import Dataset
from objascale.engine import Worker
from objascale.engine.local import LocalWorker, local_engine
from objascale.engine.ray import ray_workers
from objascale.plan import Plan, PlanError, load_plan
from objascale.progress import Pace
from objascale.render import Outcome, Rendering

Engine = StrEnum("Engine", ["local", "ray"])


@takes_options
def render(
    options: PlanOptions,
    plan: Annotated[
        Path | None, typer.Option(help="Render what objascale plan wrote, instead of the options that make a plan.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The dataset's folder; an unfinished one is continued.")] = Path(
        "data/objascale"
    ),
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Only the I-th of N parts, into OUT.IofN; objascale merge puts them together."
        ),
    ] = None,
    engine: Annotated[Engine, typer.Option(help="This machine, or a Ray cluster.")] = Engine.local,
    address: Annotated[
        str | None, typer.Option(help="The Ray cluster's.", show_default="RAY_ADDRESS, else one that runs here")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Blender processes.", show_default="one a core")] = None,
    device: Annotated[Device, typer.Option(help="auto takes a GPU if there is one.")] = Device.auto,
    timeout: Annotated[float, typer.Option(help="Seconds that one image may take.")] = 1800,
) -> None:
    """Render images with exact masks. The same command continues an unfinished dataset."""
    with errors():
        part = _shard(shard)
        if part != (1, 1):
            out = out.with_name(f"{out.name}.{part[0]}of{part[1]}")
        rendering = Rendering(_plan(options, plan, out), Dataset(out), part)
        more = {"device": device.value, "timeout": timeout}
        if engine is Engine.ray:
            _report(rendering, ray_workers(workers, address, **more))
        else:
            settings = local_engine(workers, **more)
            _report(rendering, [LocalWorker(settings) for _ in range(settings.workers)])


def _plan(options: PlanOptions, path: Path | None, out: Path) -> Plan:
    if path is None:
        earlier = out / "plan.json"
        return make_plan(options, load_plan(earlier) if earlier.exists() else None)
    if given := changed_options(options):
        raise UsageError(f"{', '.join(given)} cannot be given with --plan, which fixes all that; make another plan")
    known = load_plan(path)
    if gone := [asset.path for asset in (*known.objects, *known.maps) if not asset.path.exists()]:
        raise PlanError(
            f"{len(gone)} of the assets of {path} are not here, as {gone[0]}; "
            "put them there, or plan again on this machine"
        )
    return known


def _shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text} should be I/N with I from 1 to N, as 3/8")
    return int(found[1]), int(found[2])


def _report(rendering: Rendering, workers: Sequence[Worker]) -> None:
    """Render with a progress bar, then say what came of it; exit code 1 if a slot stayed empty."""
    slots = rendering.begin()
    total = rendering.size
    if len(slots) < total:
        console.print(f"{total - len(slots)} of {total} images are there already")
    failures: Counter[str] = Counter()
    empty: list[int] = []
    pace = Pace(len(slots))
    for outcome in _progress(rendering.work(slots, workers, pace), pace):
        failures.update(record["reason"] for record in outcome.records if record["status"] == "failed")
        if not outcome.done:
            empty.append(outcome.slot)
    for reason, times in failures.most_common():
        console.print(f"{times} × {reason}: recorded in {rendering.dataset.journal} and replaced by the next draw")
    print(f"{total - len(empty)} images in {rendering.dataset.folder}")
    if empty:
        fail(f"{len(empty)} images could not be made after many draws each; {rendering.dataset.journal} says why")


def _progress(outcomes: Iterator[Outcome], pace: Pace) -> Iterator[Outcome]:
    if not console.is_terminal:
        shown = 0
        for outcome in outcomes:
            yield outcome
            if 10 * pace.done // pace.total > shown:
                shown = 10 * pace.done // pace.total
                console.print(f"{pace.done} of {pace.total} images, {pace}")
        return
    columns = (TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=pace.total, pace="")
        for outcome in outcomes:
            yield outcome
            progress.update(task, completed=pace.done, pace=str(pace))
