"""`objascale render`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from objascale.commands.common import complain_by_reason, errors
from objascale.commands.options import PlanOptions, takes_options
from objascale.engine import RenderDevice, Worker
from objascale.terminal import UsageError, complain, fail, parse_shard, refuse_idle

if TYPE_CHECKING:
    from objascale.rendering import Rendering

DEFAULT_OUT = Path("data/objascale")


@takes_options
def render(
    options: PlanOptions,
    benchmark: Annotated[
        str | None,
        typer.Argument(
            metavar="[BENCHMARK]",
            help="A frozen benchmark, such as objascale-mini-v1, or a file of objascale freeze. It replaces the "
            "options that make a plan.",
        ),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Plan from objascale plan. It replaces the options that make a plan.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the dataset. An unfinished one is continued.",
            show_default="data/objascale; of a benchmark, the folder in the cache in which bench run finds it",
        ),
    ] = None,
    depth: Annotated[
        bool, typer.Option("--depth", help="Write a depth map of each picture: OpenEXR, float32, in scene units.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Render the I-th of N parts into OUT.IofN. objascale merge joins the parts."),
    ] = None,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Run on this machine or on a Ray cluster.")] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address of the Ray cluster.",
            show_default="RAY_ADDRESS, else a local cluster",
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Blender processes.", show_default="one per core")] = None,
    device: Annotated[RenderDevice, typer.Option(help="Cycles' device. auto uses a GPU if available.")] = "auto",
    timeout: Annotated[float, typer.Option(help="Time limit for one image, seconds.")] = 1800,
) -> None:
    """Render images with exact masks. The same command continues an unfinished dataset."""
    from objascale.benchmarks import data_folder, load_benchmark
    from objascale.commands.planning import choose_benchmark_plan, choose_plan
    from objascale.dataset import DatasetWriter
    from objascale.engine.local import LocalWorker, local_engine
    from objascale.engine.ray import ray_workers
    from objascale.rendering import Rendering

    with errors():
        if engine != "ray":
            refuse_idle("--engine ray", "address")
        part = parse_shard(shard)
        frozen = None if benchmark is None else load_benchmark(benchmark)
        if frozen is not None and plan is not None:
            raise UsageError(f"--plan cannot be given with {frozen.name}, which has a plan")
        out = out or (DEFAULT_OUT if frozen is None else data_folder(frozen))
        if part != (1, 1):
            out = out.with_name(f"{out.name}.{part[0]}of{part[1]}")
        chosen = choose_plan(options, plan, out) if frozen is None else choose_benchmark_plan(options, frozen)
        rendering = Rendering(chosen, DatasetWriter(out), part, depth, frozen)
        if engine == "ray":
            _report(rendering, ray_workers(workers, address, device=device, timeout=timeout))
        else:
            settings = local_engine(workers, device=device, timeout=timeout)
            _report(rendering, [LocalWorker(settings) for _ in range(settings.workers)])


def _report(rendering: Rendering, workers: Sequence[Worker]) -> None:
    """Render, show progress and print a summary. The exit code is 1 if a slot stays empty."""
    slots = rendering.begin()
    total = rendering.size
    if len(slots) < total:
        complain(f"{total - len(slots)} of {total} images exist already")
    failures, empty = rendering.finish(slots, workers)
    complain_by_reason(failures, f"replaced by the next draw; {rendering.dataset.journal} names the files")
    print(f"{total - len(empty)} images in {rendering.dataset.folder}")
    if empty:
        fail(f"{len(empty)} images failed at every draw; {rendering.dataset.journal} says why")
