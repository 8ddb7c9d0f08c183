"""Atomic output: an export is written beside its path and moved there at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from objascale.dataset import DatasetError
from objascale.files import unique_partial


@contextmanager
def new_file(out: Path) -> Iterator[Path]:
    """Yield a path to write to. It replaces the file `out` at the end, and is deleted if an exception is raised.

    Raises DatasetError if `out` is a folder or cannot be written.
    """
    if out.is_dir():
        raise DatasetError(f"{out} is a folder; give the path of a file")
    partial = unique_partial(out)
    with _sentences(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            partial.replace(out)
        finally:
            partial.unlink(missing_ok=True)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder to write into. It becomes `out` at the end, and is deleted if an exception is raised.

    Raises DatasetError if `out` is a file, is not empty, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} {'holds files' if out.is_dir() else 'is a file'} already; give a new folder")
    partial = unique_partial(out)
    with _sentences(out):
        partial.mkdir(parents=True)
        try:
            yield partial
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _sentences(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"cannot write {out} ({error.strerror or error}); make room or choose another path"
        ) from error
