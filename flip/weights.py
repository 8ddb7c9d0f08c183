"""Trained weights: what they are called, where they come from, and where they lie on this machine.

The records and functions are not FLIP's own: any model can be described by a `WeightsRecord` and found or fetched here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from objascale.download import DownloadFailed, Expected, download

__all__ = [
    "WEIGHTS",
    "DownloadFailed",
    "WeightsFile",
    "WeightsMissing",
    "WeightsRecord",
    "fetch",
    "find_files",
    "find_weights",
    "search_path",
]


class WeightsMissing(LookupError):
    """Weights that are not on this machine, or that no record names."""


@dataclass(frozen=True)
class WeightsFile:
    """One published file. `url` is None where a program cannot fetch it."""

    filename: str
    url: str | None
    sha256: str
    bytes: int


@dataclass(frozen=True)
class WeightsRecord:
    """The weights of one model: all of `files`, or instead of them one of `converted` (file names)."""

    name: str
    files: tuple[WeightsFile, ...]
    licence: str
    source: str  # who published them, for credit and for fetching by hand
    converted: tuple[str, ...] = ()


WEIGHTS = {
    "flip-tiny": WeightsRecord(
        name="flip-tiny",
        files=(
            WeightsFile(
                filename="flip-tiny.onnx",
                url="https://raw.githubusercontent.com/CognitiveModeling/FLIP/"
                "59375b6c1744b9c9d23cf350843cf132896071a4/docs/flipencoder.onnx",
                sha256="ef53c2774528f23bba55864809f79ad75e493af07b0d25c1987e86f1b3e6d6a5",
                bytes=2_225_417,
            ),
        ),
        licence="MIT, (c) 2025 Cognitive Modeling",
        source="github.com/CognitiveModeling/FLIP",
        converted=("flip-tiny.safetensors",),
    ),
}


def cache_folder() -> Path:
    """Where downloads go: objascale/weights in the user's cache ($XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "objascale" / "weights"


def search_path(folder: Path | None = None) -> list[Path]:
    """Folders that are searched for weights, in this order: `folder`, $OBJASCALE_WEIGHTS, the user's cache."""
    environment = os.environ.get("OBJASCALE_WEIGHTS")
    return [*filter(None, (folder, Path(environment) if environment else None)), cache_folder()]


def find_files(record: WeightsRecord, folder: Path | None = None) -> tuple[Path, ...]:
    """Paths of a model's files, from the first folder of `search_path` that holds a complete set.

    A converted form is preferred. Raises WeightsMissing, which says what to do.
    """
    sets = [*((name,) for name in record.converted), tuple(file.filename for file in record.files)]
    folders = search_path(folder)
    for place in folders:
        for names in sets:
            if all((place / name).is_file() for name in names):
                return tuple(place / name for name in names)
    wanted = " or ".join(" and ".join(names) for names in reversed(sets))
    fetchable = all(file.url for file in record.files)
    remedy = f"run `bench fetch {record.name}`" if fetchable else f"get them from {record.source}"
    raise WeightsMissing(
        f"no weights for {record.name}: found no {wanted} in {', '.join(map(str, folders))}; "
        f"{remedy}, or name their folder with --weights"
    )


def find_weights(name: str, folder: Path | None = None) -> Path:
    """Path of a FLIP model's weights, by its name in WEIGHTS; see `find_files`."""
    return find_files(find_record(name), folder)[0]


def find_record(name: str) -> WeightsRecord:
    """The record of a FLIP model. Raises WeightsMissing, with the nearest name, for one that is not known."""
    if name not in WEIGHTS:
        near = get_close_matches(name, WEIGHTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(WEIGHTS)}"
        raise WeightsMissing(f"there is no FLIP model called {name!r}; {hint}")
    return WEIGHTS[name]


def fetch(
    record: WeightsRecord,
    folder: Path | None = None,
    *,
    timeout: tuple[float, float] = (10, 30),
    attempts: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Path, ...]:
    """Download a model's files into `folder` (the user's cache if None), where they are not there yet.

    See `objascale.download.download`. Raises DownloadFailed, or WeightsMissing if a file has no address.
    """
    folder = folder or cache_folder()
    paths = []
    for file in record.files:
        if file.url is None:
            raise WeightsMissing(f"{file.filename} cannot be fetched by a program; get it from {record.source}")
        target = folder / file.filename
        expected = Expected(sha256=file.sha256, size=file.bytes)
        paths.append(download(file.url, target, expected, timeout=timeout, attempts=attempts, progress=progress))
    return tuple(paths)
