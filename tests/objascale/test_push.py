"""Upload to the Hugging Face hub, with a loopback server in its place that speaks the hub's own endpoints."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from objascale.dataset import DatasetError, read_annotations
from objascale.export import hub
from tests.conftest import Loopback, Reply

# huggingface_hub calls its HTTP library in a deprecated way.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

API, COMMIT = "/api/datasets/me/set", "0123456789abcdef0123456789abcdef01234567"
CHUNK = 4000  # bytes of a part, so that the Parquet file has several


class Hub:
    """A hub with one empty data set, me/set.

    Attributes:
        files: Committed files by path.
        stored: Uploaded large files by SHA-256.
        parts: Paths of the uploaded parts.
    """

    def __init__(self, server: Loopback) -> None:
        self.server = server
        self.files: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        server.answers[API] = [self._json({"id": "me/set", "sha": COMMIT})]
        server.answers["/api/validate-yaml"] = [self._json({"errors": [], "warnings": []})]
        server.answers[f"{API}/preupload/main"] = [self._modes]
        server.answers["/datasets/me/set.git/info/lfs/objects/batch"] = [self._batch]
        server.answers[f"{API}/commit/main"] = [self._commit]

    def _json(self, content: Any) -> Callable[[Reply], None]:
        return lambda reply: (body(reply), reply.send(200, json.dumps(content).encode()))[1]

    def _modes(self, reply: Reply) -> None:
        files = json.loads(body(reply))["files"]
        modes = [
            {
                "path": f["path"],
                "uploadMode": "lfs" if f["path"].endswith("parquet") else "regular",
                "shouldIgnore": False,
            }
            for f in files
        ]
        reply.send(200, json.dumps({"files": modes}).encode())

    def _batch(self, reply: Reply) -> None:
        objects = [self._upload(each["oid"], each["size"]) for each in json.loads(body(reply))["objects"]]
        reply.send(200, json.dumps({"transfer": "multipart", "objects": objects}).encode())

    def _upload(self, oid: str, size: int) -> dict[str, Any]:
        known = {"oid": oid, "size": size}
        if oid in self.stored:
            return known
        numbers = range(1, -(-size // CHUNK) + 1)
        parts = {f"{number:05d}": f"{self.server.url}/part/{oid}/{number:05d}" for number in numbers}
        for number in numbers:
            self.server.answers.setdefault(f"/part/{oid}/{number:05d}", [self._part])
        self.server.answers[f"/complete/{oid}"] = [self._complete]
        header = {"chunk_size": str(CHUNK), **parts}
        return known | {"actions": {"upload": {"href": f"{self.server.url}/complete/{oid}", "header": header}}}

    def _part(self, reply: Reply) -> None:
        self.parts[reply.path] = body(reply)
        reply.send(200, ETag=f'"{len(self.parts)}"')

    def _complete(self, reply: Reply) -> None:
        body(reply)
        oid = reply.path.rsplit("/", 1)[1]
        whole = b"".join(self.parts[path] for path in sorted(self.parts) if f"/{oid}/" in path)
        assert hashlib.sha256(whole).hexdigest() == oid
        self.stored[oid] = whole
        reply.send(200, b"{}")

    def _commit(self, reply: Reply) -> None:
        for line in map(json.loads, body(reply).splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "lfsFile":
                self.files[value["path"]] = self.stored[value["oid"]]
        url = f"https://huggingface.co/datasets/me/set/commit/{COMMIT}"
        reply.send(200, json.dumps({"commitUrl": url, "commitOid": COMMIT}).encode())


def body(reply: Reply) -> bytes:
    """Return the content of a request, of a known length or in chunks."""
    if reply.headers.get("Transfer-Encoding") != "chunked":
        return reply.rfile.read(int(reply.headers.get("Content-Length", 0)))
    content = b""
    while size := int(reply.rfile.readline(), 16):
        content += reply.rfile.read(size)
        reply.rfile.readline()
    reply.rfile.readline()
    return content


@pytest.fixture
def loopback_hub(loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", loopback.url)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    handler = loopback.http.RequestHandlerClass
    for method in ("do_POST", "do_PUT"):
        monkeypatch.setattr(handler, method, handler.do_GET, raising=False)
    return Hub(loopback)


def test_the_hub_has_what_the_folder_has(loopback_hub: Hub, by_hand: Path, tmp_path: Path, run_objascale) -> None:
    result = run_objascale("export", "huggingface", by_hand, "--out", tmp_path / "hf", "--push", "me/set")
    assert result.returncode == 0, result.stderr
    assert f"uploaded: https://huggingface.co/datasets/me/set/commit/{COMMIT}" in result.stdout
    local = {str(path.relative_to(tmp_path / "hf")): path.read_bytes() for path in (tmp_path / "hf").rglob("*.*")}
    assert loopback_hub.files == local
    assert {"README.md", "DATASHEET.md", "credits.csv", "data/test-00000-of-00001.parquet"} == set(local)
    assert len(loopback_hub.parts) > 1
    tokens = {request.headers["authorization"] for request in loopback_hub.server.requests if API in request.path}
    assert tokens == {"Bearer hf_of_a_test"}


def test_an_interrupted_upload_is_continued_without_the_parts_that_are_there(
    loopback_hub: Hub, by_hand: Path, run_objascale
) -> None:
    commit = loopback_hub.server.answers[f"{API}/commit/main"]
    loopback_hub.server.answers[f"{API}/commit/main"] = [lambda reply: (body(reply), reply.send(400))[1], *commit]
    first = run_objascale("export", "huggingface", by_hand, "--push", "me/set")
    assert first.returncode == 1
    assert first.stderr.endswith("run the same command again\n")
    sent = loopback_hub.server.asked().count
    before = {path: sent(path) for path in loopback_hub.parts}
    assert run_objascale("export", "huggingface", by_hand, "--push", "me/set").returncode == 0
    assert {path: sent(path) for path in loopback_hub.parts} == before  # equal datasets give equal bytes
    assert not Path("huggingface").exists()


def refused(run_objascale: Callable, folder: Path, tmp_path: Path, repository: str = "me/set") -> str:
    """Return the one sentence of a push that is refused before anything is exported."""
    result = run_objascale("export", "huggingface", folder, "--out", tmp_path / "hf", "--push", repository)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "hf").exists()
    return result.stderr


def test_without_a_token_the_sentence_says_how_to_get_one(
    loopback_hub: Hub, by_hand: Path, tmp_path: Path, run_objascale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert "needs an access token with write permission: set HF_TOKEN" in refused(run_objascale, by_hand, tmp_path)


def test_a_repository_that_is_not_there_is_named(
    loopback_hub: Hub, by_hand: Path, tmp_path: Path, run_objascale
) -> None:
    loopback_hub.server.answers[API] = [lambda reply: reply.send(404, X_Error_Code="RepoNotFound")]
    assert "the Hugging Face hub has no data set me/set that your access token may see" in refused(
        run_objascale, by_hand, tmp_path
    )


def test_a_name_that_is_none_is_refused(loopback_hub: Hub, by_hand: Path, tmp_path: Path, run_objascale) -> None:
    assert "give the name of a data set on the hub, OWNER/NAME" in refused(run_objascale, by_hand, tmp_path, "a/b/c")


def test_a_hub_that_cannot_be_reached_is_a_sentence(
    loopback_hub: Hub, by_hand: Path, tmp_path: Path, run_objascale, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    assert "hub cannot be reached for me/set" in refused(run_objascale, by_hand, tmp_path)


def test_a_token_that_may_not_write_is_a_sentence(loopback_hub: Hub, tmp_path: Path) -> None:
    loopback_hub.server.answers[f"{API}/preupload/main"] = [lambda reply: (body(reply), reply.send(403))[1]]
    (tmp_path / "file.txt").write_text("text")
    with pytest.raises(DatasetError, match="your access token may not write to me/set"):
        hub.push(tmp_path, "me/set")


def test_without_the_library_the_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(DatasetError, match=r"needs huggingface_hub: pip install 'objascale-suite\[hf\]'"):
        hub.check_repository("me/set")


def test_pictures_of_the_hub_have_their_difficulty(write_pictures, tmp_path: Path) -> None:
    from objascale.dataset import write_parquet
    from objascale.difficulty.record import DIALS
    from objascale.export.huggingface import write_huggingface

    folder = write_pictures(tmp_path / "set")
    table = read_annotations(folder)
    write_parquet(
        table.assign(**{f"difficulty_{dial}": table["image_id"] + 0.5 for dial in DIALS}),
        folder / "annotations.parquet",
    )
    (path,) = write_huggingface(folder, tmp_path / "hub", 10**6)
    assert [row["noise"] for row in pq.read_table(path)["difficulty"].to_pylist()] == [0.5, 1.5]
