"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None)  # tests assert no times: the machine may be busy
settings.load_profile("suite")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real test material beside the checkout; CI has it, a user need not."""
    folder = ROOT.parent / "shared"
    if not (folder / "assets").is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the test material {folder} is missing, and CI must not skip the tests that need it")
        pytest.skip("needs the real test material (weights, objects, photographs), which is not beside this checkout")
    return folder


class Reply(BaseHTTPRequestHandler):
    """One request to the loopback server, and the ways to answer it."""

    loopback: Loopback

    def do_GET(self) -> None:
        self.loopback.requests.append(self)
        answers = self.loopback.answers.get(self.path, [])
        answer = (answers.pop(0) if len(answers) > 1 else answers[0]) if answers else Reply.file
        try:
            answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def send(self, status: int, body: bytes = b"", claim: int | None = None, **headers: str) -> None:
        """Any answer; `claim` is its Content-Length if that is to be a lie."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if claim is None else claim))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def file(self) -> None:
        """What a good server answers: the file, from where it was asked for; 404 if it has none."""
        content = self.loopback.files.get(self.path)
        if content is None:
            self.send(404)
        elif asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send(416, Content_Range=f"bytes */{len(content)}")
            else:
                self.send(206, content[start:], Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send(200, content)

    def log_message(self, *_: object) -> None:
        pass


class Loopback:
    """A real HTTP server on this machine, with files by path and, before those, misbehaviour by path.

    Of `answers[path]` each request gets the next, and the last is given for ever. `requests` keeps all that came.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, list[Callable[[Reply], None]]] = {}
        self.requests: list[Reply] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Reply,), {"loopback": self}))
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def asked(self) -> list[str]:
        """The paths that were asked for."""
        return [request.path for request in self.requests]

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Loopback()
    yield server
    server.close()
