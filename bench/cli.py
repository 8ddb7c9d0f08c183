"""`bench`: models under matched prompts on a data set, one row per model and object."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from bench import registry
from bench.datasets import Dataset
from bench.datasets.formats import FORMATS, open_dataset
from bench.progress import show_progress
from bench.prompts import PromptSettings, PromptSource
from bench.ray import Cluster
from bench.registry import UnknownModel
from bench.results import Results, ResultsError, merge_results, open_results
from bench.runner import Engine
from bench.runner import run as measure
from bench.segmenter import Device, ModelUnavailable, Options, Precision
from bench.selection import SelectionError, parse_selection
from bench.setup import Setup
from bench.summary import rich_table, summarise
from flip.weights import DownloadFailed, WeightsMissing, cache_folder, find_files
from objascale.dataset import DatasetError
from objascale.engine import Fatal

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
    tokens: Annotated[str, typer.Option(help="Patches that FLIP looks at, at most; several: 32,64,128.")] = "512",
    device: Annotated[Device, typer.Option(help="Where networks run.")] = "auto",
    precision: Annotated[
        Precision, typer.Option(help="Of FLIP and SAM: float32, or mixed with one of the 16-bit formats.")
    ] = "fp32",
    allow_untrained: Annotated[
        bool,
        typer.Option("--allow-untrained", help="Run models without weights here on random ones, and mark their rows."),
    ] = False,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="This machine, or a Ray cluster.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="The Ray cluster's.", show_default="RAY_ADDRESS, else one that runs here")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="On the Ray cluster.", show_default="one a GPU, or one for two CPUs")
    ] = None,
) -> None:
    """Measure models on a data set: a row per model and object in OUT/results.parquet, and a table at the end.

    The same command goes on where it was stopped; other models and noises may be added to a finished run.

    Example: `bench run --models flip-tiny,mobilesam-onnx,box,ellipse --data data/objascale --out results`

    Example: `bench run --models box,ellipse --data coco/annotations/instances_val2017.json --select fraction=..1e-3`
    """
    with _errors():
        selection = parse_selection(select or [], limit, shard)
        prompts = [PromptSettings(prompt, level, seed) for level in _numbers("--noise", noise, 0)]
        chosen = _chosen(models, weights)
        files = registry.find_all_weights(chosen, weights, allow_untrained=allow_untrained)
        dataset = open_dataset(data, format)
        here = {name: found and tuple(file.absolute() for file in found) for name, found in files.items()}
        patches = [int(number) for number in _numbers("--tokens", tokens, 1)]
        setup = Setup(here, Options(device, precision), data.absolute(), format, prompts, selection, patches)
        measurer: Engine = Cluster(setup, workers, address) if engine == "ray" else setup.load()[0]
        with open_results(out, _description(dataset, measurer, prompts), dataset) as results:
            try:
                with show_progress(_console()) as progress:
                    measure(measurer, selection.samples(dataset), results, progress)
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


def _numbers(option: str, text: str, least: float) -> list[float]:
    """The numbers of an option, each once. Raises SelectionError for what is none, or less than `least`."""
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(least <= number < math.inf for number in numbers):
        raise SelectionError(f"{option} {text}: give one number from {least:g} on, or several with commas between")
    return list(dict.fromkeys(numbers))


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


def _description(dataset: Dataset, measurer: Engine, prompts: list[PromptSettings]) -> dict:
    """What run.json says of this run."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "dataset": {
            "name": dataset.name,
            "path": str(dataset.path),
            "images": len(dataset.samples),
        },
        "models": [asdict(card) for card in measurer.cards],
        "prompt": {"source": prompts[0].source, "seed": prompts[0].seed},
        "noise": [prompt.noise for prompt in prompts],
        "environment": measurer.environment,
    }


def _report(results: Results, out: Path) -> None:
    """The table, and what went wrong."""
    rows = results.frame()
    _console().print(rich_table(summarise(rows)))
    failed = rows[rows["error"].notna()]
    if len(failed):
        first = failed.iloc[0]
        _complain(f"{len(failed)} rows are errors and count with IoU 0, the first: {first['model']}, {first['error']}")
    _console().print(f"{len(rows)} rows in {out / 'results.parquet'}", soft_wrap=True)


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
        *(DatasetError, ResultsError, SelectionError, Fatal),
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
