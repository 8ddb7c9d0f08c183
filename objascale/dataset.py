"""Files of a dataset.

    dataset.json         schema version, settings, versions of Python and packages, credits
    plan.parquet         the first spec of each slot, one row per slot
    journal.jsonl        append-only, one line per finished or failed spec, written after its files
    errors.log           tracebacks and the last output of workers that died, if there are any
    annotations.parquet  one row per object, made from the journal; rows of one image share `image_id` and `file`
    images/000/000123.png
    depth/000/000123.exr  with depth only, see objascale.depth

The journal is authoritative. A crash can cut off only its last line, which is dropped when the same command continues.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from objascale.files import write_atomically
from objascale.journal import JournalError, append_record, drop_incomplete_line, read_records
from objascale.locks import hold
from objascale.masks import RegionMask
from objascale.refusal import REASONS
from objascale.validation import in_one_line, parse_json

if TYPE_CHECKING:
    import pandas as pd

DATASET_SCHEMA = 2
HEADER = "dataset.json"
_MAX_LISTED = 5  # differences in an error message; a choice
OBJECTS_PER_IMAGE = 100
"""The k-th object of image i has the `object_id` 100 i + k. A choice: two digits, more than `settings.MAX_OBJECTS`."""


class DatasetError(RuntimeError):
    """A folder is not a dataset, is damaged, or was made with other settings."""


def image_file(slot: int, image_format: str) -> str:
    """Return the path of a slot's image, relative to the dataset. A folder holds a thousand images."""
    return f"images/{slot // 1000:03d}/{slot:06d}.{image_format}"


def depth_file(slot: int) -> str:
    """Return the path of a slot's depth map, relative to the dataset."""
    return f"depth/{slot // 1000:03d}/{slot:06d}.exr"


class DatasetWriter:
    """Writes a folder with a header and a journal: a dataset, or crops.

    Args:
        folder: The folder. `open` creates it.
        header: Name of the header file.
    """

    def __init__(self, folder: Path, header: str = HEADER) -> None:
        self.folder = folder
        self.header = header

    @property
    def journal(self) -> Path:
        """Path of the journal."""
        return self.folder / "journal.jsonl"

    def open(self, description: dict[str, Any]) -> None:
        """Create the folder, or check that an existing one was made with the same settings, and lock it.

        Args:
            description: Content of the header. `description["fingerprint"]` holds everything that changes pixels.

        Raises:
            DatasetError: The folder has another fingerprint, holds other files, is locked by another process, or
                cannot be written.
        """
        header = self.folder / self.header
        description = {"schema": DATASET_SCHEMA, **description}
        if header.exists():
            present = read_header(self.folder, self.header)
            changed = differences(present.get("fingerprint"), description["fingerprint"])
            if changed:
                raise DatasetError(
                    f"{self.folder} was rendered with other settings ({shortened(changed)}); "
                    "give the old ones to continue it, or a new folder with --out"
                )
        elif foreign := self._foreign():
            raise DatasetError(
                f"{self.folder} holds other files, such as {foreign}, and no {self.header}; "
                "give a new or an empty folder with --out"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            weakref.finalize(self, hold(self.folder).close)  # the folder is locked as long as this object lives
            write_atomically(header, json.dumps(description, indent=1).encode())
            drop_incomplete_line(self.journal)
            self.remove_partial_files()
        except BlockingIOError as error:
            raise DatasetError(
                f"another objascale render or crops is writing to {self.folder}; wait for it to end"
            ) from error
        except OSError as error:
            raise DatasetError(f"cannot write to {self.folder} ({error.strerror}); choose another --out") from error

    def remove_partial_files(self) -> None:
        """Remove what killed workers have left of a file. No worker may be writing."""
        for kind in ("images", "depth"):
            for partial in self.folder.glob(f"{kind}/*/.*.part"):
                partial.unlink(missing_ok=True)

    def _foreign(self) -> str:
        """Return the name of a file in the folder that is not hidden, or an empty string."""
        if not self.folder.is_dir():
            return ""
        return min((path.name for path in self.folder.iterdir() if not path.name.startswith(".")), default="")

    def write_plan(self, specs: Iterable[dict[str, Any]]) -> None:
        """Write plan.parquet, one row per slot."""
        import pandas as pd  # render workers import this module and use no table

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
        """Return the records of the journal, oldest first."""
        return read_journal(self.folder)

    def write_annotations(self) -> int:
        """Write annotations.parquet from the journal, and return its number of images."""
        import pandas as pd

        rows = [row for record in self.records() if record["status"] == "done" for row in record["annotations"]]
        try:
            rows.sort(key=lambda row: row["object_id"])
            images = {row["image_id"] for row in rows}
            write_parquet(pd.DataFrame(rows), self.folder / "annotations.parquet")
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # pyarrow's errors are such
            raise DatasetError(
                f"{self.journal} holds annotations that fit no table ({in_one_line(error)}); render into a new folder"
            ) from error
        return len(images)


def read_header(folder: Path, name: str = HEADER) -> dict[str, Any]:
    """Read the header of a dataset or of crops.

    Raises:
        DatasetError: It is missing or damaged, or has another schema.
    """
    path = folder / name
    try:
        header = parse_json(path.read_text())
    except FileNotFoundError:
        what, command = ("an ObjaScale dataset", "render") if name == HEADER else ("a folder of crops", "crops")
        raise DatasetError(f"{folder} is not {what}: it has no {name} (objascale {command} makes one)") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({in_one_line(error)})") from error
    if not isinstance(header, dict):
        raise DatasetError(f"{path} holds no JSON object; render the folder again")
    if header.get("schema") != DATASET_SCHEMA:
        raise DatasetError(
            f"{path} has schema {header.get('schema')}, this version reads {DATASET_SCHEMA}; render it again"
        )
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
    """Read annotations.parquet, one row per object. Raises DatasetError if it is missing, damaged or empty."""
    read_header(folder)
    path = folder / "annotations.parquet"
    if not path.exists():
        raise DatasetError(
            f"{folder} has no annotations.parquet; finish it with the objascale render command that began it"
        )
    try:
        table = read_parquet(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read ({in_one_line(error)})") from error
    if table.empty:
        raise DatasetError(f"{path} has no rows: no image has been rendered yet")
    if wrong := [name for name, fits in _COLUMNS.items() if name not in table or not table[name].map(fits).all()]:
        raise DatasetError(f"{path} has missing or wrong values in {', '.join(wrong)}; render the folder again")
    return table


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_size(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.shape == (2,) and value.dtype.kind in "iu"


_COLUMNS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("object_id", "image_id", "width", "height", "area"), _is_number),
    **dict.fromkeys(("file", "category", "asset_id", "image_sha256", "rle_counts"), _is_text),
    "rle_size": _is_size,
}
"""Columns of annotations.parquet that every reader uses, and the check of their values."""


def mask_of(row: Any) -> RegionMask:
    """Return the mask of an annotation row."""
    height, width = (int(v) for v in row["rle_size"])
    return RegionMask.from_rle({"size": [height, width], "counts": row["rle_counts"]})


def mask_columns(mask: RegionMask) -> dict[str, Any]:
    """Return the annotation columns that describe a mask. Raises MaskError if it is empty."""
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
    """List the differences between two nested dictionaries as `name: old → new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted(old.keys() | new.keys())
            for line in differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
        ]
    return [] if old == new else [f"{name}: {old} → {new}"]


def shortened(lines: list[str]) -> str:
    """Join lines to one. Lines after the first _MAX_LISTED are only counted."""
    more = len(lines) - _MAX_LISTED
    return "; ".join(lines[:_MAX_LISTED]) + (f"; and {more} more" if more > 0 else "")


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a table. Raises OSError if the file cannot be opened, and ValueError if it is damaged."""
    import pandas as pd

    try:
        return pd.read_parquet(path, columns=columns, use_threads=False)  # a thread could abort the process at its end
    except OSError:
        raise
    except Exception as error:  # pyarrow raises a dozen types
        raise ValueError(in_one_line(error)) from error


def write_parquet(table: pd.DataFrame, path: Path) -> None:
    """Write a table atomically."""
    write_atomically(path, table.to_parquet(index=False))
