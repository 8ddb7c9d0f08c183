from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import flip
from baselines.flip import FlipSegmenter
from flip.weights import (
    WEIGHTS,
    WeightsChanged,
    WeightsFile,
    WeightsMissing,
    WeightsRecord,
    check,
    fetch,
    find_files,
    find_weights,
    search_path,
    sha256,
)
from objascale.download import DownloadFailed
from objascale.files import file_sha256

PAIR = WeightsRecord(
    name="pair",
    files=(WeightsFile("a.bin", None, "0" * 64, 1), WeightsFile("b.bin", None, "0" * 64, 1)),
    licence="MIT",
    source="example.org/pair",
)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OBJASCALE_WEIGHTS", str(tmp_path / "environment"))
    for folder in search_path(tmp_path / "given")[:3]:
        folder.mkdir(parents=True)


def test_folders_are_searched_in_order(tmp_path: Path) -> None:
    given, environment, cache, shipped = search_path(tmp_path / "given")
    assert cache == tmp_path / "cache" / "objascale" / "weights"
    assert shipped == Path(flip.__file__).parent / "shipped"
    (cache / "flip-tiny.safetensors").touch()
    assert find_weights("flip-tiny", given) == cache / "flip-tiny.safetensors"
    (environment / "flip-tiny.ckpt").touch()
    assert find_weights("flip-tiny", given) == environment / "flip-tiny.ckpt"
    (given / "flip-tiny.ckpt").touch()
    assert find_weights("flip-tiny", given) == given / "flip-tiny.ckpt"
    (given / "flip-tiny.safetensors").touch()
    assert find_weights("flip-tiny", given) == given / "flip-tiny.safetensors"


def test_the_error_of_missing_weights_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing) as caught:
        find_weights("flip-tiny", tmp_path / "given")
    message = str(caught.value)
    assert "bench fetch flip-tiny" in message
    assert "flip-tiny.onnx or flip-tiny.safetensors" in message
    assert str(tmp_path / "given") in message


def test_every_set_of_files_is_accepted(tmp_path: Path) -> None:
    given, _, cache, _ = search_path(tmp_path / "given")
    (cache / "flip-encoder-small.onnx").touch()
    with pytest.raises(WeightsMissing, match=r"found no flip-small\.ckpt or flip-small\.safetensors"):
        find_weights("flip-small", given)
    (cache / "flip-predictor-small.onnx").touch()
    assert find_weights("flip-small", given) == cache / "flip-encoder-small.onnx"
    (cache / "flip-small.ckpt").touch()
    assert find_weights("flip-small", given) == cache / "flip-small.ckpt"


def test_a_changed_file_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first", b"something else"):
        path.write_bytes(content)
        assert sha256(path) == hashlib.sha256(content).hexdigest()


def test_a_published_file_is_hashed_once(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry, the model and the run share one hash computation."""
    copy = Path(shutil.copy(shared / "assets" / "weights" / "flip-tiny.onnx", tmp_path))
    hashed = []
    monkeypatch.setattr("flip.weights.file_sha256", lambda path: hashed.append(path) or file_sha256(path))
    check(WEIGHTS["flip-tiny"], (copy,))
    card = FlipSegmenter("flip-tiny", find_weights("flip-tiny", tmp_path)).describe()
    assert card.weights_sha256 == WEIGHTS["flip-tiny"].files[0].sha256
    assert hashed == [copy]


def test_unknown_model_has_a_suggestion() -> None:
    with pytest.raises(WeightsMissing, match="did you mean flip-tiny"):
        find_weights("flip_tiny")
    with pytest.raises(WeightsMissing, match="known are flip-tiny"):
        find_weights("sam")


def test_an_incomplete_set_of_files_is_not_used(tmp_path: Path) -> None:
    given, environment, *_ = search_path(tmp_path / "given")
    (given / "a.bin").touch()
    with pytest.raises(WeightsMissing, match=r"a\.bin and b\.bin .*get them from example\.org/pair"):
        find_files(PAIR, given)
    (environment / "a.bin").touch()
    (environment / "b.bin").touch()
    assert find_files(PAIR, given) == (environment / "a.bin", environment / "b.bin")


def test_files_without_a_url_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"example\.org/pair"):
        fetch(PAIR, tmp_path)


def test_the_record_has_the_hash_of_the_published_file(weights: Path) -> None:
    (file,) = WEIGHTS["flip-tiny"].files
    assert file.sha256 is not None
    published = weights / "flip-tiny.onnx"
    assert (published.stat().st_size, file_sha256(published)) == (file.bytes, file.sha256)


def test_files_are_fetched_and_checked(loopback, tmp_path: Path) -> None:
    content = bytes(range(256)) * 100
    loopback.files["/w"] = content
    digest = hashlib.sha256(content).hexdigest()
    files = tuple(WeightsFile(name, f"{loopback.url}/w", digest, len(content)) for name in ("a", "b"))
    seen: list[int] = []
    paths = fetch(
        WeightsRecord("two", files, "MIT", "here"), tmp_path / "two", progress=lambda _, done, total: seen.append(done)
    )
    assert paths == (tmp_path / "two" / "a", tmp_path / "two" / "b")
    assert [path.read_bytes() for path in paths] == [content, content]
    assert max(seen) == len(content)


FIRST, SECOND = b"PK\x03\x04 first", b"PK\x03\x04 second"


def unhashed(url: str, *alternatives: tuple[WeightsFile, ...]) -> WeightsRecord:
    return WeightsRecord("new", (WeightsFile("new.ckpt", f"{url}/s/new/download"),), "MIT", "here", alternatives)


def test_without_a_published_hash_the_first_download_pins_it(loopback, tmp_path: Path) -> None:
    record = unhashed(loopback.url)
    loopback.files["/s/new/download"] = FIRST
    (path,) = fetch(record, tmp_path)
    note = json.loads((tmp_path / "new.ckpt.json").read_text())
    assert note == {
        "url": f"{loopback.url}/s/new/download",
        "sha256": hashlib.sha256(FIRST).hexdigest(),
        "bytes": len(FIRST),
    }
    loopback.files["/s/new/download"] = SECOND
    assert fetch(record, tmp_path) == (path,)
    assert path.read_bytes() == FIRST
    assert len(loopback.requests) == 1
    check(record, (path,))


def test_a_changed_file_is_refused_on_disk_and_from_the_publisher(loopback, tmp_path: Path) -> None:
    record = unhashed(loopback.url)
    loopback.files["/s/new/download"] = FIRST
    (path,) = fetch(record, tmp_path)
    path.write_bytes(SECOND)
    for attempt in (lambda: check(record, (path,)), lambda: fetch(record, tmp_path)):
        with pytest.raises(WeightsChanged, match=r"new\.ckpt is not the file .*first.* and new\.ckpt\.json too if"):
            attempt()
    path.unlink()
    loopback.files["/s/new/download"] = SECOND
    with pytest.raises(
        WeightsChanged, match=r"s/new/download sent a file that is not the expected one.*delete .*new\.ckpt\.json"
    ):
        fetch(record, tmp_path)
    assert not path.exists()
    (tmp_path / "new.ckpt.json").unlink()
    assert fetch(record, tmp_path)[0].read_bytes() == SECOND


def test_an_error_names_a_damaged_hash_file(loopback, tmp_path: Path) -> None:
    record = unhashed(loopback.url)
    (tmp_path / "new.ckpt").write_bytes(FIRST)
    for note in (b"", b"[1]", b"{}", b"\xff"):
        (tmp_path / "new.ckpt.json").write_bytes(note)
        with pytest.raises(WeightsChanged, match=r"new\.ckpt\.json is damaged; delete it"):
            fetch(record, tmp_path)
    assert not loopback.requests


def test_an_error_page_is_not_accepted_as_a_file(loopback, tmp_path: Path) -> None:
    loopback.files["/s/new/download"] = b"<!DOCTYPE html><p>This share has expired.</p>"
    with pytest.raises(DownloadFailed, match=r"does not begin as a \.ckpt file"):
        fetch(unhashed(loopback.url), tmp_path)
    assert list(tmp_path.glob("new*")) == []


def test_alternatives_are_fetched_if_the_first_files_fail(loopback, tmp_path: Path) -> None:
    pair = tuple(WeightsFile(f"{half}.onnx", f"{loopback.url}/{half}") for half in ("encoder", "predictor"))
    record = unhashed(loopback.url, pair)
    loopback.files |= {"/encoder": b"\x08 one", "/predictor": b"\x08 two"}
    assert fetch(record, tmp_path) == (tmp_path / "encoder.onnx", tmp_path / "predictor.onnx")
    assert {path.name for path in tmp_path.glob("*.json")} == {"encoder.onnx.json", "predictor.onnx.json"}
    assert find_files(record, tmp_path) == (tmp_path / "encoder.onnx", tmp_path / "predictor.onnx")
    del loopback.files["/predictor"]
    with pytest.raises(DownloadFailed, match=r"s/new/download: .*404.*; .*/predictor: .*404"):
        fetch(record, tmp_path / "empty")


def test_the_records_have_the_authors_urls() -> None:
    released = ["flip-tiny", "flip-small", "flip-middle", "flip-large"]
    assert list(WEIGHTS) == [*released, "flip-s", "flip-m", "flip-l"]
    shares = ("YPdFxPHsTGEkNwz", "Zj3xDBXrZcSMtoy", "Cx4kTMbRrD5DCmt", "57NXrqrxmzjxzoX")
    for record, share in zip(map(WEIGHTS.get, released), shares, strict=True):
        assert record is not None
        urls = [[file.url for file in form] for form in (record.files, *record.alternatives)]
        size = record.name.removeprefix("flip-")
        assert urls[-2:] == [
            [f"https://nc.mlcloud.uni-tuebingen.de/index.php/s/{share}/download"],
            [f"https://manuel-traub.de/onnx/flip-{half}-{size}.onnx" for half in ("encoder", "predictor")],
        ]


def test_published_first_digits_are_checked_and_the_full_hash_is_pinned(loopback, tmp_path: Path) -> None:
    digest = hashlib.sha256(FIRST).hexdigest()
    url = f"{loopback.url}/hub.pth"
    loopback.files["/hub.pth"] = FIRST
    record = WeightsRecord("hub", (WeightsFile("hub.pth", url, sha256_start=digest[:6]),), "MIT", "here")
    (path,) = fetch(record, tmp_path)
    assert json.loads((tmp_path / "hub.pth.json").read_text())["sha256"] == digest
    check(record, (path,))

    path.with_name("hub.pth.json").unlink()
    check(record, (path,))
    path.write_bytes(SECOND)
    with pytest.raises(WeightsChanged, match=r"hub\.pth is not the published file"):
        check(record, (path,))
    path.unlink()
    loopback.files["/hub.pth"] = SECOND
    with pytest.raises(DownloadFailed, match=f"its SHA-256 does not begin with {digest[:6]}"):
        fetch(record, tmp_path)
    assert not path.exists()


def test_the_git_id_of_a_file_is_checked(tmp_path: Path, loopback) -> None:
    loopback.files["/m.bin"] = b"what is up, doc?"
    url, blob = f"{loopback.url}/m.bin", "bd9dbf5aae1a3862dd1526723246b20206e5fc37"  # the example of the book Pro Git
    record = WeightsRecord("git", (WeightsFile("m.bin", url, git_blob=blob),), "MIT", "here")
    (path,) = fetch(record, tmp_path)
    check(record, (path,))
    path.with_name("m.bin.json").unlink()
    check(record, (path,))
    path.write_bytes(b"what is up, dog?")
    with pytest.raises(WeightsChanged, match=r"m\.bin is not the published file"):
        check(record, (path,))
    path.unlink()
    loopback.files["/m.bin"] = b"what is up, dog?"
    with pytest.raises(DownloadFailed, match=f"Git's id of it is not {blob}"):
        fetch(record, tmp_path)
    assert not path.exists()
