"""The data sheet has the counts, settings and credits of the dataset, and none of its text is markup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from objascale.dataset import read_annotations, write_parquet
from objascale.export.datasheet import write_datasheet


def sheet_of(folder: Path) -> str:
    write_datasheet(folder, "by-hand", folder / "DATASHEET.md")
    return (folder / "DATASHEET.md").read_text()


def test_it_answers_from_the_files_of_the_dataset(hand_copy: Path) -> None:
    sheet = sheet_of(hand_copy)
    table = read_annotations(hand_copy)
    assert sheet.startswith("# Data sheet of by-hand\n")
    assert "- 2 pictures of 4 objects" in sheet
    assert f"- {table['asset_id'].nunique()} different 3D objects of {table['category'].nunique()} categories" in sheet
    assert f"- {(table['visible'] < 1).sum()} objects of which the picture shows a part only" in sheet
    assert "| longer side of the picture, px | 96 | 123 | 150 |" in sheet
    assert "| wedge | 2 |" in sheet
    assert "| render.samples | 64 |" in sheet
    assert "1 scenes that were drawn could not be rendered" in sheet
    assert "| object | crate/old | An old crate | Ann | CC-BY-4.0 | https://example.org/c | 1 |" in sheet
    assert "| not stated | 1 |" in sheet
    for section in ("Motivation", "Composition", "Collection", "Labelling", "Uses", "Distribution", "Maintenance"):
        assert f"\n## {section}\n" in sheet
    assert sheet_of(hand_copy) == sheet


def test_strengths_and_shadows_are_those_of_the_pictures(hand_copy: Path) -> None:
    assert "cast no shadow" in sheet_of(hand_copy)
    table = read_annotations(hand_copy).assign(difficulty_noise=2.5, difficulty_context=3.0)
    write_parquet(table, hand_copy / "annotations.parquet")
    sheet = sheet_of(hand_copy)
    assert "| strength of noise | 2.5 | 2.5 | 2.5 |" in sheet
    assert "cast no shadow" not in sheet
    assert "strength of motion" not in sheet


def test_text_of_catalogues_is_no_markup(hand_copy: Path) -> None:
    header = json.loads((hand_copy / "dataset.json").read_text())
    header["credits"][0]["title"] = "a | b\n# <script>[x](y)"
    (hand_copy / "dataset.json").write_text(json.dumps(header))
    assert r"| a \| b # &lt;script&gt;\[x\](y) |" in sheet_of(hand_copy)


@pytest.mark.parametrize("missing", ["dataset.json", "annotations.parquet"])
def test_a_folder_that_is_no_dataset_is_refused(hand_copy: Path, run_objascale, missing: str) -> None:
    (hand_copy / missing).unlink()
    result = run_objascale("export", "datasheet", hand_copy)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert str(hand_copy) in result.stderr
    assert not (hand_copy / "DATASHEET.md").exists()


def test_the_command_writes_into_the_dataset_or_elsewhere(hand_copy: Path, tmp_path: Path, run_objascale) -> None:
    assert run_objascale("export", "datasheet", hand_copy, "--name", "mine").returncode == 0
    assert (hand_copy / "DATASHEET.md").read_text().startswith("# Data sheet of mine")
    assert run_objascale("export", "datasheet", hand_copy, "--out", tmp_path / "deep/sheet.md").returncode == 0
    assert (tmp_path / "deep/sheet.md").is_file()
