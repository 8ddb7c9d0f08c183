"""Fetch one file of known size and SHA-256, over a connection that may break at any point."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import requests

from objascale.files import file_sha256

Progress = Callable[[int, int], None]  # bytes there so far, bytes in all

_CHUNK = 1 << 14  # what a broken connection may lose
_WORTH_RETRYING = {408, 416, 425, 429, 500, 502, 503, 504}


class DownloadFailed(RuntimeError):
    """A file could not be fetched, or what came was not that file."""


class _TryAgain(Exception):
    """This attempt failed in a way that the next may not."""


def download(
    url: str,
    path: Path,
    sha256: str,
    size: int,
    *,
    timeout: tuple[float, float] = (10, 30),
    attempts: int = 4,
    pause: float = 1.0,
    progress: Progress | None = None,
) -> Path:
    """Fetch `url` to `path`, unless the right file is there already; returns `path`.

    What has come is kept in `path` + ".part" and resumed by a Range request, in this call and the next. The file takes
    its name only after its SHA-256 was checked. `timeout`: seconds to connect, and for the server to be silent.
    After a failure that may pass, tries again up to `attempts` times in all, after `pause` seconds, then twice that, …
    Raises DownloadFailed; OSError if the file cannot be written.
    """
    if path.is_file() and file_sha256(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failure = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _attempt(url, part, sha256, size, timeout, progress)
        except (_TryAgain, requests.RequestException) as error:
            failure = str(error)
        else:
            os.replace(part, path)  # noqa: PTH105 - atomic, over an old file too
            return path
    raise DownloadFailed(f"could not fetch {url} in {attempts} attempts, the last one: {failure}")


def _attempt(
    url: str, part: Path, sha256: str, size: int, timeout: tuple[float, float], progress: Progress | None
) -> None:
    """One request; on return `part` is the whole, right file."""
    start = part.stat().st_size if part.exists() else 0
    if start < size:
        start = _receive(url, part, start, size, timeout, progress)
    if (arrived := part.stat().st_size) < size:
        raise _TryAgain(f"the connection ended after {arrived} of {size} bytes")
    if arrived > size or file_sha256(part) != sha256:
        part.unlink()
        message = f"{url} sent something other than the expected file (size {size}, SHA-256 {sha256})"
        raise _TryAgain(message) if start else DownloadFailed(message)


def _receive(
    url: str, part: Path, start: int, size: int, timeout: tuple[float, float], progress: Progress | None
) -> int:
    """Append to `part` from byte `start` on, or from 0 where the server ignores ranges; returns where it began."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code in _WORTH_RETRYING:
            raise _TryAgain(f"the server answered {response.status_code} {response.reason}")
        if not response.ok:
            raise DownloadFailed(f"could not fetch {url}: the server answered {response.status_code} {response.reason}")
        resumed = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {start}-"
        )
        start = start if resumed else 0
        arrived = start
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                arrived += len(chunk)
                if progress:
                    progress(arrived, size)
                if arrived > size:
                    break
    return start
