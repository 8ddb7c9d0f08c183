"""The downloader against a real HTTP server on this machine that misbehaves in every way it can."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flip.download import DownloadFailed, download
from flip.weights import WeightsFile, WeightsRecord, fetch

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
Answer = Callable[[BaseHTTPRequestHandler], None]


def send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", claim: int | None = None, **headers: str
) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if claim is None else claim))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def whole(handler: BaseHTTPRequestHandler) -> None:
    """A server that does all right, ranges included."""
    if asked := handler.headers.get("Range"):
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        where = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        send(handler, 206, CONTENT[start:], Content_Range=where)
    else:
        send(handler, 200, CONTENT)


def ignores_range(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, CONTENT)


def truncated(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, CONTENT[:300_000], claim=len(CONTENT))


def truncated_unnoticed(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, CONTENT[:300_000])


def wrong(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, CONTENT[::-1])


def endless(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, CONTENT * 50)


def page(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, b"<html>please log in</html>")


def fails(status: int) -> Answer:
    return lambda handler: send(handler, status)


def hangs(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, CONTENT[:100_000], claim=len(CONTENT))
    handler.wfile.flush()
    time.sleep(1)


class Server:
    """Answers the requests with `answers` in turn, the last one for ever; keeps each request's Range header."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [whole]
        self.ranges: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.ranges.append(self.headers.get("Range"))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                try:
                    answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/weights.bin"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.http.shutdown()
    server.http.server_close()
    thread.join()


def get(server: Server, path: Path, attempts: int = 3) -> Path:
    size = len(CONTENT)
    return download(server.url, path, SHA256, size, timeout=(2, 0.3), attempts=attempts, pause=0.01)


def arrived(path: Path) -> bool:
    return path.read_bytes() == CONTENT and list(path.parent.iterdir()) == [path]


def resumed_from(server: Server) -> int:
    """Where the second of two requests began."""
    first, second = server.ranges
    assert first is None
    assert second is not None
    return int(second.removeprefix("bytes=").removesuffix("-"))


def test_plain_download_makes_its_folder(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "new" / "weights.bin"
    assert get(server, target) == target
    assert arrived(target)


def test_a_file_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(CONTENT)
    get(server, tmp_path / "w")
    assert server.ranges == []


def test_a_wrong_file_that_is_there_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"old")
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")


@pytest.mark.parametrize("failure", [truncated, truncated_unnoticed])
def test_a_broken_connection_is_resumed(failure: Answer, server: Server, tmp_path: Path) -> None:
    server.answers = [failure, whole]
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")
    assert resumed_from(server) > 250_000


def test_resumes_what_an_earlier_run_left(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(CONTENT[:12345])
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")
    assert server.ranges == ["bytes=12345-"]


def test_a_complete_part_needs_no_server(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(CONTENT)
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")
    assert server.ranges == []


def test_a_server_that_ignores_ranges(server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(CONTENT[:12345])
    server.answers = [ignores_range]
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")


@pytest.mark.parametrize("rubbish", [b"rubbish" * 100, CONTENT + b"more", CONTENT[::-1]])
def test_a_part_of_something_else_is_started_anew(rubbish: bytes, server: Server, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(rubbish)
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_passing_failure_is_waited_out(status: int, server: Server, tmp_path: Path) -> None:
    server.answers = [fails(status), whole]
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")


def test_a_lasting_failure_ends(server: Server, tmp_path: Path) -> None:
    server.answers = [fails(500)]
    with pytest.raises(DownloadFailed, match=r"in 3 attempts.*500"):
        get(server, tmp_path / "w")
    assert len(server.ranges) == 3


def test_not_found_is_not_asked_twice(server: Server, tmp_path: Path) -> None:
    server.answers = [fails(404)]
    with pytest.raises(DownloadFailed, match="404"):
        get(server, tmp_path / "w")
    assert len(server.ranges) == 1


@pytest.mark.parametrize("answer", [wrong, endless])
def test_other_content_never_gets_the_name(answer: Answer, server: Server, tmp_path: Path) -> None:
    server.answers = [answer]
    with pytest.raises(DownloadFailed, match="other than the expected file"):
        get(server, tmp_path / "w")
    assert list(tmp_path.iterdir()) == []


def test_a_login_page_never_gets_the_name(server: Server, tmp_path: Path) -> None:
    server.answers = [page]
    with pytest.raises(DownloadFailed):
        get(server, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_silent_server_is_given_up(server: Server, tmp_path: Path) -> None:
    server.answers = [hangs, whole]
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")
    assert resumed_from(server) > 50_000


def test_nobody_listens(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="in 2 attempts"):
        download("http://127.0.0.1:9/w", tmp_path / "w", SHA256, 1, timeout=(1, 1), attempts=2, pause=0.01)


def test_a_record_with_two_files(server: Server, tmp_path: Path) -> None:
    files = tuple(WeightsFile(name, server.url, SHA256, len(CONTENT)) for name in ("a", "b"))
    seen: list[int] = []
    record = WeightsRecord("two", files, "MIT", "here")
    paths = fetch(record, tmp_path, progress=lambda done, _: seen.append(done))
    assert paths == (tmp_path / "a", tmp_path / "b")
    assert [p.read_bytes() == CONTENT for p in paths] == [True, True]
    assert max(seen) == len(CONTENT)
