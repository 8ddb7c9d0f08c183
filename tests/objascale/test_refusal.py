"""Reasons of refusals: the table in the documentation, and the messages in journals."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from objascale.dataset import DatasetError, DatasetWriter, read_journal
from objascale.datasets.stored import read_json
from objascale.engine import WorkerLost
from objascale.engine.messages import Refused
from objascale.files import is_lfs_pointer
from objascale.maps import EnvironmentMapError, check_map
from objascale.pictures import PictureError, decode
from objascale.records import CropRequest
from objascale.refusal import REASONS, Refusal, refuse_changed
from objascale.rendering import ask_twice
from objascale.settings import RenderSettings
from objascale.sources import Asset

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:9a947cae\nsize 6310044\n"


def test_the_documentation_lists_every_reason():
    text = (Path(__file__).parents[2] / "docs/formats.md").read_text()
    table = text.partition("| kind | reason | when |\n|---|---|---|\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|", table, re.MULTILINE)
    assert rows == list(REASONS.items())


def test_every_reason_is_one_short_sentence():
    for kind, reason in REASONS.items():
        assert re.fullmatch(r"[a-z0-9-]+", kind)
        assert len(reason) < 100
        assert "\n" not in reason
        assert reason[0].isupper() or reason.startswith("glTF")
        assert len(reason.split()) > 3
    assert len(set(REASONS.values())) == len(REASONS)


@pytest.mark.parametrize("suffix", [".glb", ".gltf", ".obj", ".stl", ".ply", ".fbx", ".usdz", ".exr", ".hdr"])
def test_git_lfs_pointers_are_recognised_for_every_suffix(suffix, tmp_path):
    path = tmp_path / f"thing{suffix}"
    path.write_text(POINTER)
    assert is_lfs_pointer(path)
    with pytest.raises(Refusal, match="git lfs pull") as found:
        refuse_changed(path, "0" * 64)
    assert found.value.kind == "git-lfs"
    path.write_text("version 2\n")
    assert not is_lfs_pointer(path)


def test_details_of_a_failure_are_in_a_log_that_the_message_names(tmp_path):
    dataset = DatasetWriter(tmp_path)
    plain = dataset.failure("truncated", "a.glb is cut short")
    assert plain == {
        "status": "failed",
        "kind": "truncated",
        "reason": REASONS["truncated"],
        "message": "a.glb is cut short",
    }
    assert not (tmp_path / "errors.log").exists()
    failure = dataset.failure(
        "error", "an unexpected error occurred while rendering b.glb", "Traceback …\nIndexError: 3"
    )
    assert failure["message"] == "an unexpected error occurred while rendering b.glb; errors.log has the details"
    dataset.failure("error", "c.glb", "KeyError: 4\n")
    log = (tmp_path / "errors.log").read_text()
    assert log.index("b.glb\nTraceback …\nIndexError: 3") < log.index("c.glb\nKeyError: 4")


def test_a_lost_worker_names_the_subject_and_its_last_output_is_a_detail():
    class Lost:
        def ask(self, request):
            raise WorkerLost("the worker died", output="Segmentation fault")

        def stop(self): ...

    request = CropRequest(Asset("a/b", "a", Path("b.glb"), "0" * 64), (), (), (), Path("out"), 64, RenderSettings())
    reply = ask_twice(Lost(), request)
    assert reply == Refused("worker-lost", "a/b: the worker died", "Segmentation fault")


def test_errors_name_git_lfs_pointers_wherever_a_file_is_opened(tmp_path):
    pointer = tmp_path / "file.json"
    pointer.write_text(POINTER)
    for opened in (
        lambda: read_json(pointer, "COCO"),
        lambda: decode(pointer.read_bytes()),
        lambda: check_map(pointer.rename(tmp_path / "sky.exr")),
    ):
        with pytest.raises((DatasetError, PictureError, EnvironmentMapError), match="run git lfs pull"):
            opened()


@pytest.mark.slow
def test_a_folder_of_faulty_objects_is_rendered_and_every_refusal_is_named(shared, tmp_path):
    command = [
        "render",
        "--objects",
        shared / "faults/models",
        "--out",
        tmp_path / "out",
        "--n",
        "64",
    ]  # each of eight categories has at most eight objects
    quick = ["--max-px", "512", "--samples", "4", "--min-fraction", "0.01", "--max-fraction", "0.05", "--seed", "1"]
    result = subprocess.run(
        [sys.executable, "-m", "objascale.cli", *map(str, command), *quick], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    failed = [record for record in read_journal(tmp_path / "out") if record["status"] == "failed"]
    for record in failed:
        assert record["reason"] == REASONS[record["kind"]]
        assert not re.search(r"unknown error|Traceback|Error\b|Exception|\n", record["message"]), record
    for reason, times in Counter(record["reason"] for record in failed).items():
        assert f"{times} × {reason}" in result.stderr
    assert any("git-lfs-pointer.glb" in record["message"] for record in failed)
