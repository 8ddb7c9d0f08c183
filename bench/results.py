"""The results folder.

    run.json         what was run: data set, models, prompts, environment
    journal.jsonl    append-only, a line a row, written as soon as the row exists
    results.parquet  the rows, made from the journal

The journal is the truth: whatever happens to the process, the same command reads it and goes on. A row with an error
is tried again, and the newest row of a key counts.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.datasets import Dataset
from objascale.dataset import differences
from objascale.files import write_atomically

SCHEMA = 1


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
class Row:
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
    prompt_source: str  # matched | box
    noise: float = 0.0
    prompt: str | None = None  # box | gaussian | point; null if none could be made
    iou: float = 0.0
    dice: float = 0.0
    boundary_iou: float = 0.0
    predicted_area: int = 0
    predicted_rle: str | None = None
    image_pre_ms: float | None = None  # set_image, whole, the same on every row of the image
    image_model_ms: float | None = None
    image_post_ms: float | None = None
    pre_ms: float | None = None  # predict
    model_ms: float | None = None
    post_ms: float | None = None
    tokens: int | None = None
    untrained: bool = False
    error: str | None = None

    @property
    def key(self) -> RowKey:
        """What makes this row the same measurement as another."""
        return RowKey(self.model, self.weights_sha256, self.settings_hash, self.image_sha256, self.object_id)


_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def arrow_schema() -> pa.Schema:
    """`Row` as the schema of results.parquet."""
    columns = []
    for name, hint in typing.get_type_hints(Row).items():
        kinds = typing.get_args(hint) or (hint,)
        nullable = types.NoneType in kinds
        columns.append(pa.field(name, _ARROW[kinds[0]], nullable=nullable))
    return pa.schema(columns)


class Results:
    """A results folder being written; `open_results` makes one."""

    def __init__(self, folder: Path, journal: FileIO) -> None:
        self.folder = folder
        self.rows: dict[RowKey, Row] = {}
        self._journal = journal

    def append(self, row: Row) -> None:
        """Add one row; it is in the journal when this returns. Raises ResultsError if the disk does not take it."""
        line = json.dumps(asdict(row)).encode() + b"\n"
        with _disk_errors(self.folder):
            if self._journal.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.rows[row.key] = row

    def done(self, key: RowKey) -> bool:
        """Whether this measurement exists and needs no second try."""
        return key in self.rows and self.rows[key].error is None

    def frame(self) -> pd.DataFrame:
        """Every row, in the order in which the measurements were first made."""
        return self._table().to_pandas()

    def save(self) -> None:
        """Write results.parquet atomically. Raises ResultsError if the disk does not take it."""
        buffer = pa.BufferOutputStream()
        pq.write_table(self._table(), buffer)
        with _disk_errors(self.folder):
            write_atomically(self.folder / "results.parquet", buffer.getvalue().to_pybytes())

    def _table(self) -> pa.Table:
        return pa.Table.from_pylist([asdict(row) for row in self.rows.values()], arrow_schema())

    def _read_journal(self) -> None:
        """Fill `rows`; a last line cut off by a crash is dropped from the file."""
        path = self.folder / "journal.jsonl"
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            self._journal.truncate(len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                row = Row(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise ResultsError(
                    f"{path}, line {number}, is damaged; delete that line to measure its row anew"
                ) from error
            self.rows[row.key] = row


@contextmanager
def open_results(folder: Path, run: dict[str, Any], dataset: Dataset) -> Iterator[Results]:
    """Create a results folder, or go on with one; leaving the block writes results.parquet, whatever ended it.

    `run` is the content of run.json; its models join those already there. Raises ResultsError if the folder cannot be
    written, if another process writes to it, or if its rows come from another data set, from other prompt settings, or
    from other settings or weights of one of the models.
    """
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        journal = (folder / "journal.jsonl").open("ab", buffering=0)
    with journal:
        results = Results(folder, journal)
        with _disk_errors(folder):
            fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            results._read_journal()
            joined = _join(folder, run)
            _check_objects(results, dataset)
            write_atomically(folder / "run.json", json.dumps(joined, indent=1, ensure_ascii=False).encode())
        results.rows = {key: replace(row, dataset_path=str(dataset.path)) for key, row in results.rows.items()}
        try:
            yield results
        finally:
            results.save()


def _join(folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    """What run.json has to say now. Raises ResultsError if the present one tells of another run."""
    path = folder / "run.json"
    run = json.loads(json.dumps({"schema": SCHEMA, **run}))
    if not path.exists():
        return run
    try:
        present = json.loads(path.read_text())
        models = {card["name"]: card for card in present["models"]}
        changed = differences(_identity(present), _identity(run))
        for card in run["models"]:
            changed += differences(models.get(card["name"], card), card, card["name"])
        created = present["created"]
    except (ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path} is damaged ({error!r}); give a new folder with --out") from error
    if changed:
        raise ResultsError(
            f"{folder} was made with other settings ({'; '.join(changed)}); "
            "give the old ones to go on with it, or a new folder with --out"
        )
    models.update((card["name"], card) for card in run["models"])
    return {**run, "created": created, "models": list(models.values())}


def _identity(run: dict[str, Any]) -> dict[str, Any]:
    return {"schema": run["schema"], "data set": run["dataset"]["name"], "prompt": run["prompt"]}


def _check_objects(results: Results, dataset: Dataset) -> None:
    """A data set may have grown, but every object that has a row must still be in it."""
    there = {(sample.sha256, truth.object_id) for sample in dataset.samples for truth in sample.objects}
    gone = [row for key, row in results.rows.items() if (key.image_sha256, key.object_id) not in there]
    if gone:
        raise ResultsError(
            f"{results.folder} holds {len(gone)} rows on objects of another data set ({gone[0].dataset_path}) that "
            f"{dataset.path} does not have; give a new folder with --out"
        )


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """The system's errors as a ResultsError that says what to do."""
    try:
        yield
    except BlockingIOError as error:
        raise ResultsError(f"another bench run is writing to {folder}; wait for it, or choose another --out") from error
    except OSError as error:
        raise ResultsError(
            f"cannot write to {folder} ({error.strerror}); make it writable or choose another --out, nothing is lost"
        ) from error
