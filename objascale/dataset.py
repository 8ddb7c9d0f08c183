"""The dataset on disk.

    dataset.json         schema version, settings, versions of everything, credits
    plan.parquet         the specs as first drawn, a row a slot
    journal.jsonl        append-only, a line per finished or failed spec, written after its files are in place
    errors.log           tracebacks and the last output of workers that died, if there are any
    annotations.parquet  a row per object, made from the journal; the rows of one image share its `image_id` and `file`
    images/000/000123.png

The journal is the truth: whatever happens to the process, the same command reads it and goes on. A last line cut off
by a crash is dropped.
"""

from __future__ import annotations

import fcntl
import json
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from objascale.files import write_atomically
from objascale.journal import JournalError, append_record, drop_incomplete_line, read_records
from objascale.masks import RegionMask
from objascale.refusal import REASONS

SCHEMA = 2
HEADER = "dataset.json"
OBJECTS_PER_IMAGE = 100
"""The k-th object of image i has the `object_id` 100 i + k."""


class DatasetError(RuntimeError):
    """A folder that is no dataset, a damaged one, or one made with other settings."""


def image_file(slot: int, image_format: str) -> str:
    """Path of a slot's image relative to the dataset, a thousand images a folder."""
    return f"images/{slot // 1000:03d}/{slot:06d}.{image_format}"


class Dataset:
    """Writer's view of a folder with a header and a journal: a dataset, or crops."""

    def __init__(self, folder: Path, header: str = HEADER) -> None:
        self.folder = folder
        self.header = header

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def open(self, description: dict[str, Any]) -> None:
        """Create the folder, or check that what is there was made in the same way.

        `description["fingerprint"]` holds everything that changes pixels. Raises DatasetError if the folder holds
        another dataset or other files, or cannot be written.
        """
        header = self.folder / self.header
        description = {"schema": SCHEMA, **description}
        if header.exists():
            present = read_header(self.folder, self.header)
            changed = differences(present["fingerprint"], description["fingerprint"])
            if changed:
                raise DatasetError(
                    f"{self.folder} was rendered with other settings ({shortened(changed)}); "
                    "give the old ones to go on with it, or a new folder with --out"
                )
        elif foreign := self._foreign():
            raise DatasetError(
                f"{self.folder} holds other files, such as {foreign}, and no {self.header}; "
                "give a new or an empty folder with --out"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("w")
            weakref.finalize(self, lock.close)  # the folder is locked as long as this object lives
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_atomically(header, json.dumps(description, indent=1).encode())
            drop_incomplete_line(self.journal)
            for leftover in self.folder.glob("images/*/.*.part"):
                leftover.unlink(missing_ok=True)
        except BlockingIOError as error:
            raise DatasetError(
                f"another objascale render or crops is writing to {self.folder}; wait for it to end"
            ) from error
        except OSError as error:
            raise DatasetError(f"cannot write to {self.folder} ({error.strerror}); choose another --out") from error

    def _foreign(self) -> str:
        """Return the name of a file in the folder that is not hidden, or an empty string."""
        if not self.folder.is_dir():
            return ""
        return min((path.name for path in self.folder.iterdir() if not path.name.startswith(".")), default="")

    def write_plan(self, specs: Iterable[dict[str, Any]]) -> None:
        """Write plan.parquet, a row a slot."""
        write_parquet(pd.DataFrame(specs), self.folder / "plan.parquet")

    def append(self, record: dict[str, Any]) -> None:
        """Append a record to the journal and wait until it is on the disk."""
        with self.journal.open("ab", buffering=0) as file:
            append_record(file, record, sync=True)

    def failure(self, kind: str, message: str, details: str = "") -> dict[str, str]:
        """Return the fields of a failed record, and append details such as a traceback to errors.log.

        Args:
            kind: A key of `refusal.REASONS`.
            message: One sentence that names the file or the object.
            details: Text for errors.log.
        """
        if details:
            log = self.folder / "errors.log"
            with log.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{message}\n{details.strip()}\n\n")
            message = f"{message}; {log.name} has the details"
        return {"status": "failed", "kind": kind, "reason": REASONS[kind], "message": message}

    def records(self) -> list[dict[str, Any]]:
        """Every journal line, oldest first."""
        return read_journal(self.folder)

    def write_annotations(self) -> int:
        """Make annotations.parquet from the journal; the number of images in it."""
        rows = [row for record in self.records() if record["status"] == "done" for row in record["annotations"]]
        rows.sort(key=lambda row: row["object_id"])
        write_parquet(pd.DataFrame(rows), self.folder / "annotations.parquet")
        return len({row["image_id"] for row in rows})


def read_header(folder: Path, name: str = HEADER) -> dict[str, Any]:
    """The header of a dataset, or of crops. Raises DatasetError if the folder has none, or one of another schema."""
    path = folder / name
    try:
        header = json.loads(path.read_text())
    except FileNotFoundError:
        what, command = ("ObjaScale dataset", "render") if name == HEADER else ("folder of crops", "crops")
        raise DatasetError(f"{folder} is no {what}: it has no {name} (objascale {command} makes one)") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error})") from error
    if header.get("schema") != SCHEMA:
        raise DatasetError(f"{path} has schema {header.get('schema')}, this version reads {SCHEMA}; render it anew")
    return header


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Read every complete line of journal.jsonl. Raises DatasetError if one is damaged."""
    try:
        return read_records(folder / "journal.jsonl", _journal_record)
    except JournalError as error:
        raise DatasetError(str(error)) from error


def _journal_record(value: Any) -> dict[str, Any]:
    """Check that a line of the journal has the keys that its readers use. Raises TypeError or ValueError."""
    record = dict(value)
    numbered = "slot" in record or "number" in record
    complete = {
        "done": numbered and bool(record.get("annotations") or record.get("crops")),
        "failed": numbered and "reason" in record,
        "progress": True,
    }
    if not complete.get(record.get("status", ""), False):
        raise ValueError("its status is unknown, or a key is missing")
    return record


def read_annotations(folder: Path) -> pd.DataFrame:
    """annotations.parquet, a row per object. Raises DatasetError if there is none or it is empty."""
    read_header(folder)
    path = folder / "annotations.parquet"
    if not path.exists():
        raise DatasetError(
            f"{folder} has no annotations.parquet; finish it with the objascale render command that began it"
        )
    try:
        table = pd.read_parquet(path, use_threads=False)  # it is small, and no thread outlives an error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({error})") from error
    if table.empty:
        raise DatasetError(f"{path} lists no object: no image has been rendered yet")
    return table


def mask_of(row: Any) -> RegionMask:
    """The mask of one annotation row."""
    height, width = (int(v) for v in row["rle_size"])
    return RegionMask.from_rle({"size": [height, width], "counts": row["rle_counts"]})


def mask_columns(mask: RegionMask) -> dict[str, Any]:
    """The annotation columns that describe a mask."""
    mean, covariance = mask.moments()
    rle = mask.rle()
    return {
        "width": mask.width,
        "height": mask.height,
        "box": list(mask.box or ()),
        "area": mask.area,
        "fraction": mask.fraction,
        "rle_size": rle["size"],
        "rle_counts": rle["counts"],
        "mean_x": float(mean[0]),
        "mean_y": float(mean[1]),
        "cov_xx": float(covariance[0, 0]),
        "cov_xy": float(covariance[0, 1]),
        "cov_yy": float(covariance[1, 1]),
    }


def differences(old: Any, new: Any, name: str = "") -> list[str]:
    """What differs between two nested settings, as `name: old → new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted(old.keys() | new.keys())
            for line in differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if old == new else [f"{name}: {old} → {new}"]


def shortened(lines: list[str], most: int = 5) -> str:
    """Lines as one, the first few if there are many."""
    return "; ".join(lines[:most]) + (f"; and {len(lines) - most} more" if len(lines) > most else "")


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table atomically."""
    write_atomically(path, table.to_parquet(index=False))
