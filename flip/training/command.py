"""`flip train`."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flip.training.config import Precision, TrainingError, read_config
from flip.weights import WeightsMissing
from objascale.dataset import DatasetError

if TYPE_CHECKING:
    from flip.training.journal import Step


class _Report:
    """A bar for the steps where somebody looks, a line now and then where not; validations and sentences as lines."""

    def __init__(self, console: Console, steps: int) -> None:
        self._console, self._steps, self._every = console, steps, 100
        self._bar = Progress(
            *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=steps)

    def __enter__(self) -> _Report:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def __call__(self, what: Step | dict[str, Any] | str) -> None:
        if not isinstance(what, dict | str):
            line = f"step {what.step}: " + " ".join(f"{name} {value:.3f}" for name, value in what.told.items())
            line += f", {what.examples_per_second:.0f} examples/s, {what.wait:.0%} waiting"
            self._bar.update(self._task, completed=what.step, description=line)
            if not self._console.is_terminal and what.step % self._every == 0:
                self._console.print(f"{line}, of {self._steps}", markup=False)
        elif isinstance(what, dict):
            self._console.print(f"step {what['step']}: held out IoU {what['iou']:.3f}, ellipse {what['ellipse']:.3f}")
            for size, (iou, ellipse, n) in what["sizes"].items():
                self._console.print(f"  {size:>18}: {iou:.3f}, ellipse {ellipse:.3f}, n = {n}")
        else:
            self._console.print(f"[yellow]{escape(what)}[/yellow]")


def train(
    data: Annotated[
        list[str],
        typer.Option(
            metavar="PATH[=SHARE]",
            help="Crops (objascale crops, or a folder of PNGs with transparency), a folder of SA-1B's tars, or a "
            "data set as `bench run` takes it. "
            "May be given several times: a=3 and b=1 give three scenes of a to one of b.",
        ),
    ],
    config: Annotated[
        str,
        typer.Option(
            help="flip-s, flip-m, flip-l (the paper's training), each with -compositions; flip-tiny, flip-small, "
            "flip-middle, flip-large (the released line's); or a TOML file."
        ),
    ] = "flip-s-compositions",
    backgrounds: Annotated[
        list[Path] | None, typer.Option(help="Photographs or environment maps that crops are pasted on.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run; an unfinished one is continued.")] = Path("runs/flip"),
    begin: Annotated[
        str | None,
        typer.Option("--begin-with", metavar="MODEL|FILE", help="Weights to begin with, to train them further."),
    ] = None,
    held: Annotated[
        Path | None, typer.Option("--validate", help="Data set to measure IoU on, as `bench run --data` takes it.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, help="Of that data set.")] = 100,
    accelerator: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    devices: Annotated[str, typer.Option(help="How many processes or GPUs on each node, or auto.")] = "auto",
    nodes: Annotated[int, typer.Option(min=1, help="Machines; start the same command on each with torchrun.")] = 1,
    precision: Annotated[Precision, typer.Option(help="Of the arithmetic; coordinates are float32.")] = "bfloat16",
    workers: Annotated[int, typer.Option(min=0, help="Processes that make batches, for each device.")] = 1,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the blocks first: a minute or two, and needs a C++ compiler.")
    ] = False,
) -> None:
    """Train FLIP. The same command goes on with a run that was stopped, with the losses it would have had."""
    try:
        from flip.predictor import weights_file
        from flip.training import loop
        from flip.training.validation import held_out
        from objascale.scenes.sources import open_source
    except ImportError as error:
        typer.echo(f"error: training needs {error.name}: pip install objascale-suite[train]", err=True)
        raise typer.Exit(1) from None
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    warnings.filterwarnings("ignore", module="lightning_fabric")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    count = 1 if devices == "auto" and accelerator == "cpu" else int(devices) if devices.isdecimal() else devices
    try:
        settings = read_config(config)
        source = open_source(data, backgrounds or [], settings.seed, settings.short_side)
        samples = held_out(held, pictures) if held else []
        machine = loop.Machine(accelerator, count, nodes, precision, workers, compiled)
        with _Report(console, settings.steps) as report:
            first = weights_file(begin) if begin else None
            weights = loop.train(settings, source, out, machine, samples, report, first)
    except (DatasetError, TrainingError, WeightsMissing) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print(f"stopped; the same command goes on from the checkpoint in {escape(str(out))}")
        sys.stdout.flush()
        os._exit(130)
    typer.echo(weights)
