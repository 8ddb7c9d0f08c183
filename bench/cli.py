"""`bench`: models under matched prompts on a data set, one row per model and object."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from bench import registry
from bench.compare import By, Comparison, rows_of, write_pairs
from bench.compare import rich_table as comparison_table
from bench.datasets import Dataset
from bench.datasets.formats import FORMATS, open_dataset
from bench.environment import environment
from bench.progress import show_progress
from bench.prompts import PromptSettings, PromptSource
from bench.registry import UnknownModel
from bench.results import Results, ResultsError, merge_results, open_results
from bench.runner import run as measure
from bench.segmenter import Device, ModelUnavailable, Options, Precision, Segmenter
from bench.selection import Selection, SelectionError, parse_selection
from bench.summary import rich_table, summarise
from bench.timing import IMAGES as TIMED_IMAGES
from bench.timing import TimingSettings, run_timing, summarise_times
from bench.timing import rich_table as timing_table
from flip.weights import DownloadFailed, WeightsMissing, cache_folder, find_files
from objascale.dataset import DatasetError

app = typer.Typer(no_args_is_help=True, help=__doc__, rich_markup_mode="markdown")

Weights = Annotated[Path | None, typer.Option("--weights", help="Folder of weights, searched first.")]


@app.command()
def models(weights: Weights = None) -> None:
    """List every model: what it is, what it is prompted with, and where its weights are.

    Example: `bench models`
    """
    table = Table("model", "family", "parameters", "prompts", "weights", "licence")
    for model in registry.MODELS.values():
        parameters = f"{model.parameters:,}" if model.parameters else "–"
        table.add_row(
            model.name, model.family, parameters, ", ".join(model.prompts), _whereabouts(model, weights), model.licence
        )
    _console().print(table)
    able = ", ".join(name for name, model in registry.MODELS.items() if model.encodes_image)
    _console().print(
        f"NAME@crop shows {able} only a square around the prompt, twice as long as its box; NAME@crop=3, three times."
    )


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Models, as `bench models` lists them.")],
    weights: Weights = None,
) -> None:
    """Download the weights of models, check their SHA-256, and keep them in the user's cache (or --weights).

    Example: `bench fetch flip-tiny mobilesam-onnx`
    """
    folder = weights or cache_folder()
    with _errors():
        for model in registry.find_models(names):
            files = registry.fetch_weights(model, folder)
            _console().print(f"{model.name}: {', '.join(map(str, files)) or 'needs no weights'}", soft_wrap=True)


@app.command()
def run(
    models: Annotated[
        str, typer.Option(help="Names from `bench models`, with commas between; all: those whose weights are here.")
    ],
    data: Annotated[Path, typer.Option(help="The data set's folder or file.")] = Path("data/objascale"),
    out: Annotated[Path, typer.Option(help="Results folder; an unfinished run there is gone on with.")] = Path(
        "results"
    ),
    format: Annotated[
        str | None, typer.Option(help=f"Of the data set: {', '.join(FORMATS)}; told by what is there if not given.")
    ] = None,
    weights: Weights = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N images.")] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(help="Only objects with category=NAME,NAME, area=LOW..HIGH (px), fraction=LOW..HIGH."),
    ] = None,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="Only the I-th of N parts; see bench merge.")] = None,
    prompt: Annotated[
        PromptSource,
        typer.Option(help="Each model its own kind (matched), or all what a box, a Gaussian or a point tells."),
    ] = "matched",
    noise: Annotated[str, typer.Option(help="How wrong prompts are, in sides of the object's box; several: 0,0.1.")] = (
        "0"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Of the prompts' noise.")] = 0,
    device: Annotated[Device, typer.Option(help="Where networks run.")] = "auto",
    precision: Annotated[
        Precision, typer.Option(help="Of FLIP and SAM: float32, or mixed with one of the 16-bit formats.")
    ] = "fp32",
    allow_untrained: Annotated[
        bool,
        typer.Option("--allow-untrained", help="Run models without weights here on random ones, and mark their rows."),
    ] = False,
    timing: Annotated[
        bool, typer.Option("--timing", help="Time the models instead, each alone, on the first 5 (--limit) images.")
    ] = False,
    warmup: Annotated[int, typer.Option(min=0, help="With --timing: calls before one counts.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, help="With --timing: calls that count.")] = 20,
) -> None:
    """Measure models on a data set: a row per model and object in OUT/results.parquet, and a table at the end.

    The same command goes on where it was stopped; other models and noises may be added to a finished run.
    With --timing, it is milliseconds that are measured, and go to OUT/timing.parquet.

    Example: `bench run --models flip-tiny,mobilesam-onnx,box,ellipse --data data/objascale --out results`

    Example: `bench run --models box,ellipse --data coco/annotations/instances_val2017.json --select fraction=..1e-3`

    Example: `bench run --models flip-tiny,mobilesam-onnx --timing --limit 10 --out times`
    """
    with _errors():
        selection = parse_selection(select or [], limit or (TIMED_IMAGES if timing else None), shard)
        prompts = [PromptSettings(prompt, level, seed) for level in _levels(noise)]
        chosen = _chosen(models, weights)
        files = registry.find_all_weights(chosen, weights, allow_untrained=allow_untrained)
        dataset = open_dataset(data, format)
        options = Options(device, precision)
        segmenters = [registry.load(model, files[model.name], options) for model in chosen]
        if timing:
            _time(out, dataset, segmenters, prompts, selection, TimingSettings(warmup, repeats))
            return
        with open_results(out, _description(dataset, segmenters, prompts), dataset) as results:
            try:
                with show_progress(_console()) as progress:
                    measure(dataset, segmenters, prompts, results, selection, progress=progress)
            except KeyboardInterrupt:
                _fail(f"interrupted; {len(results.rows)} rows are safe in {out}, the same command goes on", code=130)
        _report(results, out)


@app.command()
def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="PART...", help="Folders that `bench run` wrote.")],
    out: Annotated[Path, typer.Option(help="Results folder to write; must be new.")] = Path("results"),
) -> None:
    """Put the results of shards, or of models measured apart, together into one folder.

    Example: `bench merge results.1 results.2 results.3 --out results`
    """
    with _errors():
        _report(merge_results(parts, out), out)


@app.command()
def compare(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder that `bench run` wrote.")],
    a: Annotated[str, typer.Argument(metavar="A", help="A model in it.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, or the same.")],
    other: Annotated[
        Path | None, typer.Option("--with", metavar="RESULTS", help="The folder that has B's rows, if it is another.")
    ] = None,
    noise: Annotated[str, typer.Option(help="Noise level of the prompts; of A and of B: 0,0.1.")] = "0",
    tokens: Annotated[str | None, typer.Option(help="Number of patches, where there are several; 128,512.")] = None,
    by: Annotated[By, typer.Option(help="What the rows of the table are.")] = "size",
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap's draws.")] = 0,
    out: Annotated[Path | None, typer.Option(help="CSV file to write, a line an object.")] = None,
) -> None:
    """Compare two models on the objects that both were asked for: differences of IoU, object by object.

    The interval of the mean difference draws whole assets, as renders of one asset are not independent.

    Example: `bench compare results flip-tiny mobilesam-onnx --out pairs.csv`

    Example: `bench compare results flip-tiny flip-tiny --noise 0,0.1`
    """
    with _errors():
        noises = _pair(noise, "--noise")
        patches = _pair(tokens, "--tokens") if tokens else (None, None)
        comparison = Comparison.of(
            rows_of(results, a, noises[0], patches[0]), rows_of(other or results, b, noises[1], patches[1])
        )
        for letter, name, alone in zip("AB", comparison.names, comparison.alone, strict=True):
            left_out = f"; {alone} objects that only {letter} has are left out" if alone else ""
            _console().print(f"{letter}: {name}{left_out}", soft_wrap=True)
        _console().print(comparison_table(comparison.table(by, seed), by, seed))
        if out is not None:
            write_pairs(comparison, out)
            _console().print(f"{len(comparison.pairs)} pairs in {out}", soft_wrap=True)


def _time(
    out: Path,
    dataset: Dataset,
    segmenters: list[Segmenter],
    prompts: list[PromptSettings],
    selection: Selection,
    settings: TimingSettings,
) -> None:
    """`bench run --timing`."""
    if len(prompts) > 1:
        raise SelectionError("--timing times one kind of prompts; give one --noise")
    try:
        with show_progress(_console()) as progress:
            description = _description(dataset, segmenters, prompts)
            rows = run_timing(out, description, dataset, segmenters, prompts[0], selection, settings, progress)
    except KeyboardInterrupt:
        _fail("interrupted; no times were written", code=130)
    _console().print(timing_table(summarise_times(rows)))
    _complain_of_errors(rows, "have no time")
    _console().print(f"{len(rows)} calls in {out / 'timing.parquet'}", soft_wrap=True)


def _levels(text: str) -> list[float]:
    """The noise levels of a command line, without doubles."""
    try:
        levels = [float(level) for level in text.split(",")]
    except ValueError:
        levels = [-1.0]
    if not all(0 <= level < 10 for level in levels):
        raise SelectionError(f"--noise {text}: give one number from 0 on, or several with commas between")
    return list(dict.fromkeys(levels))


def _pair(text: str, option: str) -> tuple[float, float]:
    """One number for both sides of a comparison, or one for each."""
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise SelectionError(f"{option} {text}: give one number, or that of A and that of B with a comma between")
    return numbers[0], numbers[-1]


def _chosen(models: str, weights: Path | None) -> list[registry.Model]:
    """What --models names; `all` leaves out those whose weights are missing, and says so."""
    if models != "all":
        return registry.find_models([name.strip() for name in models.split(",") if name.strip()])
    chosen = []
    for model in registry.MODELS.values():
        try:
            registry.find_all_weights([model], weights)
            chosen.append(model)
        except WeightsMissing as error:
            _complain(f"without {model.name}: {error}")
    return chosen


def _description(dataset: Dataset, segmenters: list[Segmenter], prompts: list[PromptSettings]) -> dict:
    """What run.json says of this run."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "dataset": {
            "name": dataset.name,
            "path": str(dataset.path),
            "images": len(dataset.samples),
        },
        "models": [asdict(segmenter.describe()) for segmenter in segmenters],
        "prompt": {"source": prompts[0].source, "seed": prompts[0].seed},
        "noise": [prompt.noise for prompt in prompts],
        "environment": environment(),
    }


def _report(results: Results, out: Path) -> None:
    """The table, and what went wrong."""
    rows = results.frame()
    _console().print(rich_table(summarise(rows)))
    _complain_of_errors(rows, "count with IoU 0")
    _console().print(f"{len(rows)} rows in {out / 'results.parquet'}", soft_wrap=True)


def _complain_of_errors(rows: pd.DataFrame, what: str) -> None:
    failed = rows[rows["error"].notna()]
    if len(failed):
        first = failed.iloc[0]
        _complain(f"{len(failed)} rows are errors and {what}, the first: {first['model']}, {first['error']}")


def _whereabouts(model: registry.Model, folder: Path | None) -> str:
    if model.weights is None:
        return "none needed"
    try:
        return str(find_files(model.weights, folder)[0].parent)
    except WeightsMissing:
        return f"bench fetch {model.name}"


@contextmanager
def _errors() -> Iterator[None]:
    """What a user can cause becomes a sentence and exit code 1."""
    try:
        yield
    except (
        *(UnknownModel, WeightsMissing, DownloadFailed, ModelUnavailable),
        *(DatasetError, ResultsError, SelectionError),
    ) as error:
        _fail(str(error))


def _fail(message: str, code: int = 1) -> NoReturn:
    for line in message.splitlines():
        _complain(f"error: {line}")
    raise typer.Exit(code)


def _complain(message: str) -> None:
    typer.echo(message, err=True)


def _console() -> Console:
    """Standard output; wide enough for the tables where it is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=120)
