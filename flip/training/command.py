"""`flip train`."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from flip.choices import Device, TrainingPrecision
from flip.weights import WeightsMissing
from objascale.interrupts import exit_code
from objascale.progress import ProgressCallback, show_progress
from objascale.terminal import complain, fail

if TYPE_CHECKING:
    from flip.training.journal import Event
    from flip.training.plan import Plan


VALIDATION_IMAGES = 100  # a choice: enough to see a trend
KERNELS = 16384  # that oneDNN keeps; it compiles one per shape of a matrix product, and keeps 1024 by default


def _printer(progress: ProgressCallback, num_steps: int, plan: Plan | None = None) -> Callable[[Event], None]:
    """Return the `report` of `flip.training.loop.train`: a progress callback for steps, lines for the rest.

    The plan is printed once, after its first steps.
    """

    def report(event: Event) -> None:
        if isinstance(event, str):
            complain(Text(event, "yellow"))
        elif isinstance(event, dict):
            complain(f"step {event['step']}: held-out IoU {event['iou']:.3f}, ellipse {event['ellipse']:.3f}")
            for size, (iou, ellipse, n) in event["sizes"].items():
                complain(f"  {size:>18}: {iou:.3f}, ellipse {ellipse:.3f}, n = {n}")
        else:
            metrics = " ".join(f"{name} {value:.3f}" for name, value in event.metrics.items())
            speed = f"{event.examples_per_second:.0f} examples/s, {event.wait:.0%} waiting"
            progress(f"steps, {metrics}, {speed}", event.step, num_steps)
            for line in plan.after(event) if plan else ():
                complain(line)

    return report


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
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="held-out|PATH",
            help="Files, folders and data sets that training must not use: pictures that resemble theirs are left out. "
            "held-out is what this suite measures FLIP on. Can be repeated.",
        ),
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
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Validate on the first N images only.", show_default="100")
    ] = None,
    device: Annotated[Device, typer.Option(help="Device of the network. auto uses a GPU if available.")] = "auto",
    processes: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes per node, one per GPU.", show_default="one per GPU, or one"),
    ] = None,
    nodes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of nodes. Start the same command on each with torchrun.")
    ] = 1,
    precision: Annotated[
        TrainingPrecision | None,
        typer.Option(
            help="Precision of the network: float32, or mixed with bfloat16. Coordinates are always float32.",
            show_default="bf16 where the device computes it, else fp32",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, metavar="N", help="Loader processes per device.")] = 1,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the blocks. Takes a minute or two and needs a C++ compiler.")
    ] = False,
) -> None:
    """Train FLIP. The same command resumes an interrupted run with identical losses.

    After 50 steps it prints a plan: the speed, the days to the end with other numbers of devices, and the memory.
    """
    if limit and not validation:
        fail("--limit does nothing without --validate", 2)
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS))  # PyTorch reads it when it is loaded
    try:
        from flip.devices import computes_bfloat16, parse_device
        from flip.predictor import weights_file
        from flip.prompts import PredictorError
        from flip.pseudo_labels.labels import LabelError, training_data_of
        from flip.training import loop
        from flip.training.config import TrainingError, read_config
        from flip.training.plan import Plan, devices_here
        from flip.training.record import record_of, record_of_teacher, record_of_weights
        from flip.training.validation import load_validation
        from objascale.dataset import DatasetError
        from objascale.scenes.exclusions import read_exclusions
        from objascale.scenes.sources import open_source, parse_share
    except ImportError as error:
        fail(f"training needs {error.name}: pip install objascale-suite[train]")
    warnings.filterwarnings("ignore", module="lightning_fabric")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        settings = read_config(config)
        default_precision: TrainingPrecision = "bf16" if computes_bfloat16(parse_device(device)) else "fp32"
        exclusions = read_exclusions(exclude or [])
        source = open_source(data, backgrounds or [], settings.seed, settings.short_side, exclusions, settings.augment)
        contents = source.contents()
        for reason, excluded in sorted(contents.left_out.items()):
            complain(f"left out of the training data: {excluded}, because {reason}")
        samples = load_validation(validation, limit or VALIDATION_IMAGES) if validation else []
        count = processes or (1 if device == "cpu" else "auto")
        machine = loop.Machine(device, count, nodes, precision or default_precision, workers, compiled)
        with show_progress("training") as progress:
            report = _printer(progress, settings.steps, Plan(settings, nodes * (processes or devices_here(device))))
            first = weights_file(initial_weights) if initial_weights else None
            learned = record_of(contents)
            for path, _ in map(parse_share, data):
                learned |= training_data_of(path) or learned
            if first:
                learned |= record_of_weights(first)
            if settings.teacher:
                learned |= record_of_teacher(settings.teacher.model)
            weights = loop.train(settings, source, out, machine, samples, report, first, learned)
    except (DatasetError, TrainingError, LabelError, PredictorError, WeightsMissing) as error:
        fail(str(error))
    except KeyboardInterrupt as interrupt:
        complain(f"interrupted; run the same command again to continue from the checkpoint in {out}")
        sys.stdout.flush()
        os._exit(exit_code(interrupt))
    typer.echo(weights)
