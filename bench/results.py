"""The results folder.

    run.json         what was run: data set, models, prompts, environment
    journal.jsonl    append-only, a line a row, written as soon as the row exists
    results.parquet  the rows, made from the journal

The journal is the truth: whatever happens to the process, the same command reads it and goes on. A row with an error
is tried again, and the newest row of a key counts.
"""

from __future__ import annotations

import fcntl
import json
import re
import types
import typing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from objascale.dataset import differences
from objascale.datasets import Dataset
from objascale.files import write_atomically
from objascale.journal import JournalError, append_record, drop_incomplete_line, read_records

RESULTS_SCHEMA = 3
JOURNAL = "journal.jsonl"


class ResultsError(RuntimeError):
    """A results folder that cannot be written, is damaged, or holds results of another run."""


class RowKey(NamedTuple):
    """What makes two rows the same measurement."""

    model: str
    weights_sha256: str | None
    settings_hash: str  # of the model's and the prompt's settings
    image_sha256: str
    object_id: str


@dataclass(frozen=True)
class ResultRow:
    """One model on one object. Areas in px, times in ms; RLE size is [height, width]. With an error, iou is 0."""

    model: str
    weights_sha256: str | None
    settings_hash: str
    dataset: str
    dataset_path: str
    image_id: str
    image_file: str  # relative to dataset_path
    image_sha256: str
    object_id: str
    asset_id: str
    category: str
    width: int
    height: int
    area: int
    fraction: float
    truth_rle: str
    prompt_source: str  # matched | box | gaussian | point
    noise: float = 0.0
    prompt: str | None = None  # box | gaussian | point; null if none could be made
    iou: float = 0.0
    dice: float = 0.0
    boundary_iou: float = 0.0
    centre_error: float | None = None  # px between the means of truth and prediction; null if that is empty
    predicted_area: int = 0
    predicted_rle: str | None = None
    image_pre_ms: float | None = None  # set_image, whole, the same on every row of the image
    image_model_ms: float | None = None
    image_post_ms: float | None = None
    batch: int | None = None  # prompts that were answered together; the times below are those divided among them
    pre_ms: float | None = None  # predict
    model_ms: float | None = None
    post_ms: float | None = None
    tokens: int | None = None
    exif: str | None = None  # stored | displayed; null unless EXIF orientation and annotated size allow both
    untrained: bool = False
    seen_in_training: str = "unknown"  # one of bench.seen.ORDER
    error: str | None = None

    @property
    def key(self) -> RowKey:
        """What makes this row the same measurement as another."""
        return RowKey(self.model, self.weights_sha256, self.settings_hash, self.image_sha256, self.object_id)


def unread(image_id: str) -> str:
    """The object id of the row that stands for all objects of an image whose annotation cannot be read."""
    return f"unread/{image_id}"


_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def arrow_schema() -> pa.Schema:
    """`ResultRow` as the schema of results.parquet."""
    columns = []
    for name, hint in typing.get_type_hints(ResultRow).items():
        kinds = typing.get_args(hint) or (hint,)
        nullable = types.NoneType in kinds
        columns.append(pa.field(name, _ARROW[kinds[0]], nullable=nullable))
    return pa.schema(columns)


class ResultsWriter:
    """A results folder being written; `open_results` makes one."""

    def __init__(self, folder: Path, journal: FileIO | None = None) -> None:
        self.folder = folder
        self.rows: dict[RowKey, ResultRow] = {}
        self._journal = journal
        self.run: dict[str, Any] = {}  # content of run.json
        self._models: list[str] = []  # in the order of run.json
        self._pictures: dict[str, str] = {}  # image id → SHA-256
        self._truths: dict[str, str] = {}  # object id → RLE
        self._known: set[RowKey] = set()  # keys without SHA-256, or of no object, of what has better rows

    def append(self, row: ResultRow) -> None:
        """Add one row; it is in the journal when this returns.

        Raises ResultsError if the disk does not take it, and if other rows are of another picture of the same name, or
        of another mask of the object.
        """
        self._take(row)
        assert self._journal is not None
        with disk_errors(self.folder):
            append_record(self._journal, vars(row), sync=False)  # a lost row can be measured again

    def _take(self, row: ResultRow) -> None:
        """A row in place of what is known of its key, and of the errors of an image that could not be read.

        Those have no SHA-256, or no object; they give way to rows of the image whether these are earlier or later.
        """
        if row.image_sha256 and self._pictures.setdefault(row.image_id, row.image_sha256) != row.image_sha256:
            raise ResultsError(
                f"{row.image_file} has changed since {self.folder} got rows on it (SHA-256 differs); "
                "restore it, or give a new folder with --out"
            )
        if row.error is None and self._truths.setdefault(row.object_id, row.truth_rle) != row.truth_rle:
            raise ResultsError(
                f"the mask of object {row.object_id} has changed since {self.folder} got rows on it; "
                "restore the annotation, or give a new folder with --out"
            )
        nameless = row.key._replace(image_sha256="")
        if not row.image_sha256 and nameless in self._known:
            return
        unread_key = nameless._replace(object_id=unread(row.image_id))
        known = {nameless, unread_key} if row.image_sha256 else {unread_key} - {nameless}
        self._known |= known
        for stale in known:
            self.rows.pop(stale, None)
        self.rows[row.key] = row

    def done(self, key: RowKey) -> bool:
        """Whether this measurement exists and needs no second try."""
        return key in self.rows and self.rows[key].error is None

    def frame(self) -> pd.DataFrame:
        """Every row: by image, object, model, number of patches, noise. How they came about makes no difference."""
        return self._table().to_pandas()

    def describe(self, run: dict[str, Any]) -> None:
        """Write run.json, with the number of ambiguous pictures. Raises ResultsError if the disk does not take it."""
        ambiguous = {row.image_id for row in self.rows.values() if row.exif}
        self.run = {**run, "exif_ambiguous": len(ambiguous)}
        self._models = list(dict.fromkeys(card["name"] for card in run["models"]))
        with disk_errors(self.folder):
            write_atomically(self.folder / "run.json", json.dumps(self.run, indent=1, ensure_ascii=False).encode())

    def save(self) -> None:
        """Write results.parquet and run.json atomically. Raises ResultsError if the disk does not take them."""
        buffer = pa.BufferOutputStream()
        pq.write_table(self._table(), buffer)
        with disk_errors(self.folder):
            write_atomically(self.folder / "results.parquet", buffer.getvalue().to_pybytes())
        self.describe(self.run)

    def _table(self) -> pa.Table:
        return pa.Table.from_pylist([vars(row) for row in sorted(self.rows.values(), key=self._place)], arrow_schema())

    def _place(self, row: ResultRow) -> tuple:
        numbers = [re.split(r"(\d+)", text) for text in (row.image_id, row.object_id)]
        where = [[int(part) if part.isdecimal() else part for part in parts] for parts in numbers]
        return *where, self._models.index(row.model), row.tokens or 0, row.noise, row.prompt_source, row.settings_hash


@contextmanager
def open_results(folder: Path, run: dict[str, Any], dataset: Dataset) -> Iterator[ResultsWriter]:
    """Create a results folder, or go on with one; leaving the block writes results.parquet, whatever ended it.

    `run` is the content of run.json; its models join those already there. Raises ResultsError if the folder cannot be
    written, if another process writes to it, or if its rows come from another data set, from other prompt settings, or
    from other settings or weights of one of the models.
    """
    with _written(folder) as results:
        path = folder / "run.json"
        run = json.loads(json.dumps({"schema": RESULTS_SCHEMA, **run}))
        if results.rows and not path.exists():
            raise ResultsError(f"{folder} has rows, but its {path.name} is gone; give a new folder with --out")
        joined = join_runs(read_run(folder), run, folder) if path.exists() else run
        _check_images(results, dataset)
        results.describe(joined)
        results.rows = {key: replace(row, dataset_path=str(dataset.path)) for key, row in results.rows.items()}
        try:
            yield results
        finally:
            results.save()


def merge_results(parts: Sequence[Path], out: Path) -> ResultsWriter:
    """Put the rows of several results folders into the new folder `out`.

    A measurement that several parts have is that of the first, unless it is an error there. Raises ResultsError if a
    part holds no results, if they are not of one run, or if `out` holds something already.
    """
    runs = [read_run(part) for part in parts]
    joined = runs[0]
    for part, run in zip(parts[1:], runs[1:], strict=True):
        joined = join_runs(joined, run, part)
    if out.exists() and not (out.is_dir() and next(out.iterdir(), None) is None):
        raise ResultsError(f"{out} is not empty; give a new folder with --out")
    environments = {str(part.resolve()): run["environment"] for part, run in zip(parts, runs, strict=True)}
    merged = ResultsWriter(out)
    for part, run in zip(parts, runs, strict=True):
        for row in _read_rows(part / JOURNAL):
            if not merged.done(row.key):
                merged._take(replace(row, dataset_path=run["dataset"]["path"]))
    with _written(out) as results:
        results.describe({**joined, "environment": runs[0]["environment"], "merged": environments})
        for row in merged.rows.values():
            results.append(row)
        results.save()
    return results


@contextmanager
def _written(folder: Path) -> Iterator[ResultsWriter]:
    """A results folder with what is in it, for one process to write to."""
    path = folder / JOURNAL
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        journal = path.open("ab", buffering=0)
    with journal:
        with disk_errors(folder):
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        results = ResultsWriter(folder, journal)
        drop_incomplete_line(path)
        for row in _read_rows(path):
            results._take(row)
        yield results


def _read_rows(journal: Path) -> list[ResultRow]:
    try:
        return read_records(journal, lambda columns: ResultRow(**columns))
    except JournalError as error:
        raise ResultsError(str(error)) from error


def read_run(folder: Path) -> dict[str, Any]:
    """The content of a folder's run.json. Raises ResultsError if it is missing or damaged."""
    path = folder / "run.json"
    try:
        run = json.loads(path.read_text())
        _identity(run), [_card_key(card) for card in run["models"]], run["created"], run["environment"]
        if run["schema"] == RESULTS_SCHEMA:
            set(run["noise"])
        return run
    except FileNotFoundError as error:
        raise ResultsError(f"{folder} holds no results: there is no {path}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is damaged ({error!r}); give a new folder with --out") from error


def join_runs(present: dict[str, Any], run: dict[str, Any], folder: Path) -> dict[str, Any]:
    """One run.json of two: models and noise levels of both. Raises ResultsError if they are not of one run."""
    models = {_card_key(card): card for card in present["models"]}
    changed = differences(_identity(present), _identity(run))
    for card in run["models"]:
        changed += differences(models.get(_card_key(card), card), card, card["name"])
    if changed:
        raise ResultsError(
            f"{folder} was made with other settings ({'; '.join(changed)}); "
            "give the old ones to go on with it, or a new folder with --out"
        )
    models.update((_card_key(card), card) for card in run["models"])
    return {
        **{key: present[key] for key in ("merged",) if key in present},
        **run,
        "created": present["created"],
        "noise": sorted({*present["noise"], *run["noise"]}),
        "models": list(models.values()),
    }


def _identity(run: dict[str, Any]) -> dict[str, Any]:
    exif = run.get("exif", "stored")  # folders of before --exif hold stored pixels
    return {"schema": run["schema"], "data set": run["dataset"]["name"], "prompt": run["prompt"], "exif": exif}


def _card_key(card: dict[str, Any]) -> tuple[str, int | None]:
    """Models of one name may differ in the number of patches only."""
    return card["name"], card["settings"].get("tokens")


def _check_images(results: ResultsWriter, dataset: Dataset) -> None:
    """A data set may have grown, but every image that has a row must still be in it, unchanged if that is annotated."""
    measured = {row.image_id for row in results.rows.values()}
    samples = dataset.samples if measured else ()
    there = {sample.image_id: sample.sha256 for sample in samples if sample.image_id in measured}
    gone = [row for row in results.rows.values() if there.get(row.image_id, "") not in (None, row.image_sha256)]
    if gone:
        raise ResultsError(
            f"{results.folder} holds {len(gone)} rows on images of another data set ({gone[0].dataset_path}) that "
            f"{dataset.path} does not have; give a new folder with --out"
        )


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """The system's errors as a ResultsError that says what to do."""
    try:
        yield
    except BlockingIOError as error:
        raise ResultsError(f"another bench run is writing to {folder}; wait for it, or choose another --out") from error
    except OSError as error:
        raise ResultsError(
            f"cannot write to {folder} ({error.strerror}); choose another --out, or make it writable: nothing is lost"
        ) from error
