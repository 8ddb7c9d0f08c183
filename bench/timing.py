"""Inference times of models: `bench run --timing`.

`flip.stopwatch` divides a call into preprocessing, model and postprocessing, and synchronises the device at each
boundary. One model runs at a time, on decoded images and with prompts made in advance. Warm-up calls precede the timed
calls.

    timing.parquet  one row per call
    timing.json     models, data, settings and environment
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from baselines.segmenter import BatchSegmenter, Prompt, Segmenter
from bench.environment import gpus, threads
from bench.predictions import PROMPTS_PER_CALL, checked_masks, sentence
from bench.prompts import PromptSettings, make_prompt
from bench.results import disk_errors
from bench.run_file import ResultsError
from bench.selection import Selection
from objascale.choices import Exif
from objascale.datasets import Dataset, TruthObject
from objascale.files import write_atomically
from objascale.progress import ProgressCallback

DEFAULT_IMAGES = 5  # about 700 calls per model with the default settings
TIMING_SCHEMA = 1
TIMING_COLUMNS = pa.schema(
    [
        pa.field("model", pa.string()),
        pa.field("image_id", pa.string()),
        pa.field("width", pa.int64()),
        pa.field("height", pa.int64()),
        pa.field("objects", pa.int64()),  # selected objects of the image
        pa.field("call", pa.string()),  # set_image | predict | predict_many
        pa.field("object_id", pa.string()),  # of a predict
        pa.field("area", pa.int64()),
        pa.field("batch", pa.int64()),  # prompts in the call
        pa.field("repeat", pa.int64()),  # from 0; warm-up calls have no row
        pa.field("pre_ms", pa.float64()),  # of the whole call
        pa.field("model_ms", pa.float64()),
        pa.field("post_ms", pa.float64()),
        pa.field("error", pa.string()),  # in place of the times
    ]
)
STAGE_COLUMNS = ["pre_ms", "model_ms", "post_ms"]
SCOPES = {
    "set_image": "picture",
    "predict": "object",
    "both": "picture + object",
    "shared": "picture / objects + object",
    "predict_many": f"object, {PROMPTS_PER_CALL} at once",
}
"""Scopes of the summary. `both` is the scope of the paper's Table 1."""


@dataclass(frozen=True)
class TimingSettings:
    """Numbers of calls.

    Attributes:
        warmup: Calls before the timed ones.
        repeats: Timed calls.
        objects: Objects of each image, from the first.
    """

    warmup: int = 3
    repeats: int = 20
    objects: int = 5


def run_timing(
    out: Path,
    description: dict[str, Any],
    dataset: Dataset,
    segmenters: Sequence[Segmenter],
    prompt: PromptSettings,
    selection: Selection,
    settings: TimingSettings,
    progress: ProgressCallback = lambda *_: None,
    exif: Exif = "stored",
) -> pd.DataFrame:
    """Time all models, and write timing.parquet and timing.json.

    Args:
        out: Folder to write.
        description: Description of the run, as in run.json.
        dataset: The data set.
        segmenters: The models.
        prompt: Settings of the prompts.
        selection: The part of the data set.
        settings: Numbers of calls.
        progress: Called after each image.
        exif: See `EncodedImage.decode`.

    Returns:
        A table with `TIMING_COLUMNS`, one row per call.

    Raises:
        ResultsError: `out` has times already or cannot be written, or no call could be timed.
    """
    table, header = out / "timing.parquet", out / "timing.json"
    if table.exists() or header.exists():
        raise ResultsError(f"{out} holds times already ({header}); move them, or give a new folder with --out")
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    before = _machine()
    timed = time_models(dataset, segmenters, prompt, selection, settings, progress, exif)
    if all("error" in row or row["call"] == "set_image" for row in timed):
        reason = next((row["error"] for row in timed if "error" in row), "no object is selected")
        raise ResultsError(f"nothing could be timed ({reason}), so nothing was written to {out}")
    rows = pa.Table.from_pylist(timed, TIMING_COLUMNS)
    run = {"schema": TIMING_SCHEMA, **description, "timing": asdict(settings), "threads": threads()}
    run |= {"before": before, "after": _machine()}
    buffer = pa.BufferOutputStream()
    pq.write_table(rows, buffer)
    with disk_errors(out):
        write_atomically(table, buffer.getvalue().to_pybytes())
        write_atomically(header, json.dumps(run, indent=1, ensure_ascii=False).encode())
    return rows.to_pandas()


def _machine() -> dict[str, Any]:
    """Return the load of the machine and the current state of its GPUs."""
    return {"load": [round(load, 2) for load in os.getloadavg()], "gpus": gpus()}


def time_models(
    dataset: Dataset,
    segmenters: Sequence[Segmenter],
    prompt: PromptSettings,
    selection: Selection,
    settings: TimingSettings,
    progress: ProgressCallback = lambda *_: None,
    exif: Exif = "stored",
) -> list[dict[str, Any]]:
    """Time each call of each model on the selected images.

    The calls on an image are `set_image`, `predict` for each of the first objects, and `predict_many` with
    `PROMPTS_PER_CALL` prompts if the model has it. The arguments are those of `run_timing`.

    Returns:
        Rows with `TIMING_COLUMNS`. A call that raises has one row with the error.
    """
    samples, rows = selection.samples(dataset), []
    names = [segmenter.describe().name for segmenter in segmenters]
    for done, sample in enumerate(samples):
        progress("images", done, len(samples))
        about: dict[str, Any] = {"image_id": sample.image_id}
        try:
            truths = [truth for truth in sample.objects() if selection.wants(truth)]
            pixels = sample.picture().of(truths).decode(exif)
        except Exception as caught:  # any error of a file becomes the error of this image's rows
            rows += [
                {**about, "model": segmenter.describe().name, "error": sentence(caught)} for segmenter in segmenters
            ]
            continue
        about |= {"width": pixels.shape[1], "height": pixels.shape[0], "objects": len(truths)}
        for segmenter, name in zip(segmenters, names, strict=True):
            for call in _calls(segmenter, pixels, truths, prompt, settings.objects):
                rows += _timed(segmenter, call, settings, {"model": name, **about})
    progress("images", len(samples), len(samples))
    return rows


@dataclass(frozen=True)
class _Call:
    """A call to time.

    Attributes:
        about: Columns of its rows.
        prepare: Returns the function to time; not timed itself.
        check: Raises if the function's result is wrong.
    """

    about: dict[str, Any]
    prepare: Callable[[], Callable[[], object]]
    check: Callable[[object], object] = lambda _: None


def _calls(
    segmenter: Segmenter,
    pixels: NDArray[np.uint8],
    truths: Sequence[TruthObject],
    settings: PromptSettings,
    objects: int,
) -> Iterator[_Call]:
    """Yield the calls of a model on an image, in the order of execution."""

    def prompt(truth: TruthObject) -> Prompt:
        return make_prompt(truth.mask(), segmenter.accepts, settings, truth.object_id)

    yield _Call({"call": "set_image"}, lambda: partial(segmenter.set_image, pixels))
    for truth in truths[:objects]:
        about = {"call": "predict", "object_id": truth.object_id, "area": truth.area, "batch": 1}
        yield _Call(
            about,
            lambda truth=truth: partial(segmenter.predict, prompt(truth)),  # type: ignore[misc]
            lambda answer: checked_masks(segmenter, [answer], 1, pixels),
        )
    if isinstance(segmenter, BatchSegmenter) and truths:
        valid = [truth for truth in truths if _is_valid(truth)] or truths
        many = [valid[i % len(valid)] for i in range(PROMPTS_PER_CALL)]
        about = {"call": "predict_many", "batch": PROMPTS_PER_CALL}
        yield _Call(
            about,
            lambda: partial(segmenter.predict_many, [prompt(truth) for truth in many]),
            lambda answers: checked_masks(segmenter, answers, PROMPTS_PER_CALL, pixels),
        )


def _is_valid(truth: TruthObject) -> bool:
    """Return whether an object gives a prompt. If not, its `predict` call reports the error."""
    try:
        return truth.mask().area > 0
    except Exception:  # any error of its annotation
        return False


def _timed(segmenter: Segmenter, call: _Call, settings: TimingSettings, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Time a call. Return one row per repeat, or one row with the error."""
    about = {**about, **call.about}
    watch = segmenter.stopwatch
    rows: list[dict[str, Any]] = []
    try:
        act = call.prepare()
        for repeat in range(-settings.warmup, settings.repeats):
            watch.reset()
            answer = act()
            ms = watch.reset()
            if not rows:
                call.check(answer)
            if repeat >= 0:
                times = {f"{stage}_ms": ms.get(stage, 0.0) for stage in ("pre", "model", "post")}
                rows.append({**about, "repeat": repeat, **times})
    except Exception as caught:  # any error of a model becomes the error of this call
        return [{**about, "error": sentence(caught)}]
    return rows


def summarise_times(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise times by model and scope (`SCOPES`).

    The sums of `both` and `shared` combine the calls of the same repeat.

    Args:
        rows: A table with `TIMING_COLUMNS`.

    Returns:
        The columns model, scope and n, and in ms pre_post, model_ms and total: the median over images, objects and
        repeats, and with _low and _high the 5th and 95th percentile.
    """
    rows = rows[rows["error"].isna()]
    images, objects, many = (rows[rows["call"] == call] for call in ("set_image", "predict", "predict_many"))
    keys = ["model", "image_id", "repeat"]
    of_image = objects[keys].merge(images, on=keys, how="left")
    of_image.index = objects.index
    parts = {
        "set_image": images,
        "predict": objects,
        "both": _with(objects, objects[STAGE_COLUMNS] + of_image[STAGE_COLUMNS]),
        "shared": _with(objects, objects[STAGE_COLUMNS] + of_image[STAGE_COLUMNS].div(of_image["objects"], axis=0)),
        "predict_many": _with(many, many[STAGE_COLUMNS].div(many["batch"], axis=0)),
    }
    table = []
    for model in dict.fromkeys(rows["model"]):
        for scope, part in parts.items():
            ms = part.loc[part["model"] == model, STAGE_COLUMNS]
            if len(ms):
                table.append({"model": model, "scope": scope, "n": len(ms), **_quantiles(ms)})
    return pd.DataFrame(table)


def _with(rows: pd.DataFrame, stages: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(**{stage: stages[stage] for stage in STAGE_COLUMNS})


def _quantiles(ms: pd.DataFrame) -> dict[str, float]:
    times = {"pre_post": ms["pre_ms"] + ms["post_ms"], "model_ms": ms["model_ms"], "total": ms.sum(axis=1)}
    marks = {"": 0.5, "_low": 0.05, "_high": 0.95}
    return {f"{name}{mark}": float(each.quantile(q)) for name, each in times.items() for mark, q in marks.items()}


def rich_table(summary: pd.DataFrame) -> Table:
    """Format the table of `summarise_times` for a terminal, with the paper's columns."""
    shown = Table(title="Milliseconds: median, 5th and 95th percentile")
    shown.add_column("model", no_wrap=True)
    shown.add_column("of", no_wrap=True)
    for head in ("pre/post", "model", "total"):
        shown.add_column(head, justify="right", no_wrap=True)
    last = None
    for row in summary.to_dict("records"):
        if row["model"] != last:
            shown.add_section()
        cells = (
            f"{_ms(row[name])} [{_ms(row[f'{name}_low'])}, {_ms(row[f'{name}_high'])}]"
            for name in ("pre_post", "model_ms", "total")
        )
        shown.add_row(row["model"] if row["model"] != last else "", SCOPES[row["scope"]], *map(escape, cells))
        last = row["model"]
    return shown


def _ms(value: float) -> str:
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
