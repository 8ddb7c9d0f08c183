"""`bench run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from baselines.segmenter import Options, Precision
from bench.choices import MAX_NOISE, MAX_TOKENS, SOURCES
from bench.commands.common import (
    Weights,
    complain_of_errors,
    errors,
    fail_if_only_errors,
    numbers,
    report,
    whole_numbers,
)
from flip.choices import Device
from objascale.choices import DATASET_FORMATS, Exif
from objascale.progress import show_progress
from objascale.terminal import UsageError, complain, console, fail, fail_interrupted, refuse_idle

if TYPE_CHECKING:
    from bench.setup import Setup
    from bench.timing import TimingSettings
    from bench.weights import Missing
    from objascale.datasets import Dataset


def known_source(text: str) -> str:
    """Check the source of --prompt. Raises BadParameter."""
    if text.partition(":")[0] not in SOURCES:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(SOURCES[:-1])} and detector:FILE")
    return text


def run(
    models: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Names from `bench models`, FILE.py:CLASS or PACKAGE.MODULE:CLASS, separated by commas; all: every "
            "model of `bench models` whose weights are present.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder or file of the data set; or a frozen benchmark, such as objascale-mini-v1, which is rendered "
            "first if it is not here."
        ),
    ] = Path("data/objascale"),
    out: Annotated[Path, typer.Option(help="Results folder; an unfinished run in it is continued.")] = Path("results"),
    format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=f"Format of the data set: {', '.join(DATASET_FORMATS)}; detected if not given."
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images, if the COCO JSON of --data lies elsewhere."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with an error if any annotation is malformed, instead of skipping it.")
    ] = False,
    weights: Weights = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Measure only the first N images.")] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUES",
            help="Measure only objects with category=NAME,NAME, area=LOW..HIGH (px) or fraction=LOW..HIGH, and only "
            "images that a text file lists: image=FILE.",
        ),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Measure only the I-th of N parts; see bench merge.")
    ] = None,
    prompt: Annotated[
        str,
        typer.Option(
            metavar="SOURCE",
            callback=known_source,
            help="Source of prompts: each model's own kind (matched), or the same box, gaussian or point. Protocols: "
            "clicks (up to 20 that correct errors), worst (a set of plausible prompts), detector:FILE (boxes of a "
            "detector, as COCO's JSON of results).",
        ),
    ] = "matched",
    noise: Annotated[
        str,
        typer.Option(
            metavar="NUMBER,...",
            help="Noise of prompts, as a fraction of the side of the object's box; several: 0,0.1.",
        ),
    ] = "0",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    tokens: Annotated[
        str, typer.Option(metavar="N,...", help="Largest number of patches that FLIP samples; several: 32,64,128.")
    ] = "512",
    exif: Annotated[
        Exif,
        typer.Option(
            help="How to read an image whose annotated size fits with and without its EXIF orientation: the pixels as "
            "stored, or as viewers display them."
        ),
    ] = "stored",
    ignore_band: Annotated[
        bool,
        typer.Option(
            "--ignore-band",
            help="Leave the pixels that blur makes uncertain out of the scores (presets photo and hard of objascale).",
        ),
    ] = False,
    device: Annotated[Device, typer.Option(help="Device of the networks.")] = "auto",
    precision: Annotated[
        Precision, typer.Option(help="Precision of FLIP and SAM: float32, or mixed with a 16-bit format.")
    ] = "fp32",
    offline: Annotated[
        bool, typer.Option("--offline", help="Refuse the run if weights are missing, instead of fetching them.")
    ] = False,
    available: Annotated[
        bool, typer.Option("--available", help="Omit models whose weights or packages are missing; fetch nothing.")
    ] = False,
    allow_untrained: Annotated[
        bool,
        typer.Option(
            "--allow-untrained",
            help="Run models whose weights are missing with random weights, and mark their rows; fetch nothing.",
        ),
    ] = False,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Run on this machine or on a Ray cluster.")] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Address of the Ray cluster.", show_default="RAY_ADDRESS, else a local cluster"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that measure. On this machine they share its cores.",
            show_default="one per GPU, else by models, cores, memory and images; Ray: one per GPU, or per two CPUs",
        ),
    ] = None,
    timing: Annotated[
        bool, typer.Option("--timing", help="Measure inference times instead, on the first 5 (--limit) images.")
    ] = False,
    warmup: Annotated[int, typer.Option(min=0, help="With --timing: calls before the timed ones.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, help="With --timing: timed calls.")] = 20,
) -> None:
    """Measure models on a data set: one row per model and object in OUT/results.parquet, and a table at the end.

    Missing weights are fetched first. If that fails for a model, the others are measured, and the exit code is 1.

    The same command continues an interrupted run. Other models, noise levels and numbers of patches can be added later.
    """
    from baselines.registry import all_models, find_models
    from bench.choices import PROTOCOLS
    from bench.engines import describe_run, open_engine
    from bench.protocols.option import describe_left_out, parse_prompt, with_clicks
    from bench.results import open_results
    from bench.runner import run as measure
    from bench.selection import SelectionError, parse_selection
    from bench.setup import Setup
    from bench.timing import DEFAULT_IMAGES, TimingSettings
    from bench.weights import obtain_weights
    from objascale.benchmarks.obtaining import dataset_path
    from objascale.datasets.formats import open_dataset
    from objascale.datasets.skipped import refuse_bad_records

    with errors():
        if engine != "ray":
            refuse_idle("--engine ray", "address")
        if not timing:
            refuse_idle("--timing", "warmup", "repeats")
        selection = parse_selection(select or [], limit or (DEFAULT_IMAGES if timing else None), shard)
        prompts = parse_prompt(prompt, numbers("--noise", noise, 0, MAX_NOISE), seed)
        patches = whole_numbers("--tokens", tokens, 1, MAX_TOKENS)
        if available and allow_untrained:
            raise UsageError("--available omits models without weights, and --allow-untrained runs them; give one")
        if timing and (engine != "local" or (workers or 1) > 1 or len(prompts) > 1 or len(patches) > 1):
            raise SelectionError("--timing needs --engine local, one worker, one --noise and one --tokens")
        if timing and prompts[0].source in PROTOCOLS:
            raise SelectionError(f"--timing takes one prompt for each object, not --prompt {prompts[0].source}")
        if models == "all":
            chosen, available = all_models(), True
        else:
            chosen = find_models([name.strip() for name in models.split(",") if name.strip()])
        left_out: list[str] = []
        if prompt == "clicks":
            chosen, left_out = with_clicks(chosen)
        if not any(model.takes_tokens for model in chosen):
            refuse_idle("a model that samples patches, such as flip-s", "tokens")
        data = dataset_path(data)
        opened = open_dataset(data, format, images)
        dataset = opened.ignoring_bands() if ignore_band else opened
        selection.check(dataset)
        if strict:
            refuse_bad_records(dataset, selection.samples(dataset))
        missing: Missing = "omit" if available else "random" if allow_untrained else "refuse" if offline else "fetch"
        found = obtain_weights(chosen, weights, missing)
        lost = list(found.failures)
        setup = Setup(
            found.models,
            found.files,
            Options(device, precision),
            data.absolute(),
            format,
            prompts,
            selection,
            patches,
            exif,
            images and images.absolute(),
            ignore_band=ignore_band,
        )
        if timing:
            _time(out, dataset, setup, TimingSettings(warmup, repeats), lost)
            return
        with (
            open_engine(engine, setup, dataset, workers, address) as there,
            open_results(out, describe_run(dataset, there, setup, _command(), left_out), dataset) as results,
        ):
            if left_out:
                complain(describe_left_out(left_out))
            for sentence in there.unavailable.values():
                complain(sentence)
            try:
                with show_progress("measuring") as progress:
                    measure(there, selection.samples(dataset), results, progress)
            except KeyboardInterrupt as interrupt:
                fail_interrupted(
                    interrupt,
                    f"interrupted; {len(results.rows)} rows are in {out}; run the same command again to continue",
                )
            if not selection.found(dataset, results.rows.values()):
                raise SelectionError(f"no object of {data} is selected; change --select, --limit or --shard")
        report(results, out)
        fail_if_only_errors(results.frame(), [card.name for card in there.cards])
        _fail_if_lost([*lost, *there.unavailable])


def _time(out: Path, dataset: Dataset, setup: Setup, settings: TimingSettings, lost: list[str]) -> None:
    """`bench run --timing`. `lost` are the names of models without weights."""
    from bench.engines import describe_run
    from bench.timing import rich_table, run_timing, summarise_times

    there = setup.measurer(dataset)
    segmenters = there.segmenters
    description = describe_run(dataset, there, setup, _command())
    for sentence in there.unavailable.values():
        complain(sentence)
    try:
        with show_progress("measuring") as progress:
            rows = run_timing(
                out, description, dataset, segmenters, setup.prompts[0], setup.selection, settings, progress, setup.exif
            )
    except KeyboardInterrupt as interrupt:
        fail_interrupted(interrupt, "interrupted; no times were written; run the same command again")
    console().print(rich_table(summarise_times(rows)))
    complain_of_errors(rows, "have no time")
    console().print(f"{len(rows)} calls in {out / 'timing.parquet'}", soft_wrap=True)
    fail_if_only_errors(rows[rows["call"] != "set_image"], [card.name for card in there.cards])
    _fail_if_lost([*lost, *there.unavailable])


def _command() -> list[str]:
    """Return the words of the command without the folder of the program."""
    return [Path(sys.argv[0]).name, *sys.argv[1:]]


def _fail_if_lost(names: list[str]) -> None:
    """End the command with exit code 1 if a model of --models could not be loaded."""
    if names:
        fail(f"{', '.join(names)} could not be loaded, so there are no rows of it")
