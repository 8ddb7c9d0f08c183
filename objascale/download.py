"""Fetch files over a connection that may break at any point, and believe none of them unchecked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from objascale.files import file_digest
from objascale.progress import ProgressCallback

if TYPE_CHECKING:
    import requests

Result = TypeVar("Result")

LONGEST_PAUSE = 60.0
"""Seconds that a server's Retry-After may make us wait before one attempt."""

_CHUNK = 1 << 14  # what a broken connection may lose
_BUSY = {429, 503}  # the host has enough of us; another file of it would fare no better
_WORTH_RETRYING = {408, 425, 500, 502, 504} | _BUSY


class DownloadFailed(RuntimeError):
    """A file could not be fetched, or what came was not that file.

    `reason` is a word for tables: `wrong-content`, `too-large`, `broken-off`, `host-unavailable`, `http-404` ….
    """

    def __init__(self, message: str, reason: str = "failed") -> None:
        super().__init__(message)
        self.reason = reason


class HostUnavailable(DownloadFailed):
    """The host cannot be reached, or tells us again and again to come later: its other files need not be tried."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "host-unavailable")


class _TryAgain(Exception):
    """This attempt failed in a way that the next may not; `host` if the fault is the host's, not the file's."""

    def __init__(self, message: str, pause: float = 0.0, *, host: bool = False) -> None:
        super().__init__(message)
        self.pause = pause
        self.host = host


@dataclass(frozen=True)
class Expected:
    """What is known about a file before it is fetched; all of it is checked.

    `sha256` and `md5` are hexadecimal. `size` and `limit`, the most that is accepted, are bytes. `check` looks at the
    whole file and says in half a sentence what is wrong with it, or "" if nothing is.
    """

    sha256: str | None = None
    md5: str | None = None
    size: int | None = None
    limit: int | None = None
    check: Callable[[Path], str] | None = None

    def fault(self, path: Path) -> str:
        """What is wrong with the file, "" if nothing is."""
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
    """Fetch `url` to `path`, unless the right file is there already; returns `path`. Redirects are followed.

    What has come is kept in `path` + ".part" and resumed by a Range request, in this call and the next. The file takes
    its name only after it was checked; where `expected` has no size, it must be as long as the server announced.
    `timeout`: seconds to connect, and for the server to be silent. After a failure that may pass, tries again up to
    `attempts` times in all, after `pause` seconds, then twice that, …, or after what the server's Retry-After says in
    seconds, LONGEST_PAUSE at the most. Raises DownloadFailed; OSError if the file cannot be written.
    """
    import requests  # here and below, so that `import flip` does not load it

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    fetch = _Fetch(url, part, expected, dict(headers or {}), timeout, progress)
    failures: list[_TryAgain] = []
    for attempt in range(attempts):
        if failures:
            time.sleep(max(pause * 2 ** (attempt - 1), failures[-1].pause))
        if path.is_file() and not expected.fault(path):
            return path
        try:
            fetch.attempt()
            os.replace(part, path)  # noqa: PTH105 - atomic, over an old file too
            return path
        except _TryAgain as failure:
            failures.append(failure)
        except requests.RequestException as error:
            failures.append(_TryAgain(str(error)))
        except FileNotFoundError:
            failures.append(_TryAgain(f"another process fetches to {part} and has just moved it"))
    message = f"could not fetch {url} in {attempts} attempts, the last one: {failures[-1]}"
    raise HostUnavailable(message) if all(one.host for one in failures) else DownloadFailed(message, "broken-off")


def download_many(
    jobs: Sequence[Callable[[], Result]], parallel: int = 8
) -> Iterator[tuple[int, Result | DownloadFailed]]:
    """Run jobs that call `download`, `parallel` at a time; yields (its index, its result or failure) as each ends.

    Raises HostUnavailable, instead of trying the jobs that are left, as soon as one of them does.
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
    """The one file of a `download` call."""

    url: str
    part: Path
    expected: Expected
    headers: dict[str, str]
    timeout: tuple[float, float]
    progress: ProgressCallback | None

    def attempt(self) -> None:
        """One request, or none if all is there; on return `part` is the whole, right file."""
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
            message = f"{self.url} sent something other than the expected file: {fault}"
            raise _TryAgain(message) if start else DownloadFailed(message, "wrong-content")

    def _receive(self, start: int) -> tuple[int, int | None]:
        """Append to `part` from byte `start` on, or from 0 where the server ignores ranges.

        Returns where it began, and the size of the whole file if that is known.
        """
        import requests

        headers = {"Accept-Encoding": "identity"} | self.headers | ({"Range": f"bytes={start}-"} if start else {})
        try:
            response = requests.get(self.url, headers=headers, stream=True, timeout=self.timeout)
        except requests.ConnectionError as error:
            why = str(error).rsplit(": ", 1)[-1].strip("()'\"")  # the innermost of nested exceptions' texts
            raise _TryAgain(f"no connection ({why})", host=True) from error
        except ValueError as error:
            raise HostUnavailable(f"{self.url} is no address of the web ({error})") from error
        with response:
            content_range = response.headers.get("Content-Range", "")
            if response.status_code == 416 and content_range == f"bytes */{start}":
                return start, start  # an earlier attempt ended between the last byte and the renaming
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
        """Raise what an answer without the file means."""
        answer = f"the server answered {response.status_code} {response.reason}"
        if response.status_code == 416:  # what an earlier attempt left does not belong to this file
            self.part.unlink(missing_ok=True)
            raise _TryAgain(answer)
        if response.status_code in _WORTH_RETRYING:
            wait = response.headers.get("Retry-After", "")
            pause = min(float(wait), LONGEST_PAUSE) if wait.isdigit() else 0.0
            raise _TryAgain(answer, pause, host=response.status_code in _BUSY)
        if not response.ok:
            raise DownloadFailed(f"could not fetch {self.url}: {answer}", f"http-{response.status_code}")

    def _write(self, response: requests.Response, start: int, size: int | None, mode: str) -> None:
        """Write the body to `part`, but hardly more than there should be of it."""
        bound = size if size is not None else self.expected.limit
        arrived = start
        with self.part.open(mode) as file:
            for chunk in response.iter_content(_CHUNK):
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
            raise DownloadFailed(f"{self.url} is not taken: more than {limit} bytes", "too-large")
