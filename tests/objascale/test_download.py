"""The downloader against a local HTTP server with faults."""

from __future__ import annotations

import hashlib
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from objascale import download as module
from objascale.download import DownloadFailed, Expected, HostUnavailable, download, download_many

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
EXPECTED = Expected(sha256=SHA256, size=len(CONTENT))
PATH = "/weights.bin"


def whole(reply):
    reply.file()


def ignores_range(reply):
    reply.send(200, CONTENT)


def truncated(reply):
    reply.send(200, CONTENT[:300_000], claim=len(CONTENT))


def truncated_unnoticed(reply):
    reply.send(200, CONTENT[:300_000])


def wrong(reply):
    reply.send(200, CONTENT[::-1])


def endless(reply):
    reply.send(200, CONTENT * 50)


def page(reply):
    reply.send(200, b"<html>please log in</html>")


def fails(status, **headers):
    return lambda reply: reply.send(status, **headers)


def hangs(reply):
    reply.send(200, CONTENT[:100_000], claim=len(CONTENT))
    reply.wfile.flush()
    time.sleep(1)


def without_length(reply):
    reply.send_response(200)
    reply.end_headers()
    reply.wfile.write(CONTENT)


@pytest.fixture
def server(loopback):
    loopback.files[PATH] = CONTENT
    return loopback


def get(server, path: Path, expected: Expected = EXPECTED, *, attempts: int = 3, **options) -> Path:
    url = server.url + PATH
    return download(url, path, expected, timeout=(2, 0.3), attempts=attempts, pause=0.01, **options)


def arrived(path: Path) -> bool:
    return path.read_bytes() == CONTENT and list(path.parent.iterdir()) == [path]


def ranges(server) -> list[str | None]:
    return [request.headers.get("Range") for request in server.requests]


def resumed_from(server) -> int:
    """Return the first byte that the second of two requests asked for."""
    first, second = ranges(server)
    assert first is None
    assert second is not None
    return int(second.removeprefix("bytes=").removesuffix("-"))


def test_a_download_makes_its_folder(server, tmp_path):
    target = tmp_path / "new" / "weights.bin"
    assert get(server, target) == target
    assert arrived(target)


def test_an_existing_file_is_not_fetched_again(server, tmp_path):
    (tmp_path / "w").write_bytes(CONTENT)
    get(server, tmp_path / "w")
    assert ranges(server) == []


def test_an_existing_file_with_wrong_content_is_replaced(server, tmp_path):
    (tmp_path / "w").write_bytes(b"old")
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")


@pytest.mark.parametrize("failure", [truncated, truncated_unnoticed])
def test_a_broken_connection_is_resumed(failure, server, tmp_path):
    server.answers[PATH] = [failure, whole]
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")
    assert resumed_from(server) > 250_000


def test_a_partial_file_of_an_earlier_run_is_resumed(server, tmp_path):
    (tmp_path / "w.part").write_bytes(CONTENT[:12345])
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")
    assert ranges(server) == ["bytes=12345-"]


def test_a_complete_partial_file_needs_no_server(server, tmp_path):
    (tmp_path / "w.part").write_bytes(CONTENT)
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")
    assert ranges(server) == []


def test_a_server_that_ignores_ranges_sends_the_whole_file(server, tmp_path):
    (tmp_path / "w.part").write_bytes(CONTENT[:12345])
    server.answers[PATH] = [ignores_range]
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")


@pytest.mark.parametrize("rubbish", [b"rubbish" * 100, CONTENT + b"more", CONTENT[::-1]])
def test_a_partial_file_of_other_content_is_restarted(rubbish, server, tmp_path):
    (tmp_path / "w.part").write_bytes(rubbish)
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_temporary_failure_is_retried(status, server, tmp_path):
    server.answers[PATH] = [fails(status), whole]
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")


def test_a_permanent_failure_is_an_error(server, tmp_path):
    server.answers[PATH] = [fails(500)]
    with pytest.raises(DownloadFailed, match=r"in 3 attempts.*500"):
        get(server, tmp_path / "w")
    assert len(ranges(server)) == 3


def test_not_found_is_not_retried(server, tmp_path):
    server.answers[PATH] = [fails(404)]
    with pytest.raises(DownloadFailed, match="404"):
        get(server, tmp_path / "w")
    assert len(ranges(server)) == 1


@pytest.mark.parametrize("answer", [wrong, endless])
def test_other_content_is_never_saved_under_the_name(answer, server, tmp_path):
    server.answers[PATH] = [answer]
    with pytest.raises(DownloadFailed, match="that is not the expected one"):
        get(server, tmp_path / "w")
    assert list(tmp_path.iterdir()) == []


def test_a_login_page_is_never_saved_under_the_name(server, tmp_path):
    server.answers[PATH] = [page]
    with pytest.raises(DownloadFailed):
        get(server, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_a_silent_server_times_out(server, tmp_path):
    server.answers[PATH] = [hangs, whole]
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")
    assert resumed_from(server) > 50_000


def test_a_refused_connection_is_an_error(tmp_path):
    with pytest.raises(HostUnavailable, match=r"in 2 attempts.*no connection"):
        download("http://127.0.0.1:9/w", tmp_path / "w", EXPECTED, timeout=(1, 1), attempts=2, pause=0.01)


def test_a_missing_url_is_an_error(tmp_path):
    with pytest.raises(HostUnavailable, match="is not a web address"):
        download("htp//mirror/w", tmp_path / "w", EXPECTED)


def test_a_redirect_is_followed_and_keeps_range_and_agent(server, tmp_path):
    server.answers["/resolve"] = [lambda reply: reply.send(302, Location=server.url + PATH)]
    (tmp_path / "w.part").write_bytes(CONTENT[:5])
    download(server.url + "/resolve", tmp_path / "w", EXPECTED, headers={"User-Agent": "objascale-test"})
    assert arrived(tmp_path / "w")
    assert ranges(server) == ["bytes=5-", "bytes=5-"]
    assert {request.headers["User-Agent"] for request in server.requests} == {"objascale-test"}


@pytest.mark.parametrize("expected", [Expected(md5=MD5), Expected(size=len(CONTENT)), Expected()])
@pytest.mark.parametrize("answer", [whole, truncated])
def test_size_and_digest_are_optional(expected, answer, server, tmp_path):
    server.answers[PATH] = [answer, whole]
    get(server, tmp_path / "w", expected)
    assert arrived(tmp_path / "w")


def test_a_wrong_md5_is_an_error(server, tmp_path):
    with pytest.raises(DownloadFailed, match="its MD5 is not 0000") as failed:
        get(server, tmp_path / "w", Expected(md5="0" * 32))
    assert failed.value.reason == "wrong-content"
    assert list(tmp_path.iterdir()) == []


def test_a_server_may_omit_the_length(server, tmp_path):
    server.answers[PATH] = [without_length]
    get(server, tmp_path / "w", Expected())
    assert arrived(tmp_path / "w")


def test_a_complete_partial_file_of_unknown_size_is_used(server, tmp_path):
    (tmp_path / "w.part").write_bytes(CONTENT)
    get(server, tmp_path / "w", Expected())
    assert arrived(tmp_path / "w")
    assert ranges(server) == [f"bytes={len(CONTENT)}-"]


def test_a_partial_file_that_is_too_long_is_restarted(server, tmp_path):
    (tmp_path / "w.part").write_bytes(CONTENT + b"more")
    get(server, tmp_path / "w", Expected())
    assert arrived(tmp_path / "w")


def test_a_check_accepts_or_rejects_old_and_new_files(server, tmp_path):
    seen = []

    def starts_with_zero(path: Path) -> str:
        seen.append(path.name)
        return "" if path.read_bytes()[:1] == b"\0" else "it starts with something else"

    expected = Expected(check=starts_with_zero)
    (tmp_path / "w").write_bytes(b"old")
    get(server, tmp_path / "w", expected)
    assert arrived(tmp_path / "w")
    assert seen == ["w", "w.part"]
    server.answers[PATH] = [page]
    with pytest.raises(DownloadFailed, match="starts with something else"):
        get(server, tmp_path / "other", expected)


@pytest.mark.parametrize("answer", [whole, without_length])
def test_a_file_over_the_limit_is_refused(answer, server, tmp_path):
    server.answers[PATH] = [answer]
    seen: list[tuple[str, int, int]] = []
    with pytest.raises(DownloadFailed, match="more than 1000 bytes") as failed:
        get(server, tmp_path / "w", Expected(limit=1000), progress=lambda *step: seen.append(step))
    assert failed.value.reason == "too-large"
    assert (seen == []) == (answer is whole)  # an announced size over the limit is refused before any byte is read
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("asked", "waited"), [("7", 7), ("100000", 60), ("soon", 0.01)])
def test_retry_after_is_obeyed_up_to_a_limit(asked, waited, server, tmp_path, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    server.answers[PATH] = [fails(429, Retry_After=asked), whole]
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")
    assert pauses == [waited]


def test_a_file_that_another_process_finished_first_is_kept(server, tmp_path):
    def overtaken(reply):
        reply.send(200, CONTENT[:1000], claim=len(CONTENT))
        reply.wfile.flush()
        while not (part := tmp_path / "w.part").exists():
            time.sleep(0.01)
        part.unlink()
        (tmp_path / "w").write_bytes(CONTENT)
        reply.wfile.write(CONTENT[1000:])

    server.answers[PATH] = [overtaken, fails(500)]
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")


def test_processes_that_fetch_one_file_at_the_same_time_share_one_download(server, tmp_path):
    def slowly(reply):
        reply.send(200, CONTENT[:1000], claim=len(CONTENT))
        reply.wfile.flush()
        time.sleep(0.2)
        reply.wfile.write(CONTENT[1000:])

    server.answers[PATH] = [slowly]
    for round in range(3):
        target = tmp_path / str(round) / "w"
        results = dict(download_many([partial(get, server, target)] * 6, parallel=6))
        assert results == dict.fromkeys(range(6), target)
        assert arrived(target)
    assert ranges(server) == [None] * 3


def test_a_download_goes_on_when_the_process_before_it_fails(server, tmp_path):
    server.answers[PATH] = [truncated, fails(404), whole]
    results = dict(download_many([partial(get, server, tmp_path / "w")] * 2, parallel=2))
    assert sorted(isinstance(each, DownloadFailed) for each in results.values()) == [False, True]
    assert arrived(tmp_path / "w")
    assert ranges(server)[2].startswith("bytes=")


def test_a_lock_of_a_process_that_ended_is_free(server, tmp_path):
    (tmp_path / "w.lock").touch()
    get(server, tmp_path / "w")
    assert arrived(tmp_path / "w")


def test_one_failed_download_of_many_costs_one_file(server, tmp_path):
    server.answers["/bad"] = [fails(404)]
    paths = [PATH, "/bad", PATH, PATH]
    jobs = [partial(download, server.url + path, tmp_path / str(i), EXPECTED) for i, path in enumerate(paths)]
    results = dict(download_many(jobs, parallel=2))
    assert sorted(results) == [0, 1, 2, 3]
    assert isinstance(failure := results.pop(1), DownloadFailed)
    assert failure.reason == "http-404"
    assert results == {i: tmp_path / str(i) for i in (0, 2, 3)}


@pytest.mark.parametrize("fault", ["nobody listens", "always busy"])
def test_all_files_of_an_unreachable_host_fail_at_once(fault, server, tmp_path):
    tried: set[int] = set()
    server.answers[PATH] = [fails(429)]
    url = server.url + PATH if fault == "always busy" else "http://127.0.0.1:9/w"

    def job(number: int) -> Path:
        tried.add(number)
        return download(url, tmp_path / str(number), EXPECTED, timeout=(1, 1), attempts=2, pause=0.01)

    with pytest.raises(HostUnavailable):
        list(download_many([partial(job, number) for number in range(1000)], parallel=2))
    assert len(tried) < 20


def test_files_are_fetched_at_the_same_time(server, tmp_path):
    both = threading.Barrier(2, timeout=30)

    def together(reply):
        both.wait()
        reply.file()

    server.answers[PATH] = [together]
    jobs = [partial(download, server.url + PATH, tmp_path / name, EXPECTED) for name in "ab"]
    assert len(list(download_many(jobs, parallel=2))) == 2
