"""Downloads that resume, retry, and check every file before it takes its name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from objascale.files import file_digest
from objascale.locks import locked
from objascale.progress import ProgressCallback

if TYPE_CHECKING:
    import requests

Result = TypeVar("Result")

MAX_PAUSE = 60.0
"""Longest pause before an attempt that a server's Retry-After can ask for, seconds."""

_CHUNK_BYTES = 1 << 14  # a broken connection loses at most this many bytes
_BUSY = {429, 503}  # HTTP statuses of an overloaded host; its other files would fail as well
_RETRIED = {408, 425, 500, 502, 504} | _BUSY


class DownloadFailed(RuntimeError):
    """A file could not be fetched, or the wrong file arrived.

    `reason` is machine-readable: `wrong-content`, `too-large`, `broken-off`, `host-unavailable`, `http-404` ….
    """

    def __init__(self, message: str, reason: str = "failed") -> None:
        super().__init__(message)
        self.reason = reason


class HostUnavailable(DownloadFailed):
    """The host cannot be reached or stays overloaded, so its other files cannot be fetched either."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "host-unavailable")


class _TryAgain(Exception):
    """An attempt failed, and another may succeed. `host` is true if the host failed, not the file."""

    def __init__(self, message: str, pause: float = 0.0, *, host: bool = False) -> None:
        super().__init__(message)
        self.pause = pause
        self.host = host


@dataclass(frozen=True)
class Expected:
    """Properties that a downloaded file must have. None means that a property is not checked.

    Attributes:
        sha256: SHA-256, hexadecimal.
        md5: MD5, hexadecimal.
        size: Size, bytes.
        limit: Largest accepted size, bytes.
        check: Takes the file, and returns a clause that describes its fault ("it is empty"), or "".
    """

    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    limit: int | None = None
    check: Callable[[Path], str] | None = None

    def fault(self, path: Path) -> str:
        """Return a clause that describes the fault of the file, or ""."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"it has {size} bytes instead of {self.size}"
        if self.limit is not None and size > self.limit:
            return f"it has {size} bytes, more than the {self.limit} that are accepted"
        for algorithm, digest in (("sha256", self.sha256), ("md5", self.md5)):
            if digest is not None and file_digest(path, algorithm) != digest.lower():
                return f"its {algorithm.upper()} is not {digest}"
        return self.check(path) if self.check else ""


def download(
    url: str,
    path: Path,
    expected: Expected,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: tuple[float, float] = (10, 30),
    attempts: int = 4,
    pause: float = 1.0,
    progress: ProgressCallback | None = None,
) -> Path:
    """Fetch a URL to a path, unless the expected file is there.

    Received bytes are kept in `path` + ".part", and a Range request resumes them, in this call or a later one. The
    file takes its name after it passes all checks. If `expected` has no size, the size that the server announces is
    checked. If another process fetches the file, this one waits, and takes that file if it passes the checks.

    Args:
        url: Address. Redirects are followed.
        path: Path of the file. Its folder is made.
        expected: Properties that the file must have.
        headers: HTTP headers to send.
        timeout: Seconds to wait for the connection, and for data.
        attempts: Number of attempts, if each fails in a way that may pass.
        pause: Seconds before the second attempt. The pause doubles with each attempt. A server's Retry-After replaces
            it if it is longer, up to MAX_PAUSE.
        progress: Called with the file's name, its bytes so far and its bytes in all (0 if unknown).

    Returns:
        The path.

    Raises:
        DownloadFailed: If the file cannot be fetched or fails a check.
        OSError: If the file cannot be written.
    """
    import requests  # here and below, so that `import flip` does not load it

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and not expected.fault(path):
        return path
    part = path.with_name(path.name + ".part")
    fetch = _Fetch(url, part, expected, dict(headers or {}), timeout, progress)
    failures: list[_TryAgain] = []
    with locked(path) as waited:
        for attempt in range(attempts):
            if failures:
                time.sleep(max(pause * 2 ** (attempt - 1), failures[-1].pause))
            if (failures or waited) and path.is_file() and not expected.fault(path):
                return path
            try:
                fetch.attempt()
                os.replace(part, path)  # noqa: PTH105 - atomic, over an old file too
                return path
            except _TryAgain as failure:
                failures.append(failure)
            except requests.RequestException as error:
                failures.append(_TryAgain(str(error)))
            except FileNotFoundError:  # on a file system without locks
                failures.append(_TryAgain(f"another process moved {part} away"))
    message = f"could not fetch {url} in {attempts} attempts, the last one: {failures[-1]}"
    raise HostUnavailable(message) if all(one.host for one in failures) else DownloadFailed(message, "broken-off")


def download_many(
    jobs: Sequence[Callable[[], Result]], parallel: int = 8
) -> Iterator[tuple[int, Result | DownloadFailed]]:
    """Run jobs that call `download`, several at a time.

    Args:
        jobs: Functions to call.
        parallel: Number of jobs that run at a time.

    Yields:
        The index of a job and its result or failure, in the order in which the jobs end.

    Raises:
        HostUnavailable: As soon as one job raises it. The jobs that have not started are cancelled.
    """
    pool = ThreadPoolExecutor(parallel)
    try:
        futures = {pool.submit(job): index for index, job in enumerate(jobs)}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except HostUnavailable:
                raise
            except DownloadFailed as failure:
                yield futures[future], failure
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Fetch:
    """State of one `download` call."""

    url: str
    part: Path
    expected: Expected
    headers: dict[str, str]
    timeout: tuple[float, float]
    progress: ProgressCallback | None

    def attempt(self) -> None:
        """Send one request, or none if `part` has all bytes. On return, `part` has passed all checks."""
        start = self.part.stat().st_size if self.part.exists() else 0
        size = self.expected.size
        if size is None or start < size:
            start, size = self._receive(start)
        arrived = self.part.stat().st_size
        self._limit(arrived)
        if size is not None and arrived < size:
            raise _TryAgain(f"the connection ended after {arrived} of {size} bytes")
        if fault := self.expected.fault(self.part):
            self.part.unlink()
            message = f"{self.url} sent a file that is not the expected one: {fault}"
            raise _TryAgain(message) if start else DownloadFailed(message, "wrong-content")

    def _receive(self, start: int) -> tuple[int, int | None]:
        """Append to `part` from byte `start`, or from 0 if the server ignores ranges.

        Returns the first byte received, and the size of the whole file if it is known.
        """
        import requests

        headers = {"Accept-Encoding": "identity"} | self.headers | ({"Range": f"bytes={start}-"} if start else {})
        try:
            response = requests.get(self.url, headers=headers, stream=True, timeout=self.timeout)
        except requests.ConnectionError as error:
            why = str(error).rsplit(": ", 1)[-1].strip("()'\"")  # the text of the innermost exception
            raise _TryAgain(f"no connection ({why})", host=True) from error
        except ValueError as error:
            raise HostUnavailable(f"{self.url} is not a web address ({error})") from error
        with response:
            content_range = response.headers.get("Content-Range", "")
            if response.status_code == 416 and content_range == f"bytes */{start}":
                return start, start  # an earlier attempt had all bytes but did not rename the file
            self._refuse(response)
            resumed = response.status_code == 206 and content_range.startswith(f"bytes {start}-")
            start = start if resumed else 0
            length = response.headers.get("Content-Length", "")
            announced = start + int(length) if length.isdigit() else None
            self._limit(announced or 0)
            size = announced if self.expected.size is None else self.expected.size
            self._write(response, start, size, "ab" if resumed else "wb")
        return start, size

    def _refuse(self, response: requests.Response) -> None:
        """Raise the error that fits the status of a response without the file."""
        answer = f"the server answered {response.status_code} {response.reason}"
        if response.status_code == 416:  # the bytes of an earlier attempt are not of this file
            self.part.unlink(missing_ok=True)
            raise _TryAgain(answer)
        if response.status_code in _RETRIED:
            wait = response.headers.get("Retry-After", "")
            pause = min(float(wait), MAX_PAUSE) if wait.isdigit() else 0.0
            raise _TryAgain(answer, pause, host=response.status_code in _BUSY)
        if not response.ok:
            raise DownloadFailed(f"could not fetch {self.url}: {answer}", f"http-{response.status_code}")

    def _write(self, response: requests.Response, start: int, size: int | None, mode: str) -> None:
        """Write the body to `part`, and stop within a chunk after the expected size."""
        bound = size if size is not None else self.expected.limit
        arrived = start
        with self.part.open(mode) as file:
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                arrived += len(chunk)
                if self.progress:
                    self.progress(self.part.stem, arrived, size or 0)
                if bound is not None and arrived > bound:
                    return

    def _limit(self, size: int) -> None:
        limit = self.expected.limit
        if limit is not None and size > limit:
            self.part.unlink(missing_ok=True)
            raise DownloadFailed(f"{self.url} is refused: more than {limit} bytes", "too-large")
