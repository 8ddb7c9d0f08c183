"""Repositories of the Hugging Face hub, with the loopback server in its place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from baselines import registry
from baselines.hf.hub import Repository
from baselines.segmenter import Options
from bench.weights import obtain_weights
from flip.weights import WeightsMissing
from objascale.download import DownloadFailed, HostUnavailable
from tests.conftest import Loopback, Reply

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = ("config.json", "processor_config.json", "model.safetensors")


class Hub:
    """A hub with one repository, `owner/tiny`, that has one commit.

    Attributes:
        server: The server.
        cache: Folder of the client's cache.
    """

    def __init__(self, server: Loopback, cache: Path) -> None:
        self.server, self.cache = server, cache

    def add(self, name: str, content: bytes, revision: str = "main") -> None:
        """Add a file of the repository."""
        digest = hashlib.sha256(content).hexdigest()

        def answer(reply: Reply) -> None:
            body = b"" if reply.command == "HEAD" else content
            if asked := reply.headers.get("Range"):
                body = content[int(asked.removeprefix("bytes=").split("-")[0]) :]
            length = {"claim": len(content)} if reply.command == "HEAD" else {}
            reply.send(200, body, **length, ETag=f'"{digest}"', X_Repo_Commit=COMMIT, Accept_Ranges="bytes")

        for at in (revision, COMMIT):
            self.server.answers[f"/owner/tiny/resolve/{at}/{name}"] = [answer]

    def refuse(self, status: int, code: str, name: str = "config.json", revision: str = "main") -> None:
        """Answer a request for a file with an error."""
        self.server.answers[f"/owner/tiny/resolve/{revision}/{name}"] = [
            lambda reply: reply.send(status, X_Error_Code=code)
        ]


@pytest.fixture
def hub(loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """An empty hub. What it does not have is EntryNotFound."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", loopback.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", loopback.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    handler = loopback.http.RequestHandlerClass
    monkeypatch.setattr(handler, "do_HEAD", handler.do_GET, raising=False)
    monkeypatch.setattr(
        Reply, "file", lambda reply: reply.send(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
    )
    return Hub(loopback, tmp_path / "hub")


@pytest.fixture
def tiny_hub(hub: Hub, tiny_hf: Callable[[str], Path]) -> Hub:
    """A hub with a tiny SAM 2."""
    for name in FILES:
        hub.add(name, (tiny_hf("sam2") / name).read_bytes())
    return hub


def test_a_repository_is_fetched_once_and_its_commit_is_in_the_card(tiny_hub: Hub) -> None:
    model = registry.find_model("hf:owner/tiny")
    calls: list[tuple[str, int, int]] = []
    with pytest.raises(WeightsMissing, match="hub has no owner/tiny; run `bench fetch hf:owner/tiny`"):
        registry.find_all_weights([model], None)
    files = registry.fetch_weights(model, Path("/unused"), lambda *call: calls.append(call))
    assert files == registry.find_all_weights([model], None)[model.name]
    assert ("model.safetensors", files[0].stat().st_size, files[0].stat().st_size) in calls
    asked = len(tiny_hub.server.requests)
    card = registry.load(model, files, Options("cpu")).describe()
    assert card.settings["revision"] == COMMIT
    assert card.weights_sha256 == hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert len(tiny_hub.server.requests) == asked


def test_a_run_fetches_the_repository_by_itself(tiny_hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    info = {
        "id": "owner/tiny",
        "sha": COMMIT,
        "siblings": [{"rfilename": "model.safetensors", "size": 2_000_000}],
    }
    tiny_hub.server.answers["/api/models/owner/tiny?blobs=true"] = [
        lambda reply: reply.send(200, json.dumps(info).encode(), Content_Type="application/json")
    ]
    found = obtain_weights([registry.find_model("hf:owner/tiny@crop")], None)
    assert [file.name for file in found.files["hf:owner/tiny@crop"] or ()] == ["model.safetensors"]
    assert (
        "fetching weights into the cache of the Hugging Face hub: hf:owner/tiny@crop (2.0 MB)"
        in capsys.readouterr().err
    )


def test_a_revision_is_another_entry(tiny_hub: Hub, tiny_hf: Callable[[str], Path]) -> None:
    for name in FILES:
        tiny_hub.add(name, (tiny_hf("sam2") / name).read_bytes(), "refs%2Fpr%2F1")
    place = Repository("owner/tiny", "refs/pr/1")
    assert place.fetch() == place.find("x")
    with pytest.raises(WeightsMissing, match="hub has no owner/tiny; "):
        Repository("owner/tiny").find("x")


def test_an_interrupted_download_is_continued(tiny_hub: Hub, tiny_hf: Callable[[str], Path]) -> None:
    content = (tiny_hf("sam2") / "model.safetensors").read_bytes()
    path = f"/owner/tiny/resolve/{COMMIT}/model.safetensors"
    (answer,) = tiny_hub.server.answers[path]
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    half = lambda reply: reply.send(200, content[:5000], len(content), ETag=tag, X_Repo_Commit=COMMIT)  # noqa: E731
    tiny_hub.server.answers[path] = [answer, half, answer]  # of a HEAD, then of two GETs
    (file,) = Repository("owner/tiny").fetch()
    assert file.read_bytes() == content


def test_a_snapshot_without_its_weights_is_missing(tiny_hub: Hub) -> None:
    (file,) = Repository("owner/tiny").fetch()
    file.unlink()
    with pytest.raises(WeightsMissing, match=r"has no weights"):
        Repository("owner/tiny").find("x")


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (403, "GatedRepo", "is gated; accept its licence at https://huggingface.co/owner/tiny, then set HF_TOKEN"),
        (401, "RepoNotFound", "the Hugging Face hub has no repository owner/tiny, or it is private; check the name"),
        (404, "RepoNotFound", "the Hugging Face hub has no repository owner/tiny"),
        (404, "RevisionNotFound", "has no revision v9; see https://huggingface.co/owner/tiny/commits"),
        (404, "EntryNotFound", r"has no config\.json, so transformers cannot load it"),
    ],
)
def test_a_refusal_of_the_hub_is_one_sentence(hub: Hub, status: int, code: str, sentence: str) -> None:
    hub.refuse(status, code, revision="v9")
    with pytest.raises((DownloadFailed, WeightsMissing), match=sentence) as caught:
        Repository("owner/tiny", "v9").fetch()
    assert "\n" not in str(caught.value)


def test_a_hub_that_cannot_be_reached_is_one_sentence(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        HostUnavailable, match=r"cannot be reached for owner/tiny; check the network.*hf:FOLDER"
    ) as caught:
        Repository("owner/tiny").fetch()
    assert "\n" not in str(caught.value)


def test_another_kind_of_model_is_refused_before_its_weights_are_fetched(hub: Hub) -> None:
    hub.add("config.json", b'{"model_type": "bert"}')
    hub.add("model.safetensors", b"large")
    with pytest.raises(WeightsMissing, match="is no promptable segmenter: its model_type is 'bert'"):
        Repository("owner/tiny").fetch()
    assert not any("model.safetensors" in path for path in hub.server.asked())


def test_a_repository_with_pickled_weights_alone_is_refused(tiny_hub: Hub) -> None:
    for at in ("main", COMMIT):
        del tiny_hub.server.answers[f"/owner/tiny/resolve/{at}/model.safetensors"]
    tiny_hub.add("pytorch_model.bin", b"pickle")
    with pytest.raises(
        WeightsMissing, match=r"has no model\.safetensors, and other weights are not loaded because they"
    ):
        Repository("owner/tiny").fetch()
    assert not any("pytorch_model.bin" in path for path in tiny_hub.server.asked())


@pytest.mark.parametrize("source", ["a b/c", "a/b/c", "a--b/c..d", "owner/"])
def test_a_name_that_the_hub_cannot_have_is_one_sentence(hub: Hub, source: str) -> None:
    for action in (lambda: Repository(source).find("x"), Repository(source).fetch):
        with pytest.raises(WeightsMissing, match=r"neither a folder nor a name OWNER/NAME on the Hugging Face hub$"):
            action()


def test_a_full_disk_is_one_sentence(tiny_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    with pytest.raises(
        DownloadFailed, match="cannot be fetched: No space left on device; set HF_HOME to a folder with"
    ):
        Repository("owner/tiny").fetch()


def test_the_offline_cache_needs_no_network(tiny_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    Repository("owner/tiny").fetch()
    asked = len(tiny_hub.server.requests)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert [file.name for file in Repository("owner/tiny").find("x")] == ["model.safetensors"]
    assert len(tiny_hub.server.requests) == asked
