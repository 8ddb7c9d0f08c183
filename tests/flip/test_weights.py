from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from flip.weights import (
    WEIGHTS,
    WeightsFile,
    WeightsMissing,
    WeightsRecord,
    fetch,
    find_files,
    find_weights,
    search_path,
)
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
    for folder in search_path(tmp_path / "given"):
        folder.mkdir(parents=True)


def test_folders_are_searched_in_order(tmp_path: Path) -> None:
    given, environment, cache = search_path(tmp_path / "given")
    assert cache == tmp_path / "cache" / "objascale" / "weights"
    (cache / "flip-tiny.safetensors").touch()
    assert find_weights("flip-tiny", given) == cache / "flip-tiny.safetensors"
    (environment / "flip-tiny.onnx").touch()
    assert find_weights("flip-tiny", given) == environment / "flip-tiny.onnx"
    (given / "flip-tiny.onnx").touch()
    assert find_weights("flip-tiny", given) == given / "flip-tiny.onnx"
    (given / "flip-tiny.safetensors").touch()
    assert find_weights("flip-tiny", given) == given / "flip-tiny.safetensors"


def test_missing_weights_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing) as caught:
        find_weights("flip-tiny", tmp_path / "given")
    message = str(caught.value)
    assert "bench fetch flip-tiny" in message
    assert "flip-tiny.onnx or flip-tiny.safetensors" in message
    assert str(tmp_path / "given") in message


def test_unknown_model_has_a_suggestion() -> None:
    with pytest.raises(WeightsMissing, match="did you mean flip-tiny"):
        find_weights("flip_tiny")
    with pytest.raises(WeightsMissing, match="known are flip-tiny"):
        find_weights("sam")


def test_several_files_count_only_together(tmp_path: Path) -> None:
    given, environment, _ = search_path(tmp_path / "given")
    (given / "a.bin").touch()
    with pytest.raises(WeightsMissing, match=r"a\.bin and b\.bin .*get them from example\.org/pair"):
        find_files(PAIR, given)
    (environment / "a.bin").touch()
    (environment / "b.bin").touch()
    assert find_files(PAIR, given) == (environment / "a.bin", environment / "b.bin")


def test_files_without_an_address_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"example\.org/pair"):
        fetch(PAIR, tmp_path)


def test_the_record_is_of_the_file_the_authors_published(weights: Path) -> None:
    (file,) = WEIGHTS["flip-tiny"].files
    published = weights / "flip-tiny.onnx"
    assert (published.stat().st_size, file_sha256(published)) == (file.bytes, file.sha256)


def test_files_are_fetched_and_checked(loopback, tmp_path: Path) -> None:
    content = bytes(range(256)) * 100
    loopback.files["/w"] = content
    digest = hashlib.sha256(content).hexdigest()
    files = tuple(WeightsFile(name, f"{loopback.url}/w", digest, len(content)) for name in ("a", "b"))
    seen: list[int] = []
    paths = fetch(
        WeightsRecord("two", files, "MIT", "here"), tmp_path / "two", progress=lambda done, _: seen.append(done)
    )
    assert paths == (tmp_path / "two" / "a", tmp_path / "two" / "b")
    assert [path.read_bytes() for path in paths] == [content, content]
    assert max(seen) == len(content)
