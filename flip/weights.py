"""Weights files: names, sources, and search on this machine.

Any model can have a `WeightsRecord`; the records of FLIP are in WEIGHTS.

Some publishers give no hash, or only its first digits. Then the first download pins the hash: the SHA-256 is written to
FILE.json beside the file, and later files must have it.
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
from typing import Literal

from objascale import files
from objascale.download import DownloadFailed, Expected, download
from objascale.files import file_sha256, write_atomically
from objascale.progress import ProgressCallback

__all__ = [
    "WEIGHTS",
    "DownloadFailed",
    "Publisher",
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


PACKAGE_WEIGHTS = Path(__file__).parent / "shipped"
"""Folder of the weights in this package."""

PACKAGE_WEIGHTS_SUFFIX = ", this project's weights"
"""Suffix of the model family, in the cards of models with these weights."""

Publisher = Literal["authors", "copy", "third party", "this project"]
"""Whose weights a model has: a release of its authors, a copy of it by others, those of a third party, or those of this
project."""


class WeightsMissing(LookupError):
    """The weights are not on this machine, or the model is unknown."""


class WeightsChanged(WeightsMissing):
    """A file is neither the published one nor the one that was fetched first."""


@dataclass(frozen=True)
class WeightsFile:
    """A published file.

    Args:
        filename: Name of the file on this machine.
        url: Address; None if a program cannot fetch the file.
        sha256: Published SHA-256, in hex digits.
        bytes: Published size.
        sha256_start: First digits of the SHA-256, if only these are published, as in file names of PyTorch's hub.
        git_blob: Git's object id of the file: SHA-1 of "blob SIZE", a zero byte and the content.
    """

    filename: str
    url: str | None
    sha256: str | None = None
    bytes: int | None = None
    sha256_start: str = ""
    git_blob: str | None = None


@dataclass(frozen=True)
class WeightsRecord:
    """The weights of a model.

    Args:
        name: Name of the model.
        files: The files, all of which are needed.
        licence: Licence of the weights.
        source: Publisher, for credit and for fetching by hand.
        alternatives: Other sets of files, for use when `files` cannot be fetched.
        converted: Names of files with the same weights in another format, each of which is enough.
        publisher: Whose weights they are.
    """

    name: str
    files: tuple[WeightsFile, ...]
    licence: str
    source: str
    alternatives: tuple[tuple[WeightsFile, ...], ...] = ()
    converted: tuple[str, ...] = ()
    publisher: Publisher = "authors"


def _flip(size: str, share: str, *published: WeightsFile) -> WeightsRecord:
    """Return the record of a released model: a checkpoint of the authors' university, or two graphs of the author.

    `published` files are preferred to these.
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


def _paper(size: str) -> WeightsRecord:
    """Return the record of a model of the paper. Its authors have published no weights; this package has some."""
    return WeightsRecord(
        name=f"flip-{size}",
        files=(WeightsFile(f"flip-{size}.safetensors", None),),
        licence="GPL-3.0-or-later",
        source=f"this project, which has trained it and ships it: flip/shipped/flip-{size}.md",
        publisher="this project",
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
        _paper("s"),
        _paper("m"),
        _paper("l"),
    )
}


def cache_folder() -> Path:
    """Return the folder of downloads: objascale/weights in the user's cache ($XDG_CACHE_HOME, else ~/.cache)."""
    return files.cache_folder() / "weights"


def search_path(folder: Path | None = None) -> list[Path]:
    """Return the folders to search: `folder`, $OBJASCALE_WEIGHTS, the user's cache, and that of this package."""
    environment = os.environ.get("OBJASCALE_WEIGHTS")
    return [*filter(None, (folder, Path(environment) if environment else None)), cache_folder(), PACKAGE_WEIGHTS]


def find_files(record: WeightsRecord, folder: Path | None = None) -> tuple[Path, ...]:
    """Return the paths of a model's files, from the first folder of `search_path` with a complete set.

    Converted files are preferred. `check` verifies the files.

    Raises:
        WeightsMissing: No folder has a complete set. The error says how to get one.
    """
    forms = (record.files, *record.alternatives)
    sets = [*((name,) for name in record.converted), *(tuple(file.filename for file in form) for form in forms)]
    folders = search_path(folder)
    for parent in folders:
        for names in sets:
            if all((parent / name).is_file() for name in names):
                return tuple(parent / name for name in names)
    wanted = " or ".join((" and ".join(file.filename for file in record.files), *record.converted))
    fetchable = all(file.url for file in record.files)
    remedy = f"run `bench fetch {record.name}`" if fetchable else f"get them from {record.source}"
    raise WeightsMissing(
        f"no weights for {record.name}: found no {wanted} in {', '.join(map(str, folders))}; "
        f"{remedy}, or set OBJASCALE_WEIGHTS to the folder that has them"
    )


def find_weights(name: str, folder: Path | None = None) -> Path:
    """Return the path of a FLIP model's weights, or of the first file of a pair. Raises WeightsMissing."""
    return find_and_check(find_record(name), folder)[0]


def find_and_check(record: WeightsRecord, folder: Path | None = None) -> tuple[Path, ...]:
    """Return the paths of a model's files after a check of their hashes. Raises as `find_files` and `check`."""
    paths = find_files(record, folder)
    check(record, paths)
    return paths


def find_record(name: str) -> WeightsRecord:
    """Return the record of a FLIP model. Raises WeightsMissing with the nearest name if it is unknown."""
    if name not in WEIGHTS:
        near = get_close_matches(name, WEIGHTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(WEIGHTS)}"
        raise WeightsMissing(f"there is no FLIP model called {name!r}; {hint}")
    return WEIGHTS[name]


def check(record: WeightsRecord, paths: tuple[Path, ...]) -> None:
    """Verify a model's files. A file without published hash and without FILE.json cannot be verified and is accepted.

    Raises:
        WeightsChanged: A file is neither the published one nor the one that was fetched first.
    """
    files = {file.filename: file for form in (record.files, *record.alternatives) for file in form}
    for path in paths:
        if path.name in files:
            _check_file(files[path.name], path)


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hex digits. The file is read again only if it has changed on disk."""
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
    """Download the missing files of a model.

    The files of this package are not copied. If files cannot be fetched, the alternatives are tried in order.

    Args:
        record: The model's record.
        folder: Target folder; the user's cache if None.
        timeout: Seconds to connect, and seconds between bytes.
        attempts: Number of attempts per file.
        progress: See `objascale.download.download`.

    Returns:
        The paths of the files.

    Raises:
        DownloadFailed: Neither the files nor an alternative can be fetched.
        WeightsMissing: A file has no address.
        WeightsChanged: A file without published hash is not the one that was fetched first.
    """
    folder = folder or cache_folder()
    get = partial(download, timeout=timeout, attempts=attempts, progress=progress)
    failures = []
    for form in (record.files, *record.alternatives):
        addresses = [file.url for file in form if file.url]
        included = tuple(PACKAGE_WEIGHTS / file.filename for file in form)
        if all(path.is_file() for path in included):
            return included
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
    """Fetch one file with `get`, and write its SHA-256 to FILE.json if none is published."""
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
                f"{failure}, as it was when {path.name} was first fetched; if you trust the publisher's new file, "
                f"delete {_note(path)}"
            ) from None
        raise
    if known is None:
        note = {"url": url, "sha256": sha256(path), "bytes": path.stat().st_size}
        write_atomically(_note(path), json.dumps(note, indent=1).encode() + b"\n")
    return path


def _check_file(file: WeightsFile, path: Path) -> None:
    """Verify one file as `check` does."""
    if files.is_lfs_pointer(path):
        raise WeightsChanged(f"{path} {files.LFS_HELP}")
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


_MAGIC_BYTES = {".ckpt": b"PK\x03\x04", ".pt": b"PK\x03\x04", ".onnx": b"\x08"}


def _fault(path: Path, file: WeightsFile) -> str:
    """Reject HTML error pages before pinning a hash: return the fault of a file, or ""."""
    if file.sha256_start and not file_sha256(path).startswith(file.sha256_start):
        return f"its SHA-256 does not begin with {file.sha256_start}"
    if file.git_blob and _git_blob(path) != file.git_blob:
        return f"Git's id of it is not {file.git_blob}"
    kind = Path(file.filename).suffix
    beginning = _MAGIC_BYTES.get(kind, b"")
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
    """Return the published SHA-256, else that of the first download. Raises WeightsChanged if FILE.json is damaged."""
    note = _note(path)
    if file.sha256 is not None or not note.is_file():
        return file.sha256
    try:
        return str(json.loads(note.read_bytes())["sha256"])
    except (ValueError, LookupError, TypeError):
        raise WeightsChanged(f"{note} is damaged; delete it, and {path.name} if you do not trust it") from None
