"""Trained weights: what they are called, where they come from, and where they lie on this machine.

The records and functions are not FLIP's own: any model can be described by a `WeightsRecord` and found or fetched here.

Where a publisher names no hash, or only its first digits, the file that is fetched first is believed if it has those:
its SHA-256 is written down beside it, in FILE.json, and from then on nothing else is taken for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, partial
from pathlib import Path

from objascale import files
from objascale.download import DownloadFailed, Expected, download
from objascale.files import file_sha256, write_atomically
from objascale.progress import ProgressCallback

__all__ = [
    "WEIGHTS",
    "DownloadFailed",
    "WeightsChanged",
    "WeightsFile",
    "WeightsMissing",
    "WeightsRecord",
    "check",
    "fetch",
    "find_files",
    "find_weights",
    "search_path",
    "sha256",
]


SHIPPED = Path(__file__).parent / "shipped"
"""Weights that come with the package."""

OURS = ", this project's weights"
"""What a card adds to the family of a model that has them."""


class WeightsMissing(LookupError):
    """Weights that are not on this machine, or that no record names."""


class WeightsChanged(WeightsMissing):
    """A file that has the name of published weights, and is neither them nor what was fetched first."""


@dataclass(frozen=True)
class WeightsFile:
    """One published file. `url` is None where a program cannot fetch it, `sha256` and `bytes` where nobody tells.

    `sha256_start`: the first digits, where no more is published, as in the names that PyTorch's hub gives to files.
    `git_blob`: the object id that Git gives to the file, SHA-1 of "blob SIZE", a zero byte and the content.
    """

    filename: str
    url: str | None
    sha256: str | None = None
    bytes: int | None = None
    sha256_start: str = ""
    git_blob: str | None = None


@dataclass(frozen=True)
class WeightsRecord:
    """The weights of one model: all of `files`, or instead of them all of one of `alternatives`, where those cannot be
    fetched, or one of `converted` (file names)."""

    name: str
    files: tuple[WeightsFile, ...]
    licence: str
    source: str  # who published them, for credit and for fetching by hand
    alternatives: tuple[tuple[WeightsFile, ...], ...] = ()
    converted: tuple[str, ...] = ()


def _flip(size: str, share: str, *published: WeightsFile) -> WeightsRecord:
    """A released model: a checkpoint that the authors' university shares, and a pair of graphs on the author's server.

    `published`: a file that is fetched rather than those.
    """
    checkpoint = WeightsFile(f"flip-{size}.ckpt", f"https://nc.mlcloud.uni-tuebingen.de/index.php/s/{share}/download")
    graphs = (f"flip-encoder-{size}.onnx", f"flip-predictor-{size}.onnx")
    pair = tuple(WeightsFile(name, f"https://manuel-traub.de/onnx/{name}") for name in graphs)
    first, *others = [form for form in (published, (checkpoint,), pair) if form]
    return WeightsRecord(
        name=f"flip-{size}",
        files=first,
        licence="MIT, (c) 2025 Cognitive Modeling",
        source="github.com/CognitiveModeling/FLIP",
        alternatives=tuple(others),
        converted=(f"flip-{size}.safetensors",),
    )


def _paper(size: str, source: str) -> WeightsRecord:
    """The paper's own model, of which its authors have published no weights."""
    return WeightsRecord(
        name=f"flip-{size}",
        files=(WeightsFile(f"flip-{size}.safetensors", None),),
        licence="GPL-3.0-or-later",
        source=source,
    )


def _untrained(size: str, released: str) -> WeightsRecord:
    return _paper(
        size,
        f"a training of your own, `flip train --config flip-{size}-compositions`: the paper's authors have "
        f"published none (they released {released} instead: `bench fetch {released}`)",
    )


WEIGHTS = {
    record.name: record
    for record in (
        _flip(
            "tiny",
            "YPdFxPHsTGEkNwz",
            WeightsFile(
                filename="flip-tiny.onnx",
                url="https://raw.githubusercontent.com/CognitiveModeling/FLIP/"
                "59375b6c1744b9c9d23cf350843cf132896071a4/docs/flipencoder.onnx",
                sha256="ef53c2774528f23bba55864809f79ad75e493af07b0d25c1987e86f1b3e6d6a5",
                bytes=2_225_417,
            ),
        ),
        _flip("small", "Zj3xDBXrZcSMtoy"),
        _flip("middle", "Cx4kTMbRrD5DCmt"),
        _flip("large", "57NXrqrxmzjxzoX"),
        _paper("s", "this project, which has trained it and ships it: flip/shipped/flip-s.md"),
        _untrained("m", "flip-middle"),
        _untrained("l", "flip-large"),
    )
}


def cache_folder() -> Path:
    """Where downloads go: objascale/weights in the user's cache ($XDG_CACHE_HOME, else ~/.cache)."""
    return files.cache_folder() / "weights"


def search_path(folder: Path | None = None) -> list[Path]:
    """Folders that are searched for weights: `folder`, $OBJASCALE_WEIGHTS, the user's cache, this package's own."""
    environment = os.environ.get("OBJASCALE_WEIGHTS")
    return [*filter(None, (folder, Path(environment) if environment else None)), cache_folder(), SHIPPED]


def find_files(record: WeightsRecord, folder: Path | None = None) -> tuple[Path, ...]:
    """Paths of a model's files, from the first folder of `search_path` that holds a complete set.

    A converted form is preferred. Raises WeightsMissing, which says what to do. The files are not looked into: `check`.
    """
    forms = (record.files, *record.alternatives)
    sets = [*((name,) for name in record.converted), *(tuple(file.filename for file in form) for form in forms)]
    folders = search_path(folder)
    for place in folders:
        for names in sets:
            if all((place / name).is_file() for name in names):
                return tuple(place / name for name in names)
    wanted = " or ".join((" and ".join(file.filename for file in record.files), *record.converted))
    fetchable = all(file.url for file in record.files)
    remedy = f"run `bench fetch {record.name}`" if fetchable else f"get them from {record.source}"
    raise WeightsMissing(
        f"no weights for {record.name}: found no {wanted} in {', '.join(map(str, folders))}; "
        f"{remedy}, or name their folder with --weights"
    )


def find_weights(name: str, folder: Path | None = None) -> Path:
    """Path of a FLIP model's weights, or of a pair's first file, by its name in WEIGHTS; see `find_files`, `check`."""
    record = find_record(name)
    paths = find_files(record, folder)
    check(record, paths)
    return paths[0]


def find_record(name: str) -> WeightsRecord:
    """The record of a FLIP model. Raises WeightsMissing, with the nearest name, for one that is not known."""
    if name not in WEIGHTS:
        near = get_close_matches(name, WEIGHTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(WEIGHTS)}"
        raise WeightsMissing(f"there is no FLIP model called {name!r}; {hint}")
    return WEIGHTS[name]


def check(record: WeightsRecord, paths: tuple[Path, ...]) -> None:
    """Raises WeightsChanged for one of a model's files that is neither the published one nor the one fetched first.

    Nothing is known of a file that the user converted, or put there without its FILE.json.
    """
    files = {file.filename: file for form in (record.files, *record.alternatives) for file in form}
    for path in paths:
        if path.name in files:
            _check_file(files[path.name], path)


def sha256(path: Path) -> str:
    """A file's SHA-256 in hex digits. It is read once, and again only when it has changed on disk."""
    status = path.stat()
    return _sha256(path.absolute(), (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@cache
def _sha256(path: Path, _state: tuple[int, ...]) -> str:
    return file_sha256(path)


def fetch(
    record: WeightsRecord,
    folder: Path | None = None,
    *,
    timeout: tuple[float, float] = (10, 30),
    attempts: int = 4,
    progress: ProgressCallback | None = None,
) -> tuple[Path, ...]:
    """Download a model's files into `folder` (the user's cache if None), where they are not there yet.

    Those that come with the package stay where they are. If files cannot be had, the alternatives are tried, one after
    the other. See `objascale.download.download`. Raises DownloadFailed, WeightsMissing if a file has no address, or
    WeightsChanged if one without a published hash is not the one that was fetched first, here or at its publisher's.
    """
    folder = folder or cache_folder()
    get = partial(download, timeout=timeout, attempts=attempts, progress=progress)
    failures = []
    for form in (record.files, *record.alternatives):
        addresses = [file.url for file in form if file.url]
        shipped = tuple(SHIPPED / file.filename for file in form)
        if all(path.is_file() for path in shipped):
            return shipped
        if len(addresses) < len(form):
            raise WeightsMissing(f"{record.name} cannot be fetched by a program; get it from {record.source}")
        try:
            return tuple(
                _fetch_file(file, url, folder / file.filename, get) for file, url in zip(form, addresses, strict=True)
            )
        except DownloadFailed as failure:
            failures.append(failure)
    raise DownloadFailed("; ".join(map(str, failures)), failures[0].reason)


def _fetch_file(file: WeightsFile, url: str, path: Path, get: Callable[[str, Path, Expected], Path]) -> Path:
    """`get` one file unless it is there, and note its SHA-256 if nobody tells it."""
    known = _known_sha256(file, path)
    noted = known is not None and file.sha256 is None
    if noted and path.is_file():
        _check_file(file, path)
    expected = Expected(sha256=known, size=file.bytes, check=lambda arrived: _fault(arrived, file))
    try:
        get(url, path, expected)
    except DownloadFailed as failure:
        if noted and failure.reason == "wrong-content":
            raise WeightsChanged(
                f"{failure}, as it was when {path.name} was first fetched; if you trust what its publisher has put "
                f"there since, delete {_note(path)}"
            ) from None
        raise
    if known is None:
        note = {"url": url, "sha256": sha256(path), "bytes": path.stat().st_size}
        write_atomically(_note(path), json.dumps(note, indent=1).encode() + b"\n")
    return path


def _check_file(file: WeightsFile, path: Path) -> None:
    """Raises as `check`."""
    known = _known_sha256(file, path) or file.sha256_start
    if not known and file.git_blob and _git_blob(path) != file.git_blob:
        raise WeightsChanged(f"{path} is not the published file (Git's id of it differs); delete it and fetch it again")
    if not known or sha256(path).startswith(known):
        return
    if file.sha256 or not _note(path).is_file():
        raise WeightsChanged(f"{path} is not the published file (SHA-256 differs); delete it and fetch it again")
    raise WeightsChanged(
        f"{path} is not the file that was fetched first (SHA-256 differs); delete it and fetch it again, "
        f"and {_note(path).name} too if its publisher has changed it"
    )


_BEGINNINGS = {".ckpt": b"PK\x03\x04", ".pt": b"PK\x03\x04", ".onnx": b"\x08"}


def _fault(path: Path, file: WeightsFile) -> str:
    """A page of excuses, which a server may send in a file's place, must not be what is believed ever after."""
    if file.sha256_start and not file_sha256(path).startswith(file.sha256_start):
        return f"its SHA-256 does not begin with {file.sha256_start}"
    if file.git_blob and _git_blob(path) != file.git_blob:
        return f"Git's id of it is not {file.git_blob}"
    kind = Path(file.filename).suffix
    beginning = _BEGINNINGS.get(kind, b"")
    with path.open("rb") as arrived:
        return "" if arrived.read(len(beginning)) == beginning else f"it does not begin as a {kind} file"


def _git_blob(path: Path) -> str:
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _known_sha256(file: WeightsFile, path: Path) -> str | None:
    """The published hash, or the noted one of what was fetched first. Raises WeightsChanged if the note is damaged."""
    note = _note(path)
    if file.sha256 is not None or not note.is_file():
        return file.sha256
    try:
        return str(json.loads(note.read_bytes())["sha256"])
    except (ValueError, LookupError, TypeError):
        raise WeightsChanged(f"{note} is damaged; delete it, and {path.name} if you do not trust it") from None
