"""`flip train`."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from flip.training.config import TrainingError, TrainingPrecision, read_config
from flip.weights import WeightsMissing
from objascale.dataset import DatasetError
from objascale.progress import ProgressCallback, show_progress

if TYPE_CHECKING:
    from flip.training.journal import Event


class _Printer:
    """The `report` of `flip.training.loop.train`: progress for steps, lines for the rest."""

    def __init__(self, console: Console, num_steps: int) -> None:
        self._console, self._num_steps = console, num_steps
        self.progress: ProgressCallback = lambda *_: None
        self.metrics = ""

    def __call__(self, event: Event) -> None:
        """Show a step, a validation or a sentence."""
        console = self._console
        if isinstance(event, str):
            console.print(f"[yellow]{escape(event)}[/yellow]")
        elif isinstance(event, dict):
            console.print(f"step {event['step']}: held-out IoU {event['iou']:.3f}, ellipse {event['ellipse']:.3f}")
            for size, (iou, ellipse, n) in event["sizes"].items():
                console.print(f"  {size:>18}: {iou:.3f}, ellipse {ellipse:.3f}, n = {n}")
        else:
            metrics = " ".join(f"{name} {value:.3f}" for name, value in event.metrics.items())
            self.metrics = f"{metrics}, {event.examples_per_second:.0f} examples/s, {event.wait:.0%} waiting"
            self.progress("steps", event.step, self._num_steps)


def train(
    data: Annotated[
        list[str],
        typer.Option(
            metavar="PATH[=SHARE]",
            help="Crops (from objascale crops, or a folder of PNGs with transparency), a folder of SA-1B tars, or a "
            "data set that `bench run` reads. Can be repeated: a=3 and b=1 take three scenes from a for each from b.",
        ),
    ],
    config: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="flip-s, flip-m, flip-l (the paper's training), each with -compositions (a short run); flip-tiny, "
            "flip-small, flip-middle, flip-large (the authors' released models); or a TOML file.",
        ),
    ] = "flip-s-compositions",
    backgrounds: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Photographs or environment maps to paste crops on. Can be repeated."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the run. An unfinished run is resumed.")] = Path(
        "runs/flip"
    ),
    initial_weights: Annotated[
        str | None,
        typer.Option("--begin-with", metavar="MODEL|FILE", help="Weights to start from instead of random ones."),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option("--validate", metavar="PATH", help="Data set for validation, in a format that `bench run` reads."),
    ] = None,
    pictures: Annotated[int, typer.Option(min=1, metavar="N", help="Number of validation images.")] = 100,
    accelerator: Annotated[str, typer.Option(metavar="NAME", help="cpu, cuda or auto.")] = "auto",
    devices: Annotated[str, typer.Option(metavar="N", help="Processes or GPUs per node, or auto.")] = "auto",
    nodes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of nodes. Start the same command on each with torchrun.")
    ] = 1,
    precision: Annotated[
        TrainingPrecision,
        typer.Option(help="float32, or bfloat16 for mixed precision. Coordinates are always float32."),
    ] = "bfloat16",
    workers: Annotated[int, typer.Option(min=0, metavar="N", help="Loader processes per device.")] = 1,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the blocks. Takes a minute or two and needs a C++ compiler.")
    ] = False,
) -> None:
    """Train FLIP. The same command resumes an interrupted run with identical losses."""
    try:
        from flip.predictor import weights_file
        from flip.training import loop
        from flip.training.validation import load_validation
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
        samples = load_validation(validation, pictures) if validation else []
        machine = loop.Machine(accelerator, count, nodes, precision, workers, compiled)
        report = _Printer(console, settings.steps)
        with show_progress("training", note=lambda: report.metrics) as report.progress:
            first = weights_file(initial_weights) if initial_weights else None
            weights = loop.train(settings, source, out, machine, samples, report, first)
    except (DatasetError, TrainingError, WeightsMissing) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        console.print(f"interrupted; the same command resumes from the checkpoint in {escape(str(out))}")
        sys.stdout.flush()
        os._exit(130)
    typer.echo(weights)
