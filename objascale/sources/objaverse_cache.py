"""The files of Objaverse 1.0 in the cache of the `objaverse` package, which an existing cache of a lab can share.

The package's downloader has no timeout, retries or checks. This module downloads each file, and the package's loaders
then read it. Below the folder `_VERSIONED_PATH` of the package are the tables lvis-annotations.json.gz and
object-paths.json.gz, metadata as metadata/NNN-NNN.json.gz, and objects as glbs/NNN-NNN/UID.glb.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import struct
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from objascale.download import DownloadFailed, Expected, HostUnavailable, Result, download, download_many
from objascale.progress import ProgressCallback
from objascale.sources import SourceError
from objascale.sources.digests import Digests

ENDPOINT = "https://huggingface.co"
"""Host of the data set. The environment variable HF_ENDPOINT replaces it with a mirror."""

MAX_OBJECT_BYTES = 256 << 20
"""Largest object that is fetched. A choice: a few scans are much larger than the usual 10 MB."""


@dataclass(frozen=True)
class Failure:
    """A file or object that could not be fetched, or was replaced: its id, a machine-readable reason, a sentence."""

    id: str
    reason: str
    message: str


def glb_fault(path: Path) -> str:
    """Return the fault of a GLB's 12-byte header (magic, version, length; glTF 2.0, 4.4.2), or ""."""
    with path.open("rb") as file:
        header = file.read(12)
    if len(header) < 12 or header[:4] != b"glTF":
        return "it is not a GLB"
    length = struct.unpack("<I", header[8:])[0]
    size = path.stat().st_size
    return "" if length == size else f"it has {size} bytes, and its header says {length}"


def gzip_fault(path: Path) -> str:
    """Return the fault of a gzip file, or "" if it is complete and not empty."""
    try:
        with gzip.open(path) as file:
            if not file.read(1):
                return "it is empty"
            while file.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as error:
        return f"it is not a complete gzip file ({error})"
    return ""


_GLB = Expected(limit=MAX_OBJECT_BYTES, check=glb_fault)
_GZIP = Expected(check=gzip_fault)


class ObjaverseCache:
    """Tables, metadata and objects. A file that is missing or damaged is fetched when it is first needed.

    Every method raises SourceError if the host cannot be reached.

    Args:
        offline: Whether to fetch nothing.

    Attributes:
        replaced: Damaged files that were fetched again.
    """

    def __init__(self, *, offline: bool) -> None:
        import objaverse

        endpoint = os.environ.get("HF_ENDPOINT") or ENDPOINT
        self.replaced: list[Failure] = []
        self._address = f"{endpoint.rstrip('/')}/datasets/allenai/objaverse/resolve/main"
        self._digests = Digests()
        self._offline = offline
        self._package = objaverse
        self._root = Path(objaverse._VERSIONED_PATH)

    def lvis(self) -> dict[str, list[str]]:
        """Return LVIS category → uids. Raises SourceError if the table cannot be fetched or read."""
        return self._table("lvis-annotations.json.gz", self._package.load_lvis_annotations)

    def object_paths(self, uids: Collection[str]) -> dict[str, str]:
        """Return uid → path of its GLB below the root, for uids with a path of the usual form. Raises SourceError."""
        paths = self._table("object-paths.json.gz", self._package._load_object_paths)
        return {
            uid: path
            for uid in uids
            if uid.isalnum() and re.fullmatch(rf"glbs/\d{{3}}-\d{{3}}/{uid}\.glb", path := str(paths.get(uid)))
        }

    def metadata(
        self, paths: Mapping[str, str], progress: ProgressCallback
    ) -> dict[str, dict[str, Any] | DownloadFailed]:
        """Load the metadata of objects.

        Args:
            paths: uid → path, as `object_paths` returns them.
            progress: Called after each file.

        Returns:
            uid → metadata, or the failure to fetch its file. Objects without metadata have no entry.

        Raises:
            SourceError: If a file of metadata cannot be read.
        """
        names = sorted({shard(path) for path in paths.values()})
        jobs = [partial(self._ensure, f"metadata/{name}.json.gz", _GZIP) for name in names]
        failed: dict[str, DownloadFailed] = {}
        for done, (index, result) in enumerate(self._fetch(jobs), 1):
            if isinstance(result, DownloadFailed):
                failed[names[index]] = result
            progress("metadata", done, len(names))
        failures = {uid: failed[shard(path)] for uid, path in paths.items() if shard(path) in failed}
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # hides the package's progress bar
                found = self._package.load_annotations([uid for uid in paths if uid not in failures])
        except ValueError as error:
            raise SourceError(f"a file in {self._root / 'metadata'} is not Objaverse's ({error}); delete it") from error
        return found | failures

    def objects(self, paths: Mapping[str, str]) -> Iterator[tuple[str, tuple[Path, str] | DownloadFailed]]:
        """Yield (uid, (GLB file, SHA-256) or failure), in the order in which they are ready."""
        uids = list(paths)
        jobs = [partial(self._object, paths[uid]) for uid in uids]
        try:
            for index, result in self._fetch(jobs):
                yield uids[index], result
        finally:
            self._digests.save()

    def _object(self, relative: str) -> tuple[Path, str]:
        path = self._ensure(relative, _GLB)
        return path, self._digests.sha256(path)

    def _table(self, relative: str, load: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            path = self._ensure(relative, _GZIP)
        except DownloadFailed as failure:
            raise SourceError(str(failure)) from failure
        try:
            return dict(load())
        except (TypeError, ValueError) as error:
            raise SourceError(f"{path} is not Objaverse's table of that name ({error}); delete it") from error

    def _ensure(self, relative: str, expected: Expected) -> Path:
        """Return the path of a complete file, and fetch it if needed. Raises DownloadFailed."""
        path = self._root / relative
        there = path.is_file()
        fault = expected.fault(path) if there else ""
        if there and not fault:
            return path
        if self._offline:
            what = f"is damaged: {fault}" if there else "is not in the cache, and is not fetched offline"
            raise DownloadFailed(f"{path} {what}", "damaged" if there else "not-cached")
        download(f"{self._address}/{relative}", path, expected)
        if there:
            self.replaced.append(Failure(relative, "damaged", f"{path} was fetched again: {fault}"))
        return path

    def _fetch(self, jobs: Sequence[Callable[[], Result]]) -> Iterator[tuple[int, Result | DownloadFailed]]:
        try:
            yield from download_many(jobs)
        except HostUnavailable as error:
            raise SourceError(f"{error}; fetched files are kept, and the same command continues") from error


def shard(path: str) -> str:
    """Return the folder NNN-NNN of a GLB, which is the name of its file of metadata."""
    return path.split("/")[1]
