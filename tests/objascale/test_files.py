"""Atomic writes: a file is complete or absent, also with several writers."""

from __future__ import annotations

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from objascale.export.output import new_file, new_folder
from objascale.files import unique_partial, write_atomically


def test_writers_with_one_process_id_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Threads share a process id, and processes on two hosts may have the same one."""
    path, contents = tmp_path / "shared.bin", [bytes([n]) * 200_000 for n in range(8)]
    start = threading.Barrier(len(contents))

    def write(content: bytes) -> None:
        start.wait()
        for _ in range(5):
            write_atomically(path, content)

    with ThreadPoolExecutor(len(contents)) as pool:
        list(pool.map(write, contents))
    assert path.read_bytes() in contents
    assert [each.name for each in tmp_path.iterdir()] == ["shared.bin"]


def test_a_partial_file_is_hidden_beside_its_file_and_has_a_unique_name() -> None:
    path = Path("images/000/7.png")
    names = {unique_partial(path) for _ in range(1000)}
    assert len(names) == 1000
    assert all(name.match("images/000/.*.part") for name in names)  # deleted by `objascale.dataset`


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "taken", b"data")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]


def test_a_file_has_the_permissions_of_a_new_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "ours", b"")
    (tmp_path / "plain").touch()
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_two_exports_of_one_name_use_different_partial_files(tmp_path: Path) -> None:
    with new_file(tmp_path / "out.json") as first, new_file(tmp_path / "out.json") as second:
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "out.json").read_text() == "first"  # the one that ended last
    with new_folder(tmp_path / "out") as first:
        (first / "part").touch()
        with new_folder(tmp_path / "other") as second:
            assert first != second
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other", "out", "out.json"]
