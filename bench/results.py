"""The results folder.

    run.json         data set, models, prompts and environment of the run
    journal.jsonl    append-only, one line per row, written as soon as the row exists
    results.parquet  the rows, made from the journal

After a crash, the same command reads the journal and continues. Rows with errors are measured again. Of several rows
with the same key, the newest counts.
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import is_bool_dtype, is_numeric_dtype, is_string_dtype
from pydantic import TypeAdapter

from bench.run_file import RESULTS_SCHEMA, ResultsError, join_runs, read_run
from objascale.datasets import Dataset
from objascale.files import write_atomically
from objascale.journal import JournalError, append_record, drop_incomplete_line, read_records
from objascale.locks import hold

JOURNAL = "journal.jsonl"


class RowKey(NamedTuple):
    """Key of a measurement."""

    model: str
    weights_sha256: str | None
    settings_hash: str  # of the model's and the prompt's settings
    image_sha256: str
    object_id: str


@dataclass(frozen=True)
class ResultRow:
    """Result of one model on one object: the columns of results.parquet.

    Areas are in px and times in ms. The size of the RLEs is [height, width]. A row with an error has an IoU of 0.
    docs/formats.md describes the columns.
    """

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
    prompt_source: str  # one of bench.choices.PromptSource
    noise: float = 0.0
    prompt: str | None = None  # box | gaussian | point | clicks; null if there is no prompt
    iou: float = 0.0
    dice: float = 0.0
    boundary_iou: float = 0.0
    standard_boundary_iou: float | None = None  # null in older results, and with an error
    centre_error: float | None = None  # px between the means of both masks; null if the prediction is empty
    predicted_area: int = 0
    predicted_rle: str | None = None
    ignored_rle: str | None = None  # pixels that all scores leave out; null if there are none
    image_pre_ms: float | None = None  # of set_image, the same on every row of the image
    image_model_ms: float | None = None
    image_post_ms: float | None = None
    multimask_fallback: bool | None = None  # whether a mask of SAM 2 is the best of three; null for other models
    batch: int | None = None  # prompts in the call; the times below are the call's divided by it
    pre_ms: float | None = None  # predict
    model_ms: float | None = None
    post_ms: float | None = None
    tokens: int | None = None
    difficulty: str | None = None  # JSON of the strength of each dial; null for pictures without difficulty
    exif: str | None = None  # stored | displayed; null unless EXIF orientation and annotated size allow both
    ious: list[float] | None = None  # of a protocol: the IoU after each click, or of each prompt; the first is `iou`
    prompts: str | None = None  # of a protocol: JSON of the prompts, see bench.protocols.prompt_record
    detections: str | None = None  # of --prompt detector: JSON of boxes, see bench.protocols.detections
    untrained: bool = False
    seen_in_training: str = "unknown"  # one of bench.seen.ORDER
    error: str | None = None

    @property
    def key(self) -> RowKey:
        """Key of the measurement."""
        return RowKey(self.model, self.weights_sha256, self.settings_hash, self.image_sha256, self.object_id)


def unread(image_id: str) -> str:
    """Return the object id of the one row of an image whose annotation cannot be read."""
    return f"unread/{image_id}"


_ARROW: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_ARROW[list[float]] = pa.list_(pa.float64())


def arrow_schema() -> pa.Schema:
    """Return the schema of results.parquet, made from `ResultRow`."""
    columns = []
    for name, hint in typing.get_type_hints(ResultRow).items():
        kinds = typing.get_args(hint) or (hint,)
        nullable = types.NoneType in kinds
        columns.append(pa.field(name, _ARROW[kinds[0]], nullable=nullable))
    return pa.schema(columns)


def check_types(rows: pd.DataFrame) -> None:
    """Check the types of those columns of results.parquet that `rows` has. Missing values are allowed.

    Raises:
        ValueError: A column has values of another type. The message names the first one.
    """
    checks: dict[pa.DataType, Callable[[Any], bool]] = {pa.string(): is_string_dtype, pa.bool_(): is_bool_dtype}
    checks[pa.list_(pa.float64())] = lambda values: all(np.asarray(each).dtype.kind == "f" for each in values)
    for field in arrow_schema():
        values: Any = rows[field.name].dropna().infer_objects() if field.name in rows else ()
        if len(values) and not checks.get(field.type, is_numeric_dtype)(values):
            raise ValueError(f"its column {field.name} has values of another type")


class ResultsWriter:
    """Writer of a results folder, made by `open_results`.

    Attributes:
        folder: The folder.
        rows: The newest row of each measurement.
        run: Content of run.json.
    """

    def __init__(self, folder: Path, journal: FileIO | None = None) -> None:
        self.folder = folder
        self.rows: dict[RowKey, ResultRow] = {}
        self._journal = journal
        self.run: dict[str, Any] = {}
        self._models: list[str] = []  # in the order of run.json
        self._pictures: dict[str, str] = {}  # image id → SHA-256
        self._truths: dict[str, str] = {}  # object id → RLE
        self._superseded: set[RowKey] = set()  # placeholder keys superseded by real rows

    def append(self, row: ResultRow) -> None:
        """Append a row to the journal before returning.

        Raises:
            ResultsError: The journal cannot be written, or the image or the mask differs from that of earlier rows.
        """
        self._take(row)
        assert self._journal is not None
        with disk_errors(self.folder):
            append_record(self._journal, vars(row), sync=False)  # a lost row can be measured again

    def _take(self, row: ResultRow) -> None:
        """Insert a row and remove the placeholder rows that it supersedes.

        Placeholders are errors of an image that could not be read: they have no SHA-256, or no object. They are dropped
        whether the real row comes before or after them.
        """
        if row.image_sha256 and self._pictures.setdefault(row.image_id, row.image_sha256) != row.image_sha256:
            raise ResultsError(
                f"{row.image_file} has changed since {self.folder} was written (SHA-256 differs); "
                "restore the file, or give a new folder with --out"
            )
        if row.error is None and self._truths.setdefault(row.object_id, row.truth_rle) != row.truth_rle:
            raise ResultsError(
                f"the mask of object {row.object_id} has changed since {self.folder} was written; "
                "restore the annotation, or give a new folder with --out"
            )
        nameless = row.key._replace(image_sha256="")
        if not row.image_sha256 and nameless in self._superseded:
            return
        unread_key = nameless._replace(object_id=unread(row.image_id))
        placeholders = {nameless, unread_key} if row.image_sha256 else {unread_key} - {nameless}
        self._superseded |= placeholders
        for key in placeholders:
            self.rows.pop(key, None)
        self.rows[row.key] = row

    def done(self, key: RowKey) -> bool:
        """Return whether a measurement exists and is not an error."""
        return key in self.rows and self.rows[key].error is None

    def frame(self) -> pd.DataFrame:
        """Return all rows as a table, sorted by image, object, model, number of patches and noise."""
        return self._table().to_pandas()

    def describe(self, run: dict[str, Any]) -> None:
        """Write run.json and add the number of images with an ambiguous EXIF orientation.

        Args:
            run: Content of run.json.

        Raises:
            ResultsError: The file cannot be written.
        """
        ambiguous = {row.image_id for row in self.rows.values() if row.exif}
        self.run = {**run, "exif_ambiguous": len(ambiguous)}
        self._models = list(dict.fromkeys(card["name"] for card in run["models"]))
        with disk_errors(self.folder):
            write_atomically(self.folder / "run.json", json.dumps(self.run, indent=1, ensure_ascii=False).encode())

    def save(self) -> None:
        """Write results.parquet and run.json atomically. Raises ResultsError if they cannot be written."""
        buffer = pa.BufferOutputStream()
        pq.write_table(self._table(), buffer)
        with disk_errors(self.folder):
            write_atomically(self.folder / "results.parquet", buffer.getvalue().to_pybytes())
        self.describe(self.run)

    def _table(self) -> pa.Table:
        return pa.Table.from_pylist(
            [vars(row) for row in sorted(self.rows.values(), key=self._sort_key)], arrow_schema()
        )

    def _sort_key(self, row: ResultRow) -> tuple[Any, ...]:
        numbers = [re.split(r"(\d+)", text) for text in (row.image_id, row.object_id)]
        where = [[int(part) if part.isdecimal() else part for part in parts] for parts in numbers]
        return *where, self._models.index(row.model), row.tokens or 0, row.noise, row.prompt_source, row.settings_hash


@contextmanager
def open_results(folder: Path, run: dict[str, Any], dataset: Dataset) -> Iterator[ResultsWriter]:
    """Create a results folder, or open an existing one to continue it.

    Args:
        folder: The results folder.
        run: Content of run.json. Its models are added to those of an existing folder.
        dataset: The data set that is measured.

    Yields:
        The writer. The end of the block writes results.parquet, also after an exception.

    Raises:
        ResultsError: The folder cannot be written, another process writes to it, or its rows come from another data
            set, other prompt settings, or other settings or weights of one of the models.
    """
    with _written(folder) as results:
        path = folder / "run.json"
        run = json.loads(json.dumps({"schema": RESULTS_SCHEMA, **run}))
        if results.rows and not path.exists():
            raise ResultsError(f"{folder} has rows but no {path.name}; give a new folder with --out")
        joined = join_runs(read_run(folder), run, folder) if path.exists() else run
        _check_images(results, dataset)
        results.describe(joined)
        results.rows = {key: replace(row, dataset_path=str(dataset.path)) for key, row in results.rows.items()}
        try:
            yield results
        finally:
            results.save()


def merge_results(parts: Sequence[Path], out: Path) -> ResultsWriter:
    """Merge several results folders into a new one.

    Args:
        parts: Results folders of one run. If several have a measurement, the first without an error counts.
        out: Folder to write. It must be empty or missing.

    Raises:
        ResultsError: A part holds no results, the parts belong to different runs, or `out` is not empty.
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
    """Lock a results folder and read its rows."""
    path = folder / JOURNAL
    with ExitStack() as files:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            files.enter_context(hold(folder))
            journal = files.enter_context(path.open("ab", buffering=0))
        results = ResultsWriter(folder, journal)
        drop_incomplete_line(path)
        for row in _read_rows(path):
            results._take(row)
        yield results


def _read_rows(journal: Path) -> list[ResultRow]:
    try:
        return read_records(journal, _read_row)
    except JournalError as error:
        raise ResultsError(str(error)) from error


_ROW = TypeAdapter(ResultRow)


def _read_row(columns: Any) -> ResultRow:
    """Return a row of the journal. Raises TypeError or ValueError for other columns, and for values of other types."""
    return _ROW.validate_python(vars(ResultRow(**columns)))


def _check_images(results: ResultsWriter, dataset: Dataset) -> None:
    """Check that the data set has every image with rows, with the same SHA-256 if that is annotated.

    New images are allowed.
    """
    measured = {row.image_id for row in results.rows.values()}
    samples = dataset.samples if measured else ()
    there = {sample.image_id: sample.sha256 for sample in samples if sample.image_id in measured}
    gone = [row for row in results.rows.values() if there.get(row.image_id, "") not in (None, row.image_sha256)]
    if gone:
        raise ResultsError(
            f"{results.folder} holds {len(gone)} rows for images of another data set ({gone[0].dataset_path}) that "
            f"{dataset.path} does not have; give a new folder with --out"
        )


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Convert an OSError to a ResultsError with the way out."""
    try:
        yield
    except BlockingIOError as error:
        raise ResultsError(f"another bench run is writing to {folder}; wait for it, or choose another --out") from error
    except OSError as error:
        raise ResultsError(
            f"cannot write to {folder} ({error.strerror}); choose another --out, or make it writable "
            "(rows that were written are kept)"
        ) from error
