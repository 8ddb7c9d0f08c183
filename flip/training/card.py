"""A card of trained weights, as Markdown: measured results, training data, cost and trials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flip.checkpoint import OnnxMissing, WeightsBroken
from flip.choices import WEIGHTS_SUFFIXES
from flip.predictor import load_predictor
from flip.training.checkpoint import CHECKPOINT_FILE
from flip.training.config import Config, TrainingError
from flip.training.journal import METRICS_FILE
from flip.training.record import record_of_weights
from flip.training.validation import ValidationScores, validate
from flip.training_data import TrainingData
from flip.weights import sha256
from objascale.datasets import Sample
from objascale.intervals import INTERVAL_NOTE, SHARE, ratios

_MEASURE = (
    "Mean IoU with Gaussians from the true masks, without pixels that nobody labelled, [95 % interval]; "
    "ellipse: the prompt itself."
)
_FAILED_IOU = 0.3  # a choice: below it, most of the mask is elsewhere


@dataclass(frozen=True)
class Run:
    """A finished run, or weights without a run.

    Args:
        name: Name of the folder or file.
        weights: The exported weights.
        config: The configuration; None without a run.
        steps: Number of steps.
        hours: Time of all steps, including the wait for batches.
    """

    name: str
    weights: Path
    config: Config | None
    steps: int
    hours: float


def read_run(path: Path) -> Run:
    """Read the folder of a finished run, or a weights file. Raises TrainingError."""
    if path.suffix in WEIGHTS_SUFFIXES:
        if not path.is_file():
            raise TrainingError(f"there is no weights file {path}")
        return Run(path.stem, path, None, 0, 0.0)
    try:
        state = torch.load(path / CHECKPOINT_FILE, map_location="cpu", weights_only=True)
        config = Config.model_validate_json(state["config"])
        lines = [json.loads(line) for line in (path / METRICS_FILE).read_text().splitlines()]
        speeds = [line["examples_per_second"] for line in lines if "examples_per_second" in line]
    except (OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError) as error:
        raise TrainingError(f"{path} is not the folder of a finished run ({error}); give another one") from None
    weights = path / f"{config.model}.safetensors"
    if not weights.is_file():
        raise TrainingError(f"{path} has no {weights.name}: the run has not finished; finish it first")
    seconds = sum(config.scenes * config.masks / speed for speed in speeds)
    return Run(path.name, weights, config, len(speeds), seconds / 3600)


def measure(weights: Path, data: Mapping[str, Sequence[Sample]]) -> dict[str, ValidationScores]:
    """Segment all objects of each data set from their own Gaussians, as `flip predict` does. Raises TrainingError."""
    try:
        predictor = load_predictor(weights)
    except (WeightsBroken, OnnxMissing, OSError) as error:
        raise TrainingError(str(error)) from None
    scores = {name: validate(predictor, samples) for name, samples in data.items()}
    if empty := [name for name, each in scores.items() if not len(each.model)]:
        raise TrainingError(f"{empty[0]} has no objects; give another data set")
    return scores


def make_card(runs: Sequence[tuple[Run, Mapping[str, ValidationScores]]], notes: Sequence[str]) -> str:
    """Return the card of the first run. The others are its trials.

    Args:
        runs: Runs and their scores by data set.
        notes: Paragraphs that no file holds, such as the machine, and what failed.
    """
    run, scores = runs[0]
    file, learned = run.weights, record_of_weights(run.weights)
    parameters = sum(each.numel() for each in load_predictor(file).model.parameters())
    parts = [
        f"# {file.stem}",
        "\n\n".join(notes),
        _table(
            ("", ""),
            (
                ("file", f"`{file.name}`, {file.stat().st_size:,} bytes, SHA-256 `{sha256(file)}`"),
                ("parameters", f"{parameters:,}"),
                *_cost(run),
            ),
        ),
        "## Results",
        f"{_MEASURE} {INTERVAL_NOTE}",
        *(part for name, each in scores.items() for part in (f"**{name}**", _results(each))),
        "## Training data",
        _training_data(learned),
    ]
    if len(runs) > 1:
        parts += ["## Trials", "Single runs.", _trials(runs)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _cost(run: Run) -> list[tuple[str, str]]:
    if not run.config:
        return []
    size = run.config.scenes * run.config.masks
    return [("trained", f"{run.steps:,} steps of {size} examples in {run.hours:.2f} hours")]


def _results(scores: ValidationScores) -> str:
    rows = [("all", _interval(scores), f"{scores.ellipse.mean():.3f}", str(len(scores.model)))]
    rows += [(size, f"{iou:.3f}", f"{ellipse:.3f}", str(n)) for size, (iou, ellipse, n) in scores.by_size().items()]
    failed = int((scores.model < _FAILED_IOU).sum())
    table = _table(("mask", "model", "ellipse", "objects"), rows)
    return f"{table}\n\nThe IoU is below {_FAILED_IOU} for {failed} of {len(scores.model)} objects."


def _interval(scores: ValidationScores) -> str:
    """Return the mean IoU with its interval, if there is one."""
    here = np.zeros_like(scores.cluster)
    low, high = ratios(scores.model, np.ones_like(scores.model), here, scores.cluster, SHARE).interval()
    mean = f"{scores.model.mean():.3f}"
    return mean if np.isnan(low[0]) else f"{mean} [{low[0]:.3f}, {high[0]:.3f}]"


def _training_data(learned: TrainingData) -> str:
    counts = [
        f"{len(set(each.values())):,} {name}"
        for name, each in (
            ("objects and cut-outs", learned.objects),
            ("maps and background photographs", learned.backgrounds),
            ("pictures with masks", learned.pictures),
        )
        if each
    ]
    listed = f"{', '.join(counts) or 'Nothing'}, listed with SHA-256 in the record beside the weights."
    sets = f" Public data sets: {', '.join(learned.datasets)}." if learned.datasets else ""
    return f"{listed}{sets}{'' if learned.complete else ' The record is incomplete.'} Source: {learned.source}."


def _trials(runs: Sequence[tuple[Run, Mapping[str, ValidationScores]]]) -> str:
    names = list(runs[0][1])
    rows = [
        (run.name, f"{run.steps:,}", f"{run.hours:.2f}", *(_interval(scores[name]) for name in names))
        for run, scores in runs
    ]
    return _table(("run", "steps", "hours", *names), rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
