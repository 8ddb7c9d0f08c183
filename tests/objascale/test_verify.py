"""`objascale verify` passes what was rendered and names whatever was damaged since."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from objascale.dataset import read_annotations, read_journal, write_parquet
from objascale.files import file_sha256
from objascale.full_frame import Comparison, choose_records
from objascale.verify import check_image, read_contents

FIRST = "images/000/000000.png"


def damages(folder: Path) -> list[str]:
    contents = read_contents(folder)
    found = [*contents.damages, *(damage for row in contents.rows for damage in check_image(folder, row))]
    return [f"{damage.file}: {damage.message}" for damage in found]


def edit_rows(folder: Path, column: str, change, *, journal: bool = True) -> None:
    """Change a column of image 0 in the annotations, and in the journal so that they still agree."""
    table = read_annotations(folder)
    new = change(table.at[0, column])
    values = table[column].tolist()
    table[column] = [new, *values[1:]]
    write_parquet(table, folder / "annotations.parquet")
    if journal:
        edit_journal(folder, lambda record: record["annotation"].update({column: new}))


def edit_journal(folder: Path, change) -> None:
    records = read_journal(folder)
    for record in records:
        if record["slot"] == 0:
            change(record)
    (folder / "journal.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_rendered_dataset_has_no_damage(made):
    assert damages(made.folder) == []
    assert all(record["spec"]["slot"] == record["slot"] for record in read_contents(made.folder).done)


def a_missing_file(folder):
    (folder / FIRST).unlink()


def a_flipped_byte(folder):
    data = bytearray((folder / FIRST).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / FIRST).write_bytes(data)


def no_image(folder):
    (folder / FIRST).write_bytes(b"nothing")


def another_size(folder):
    cv2.imwrite(str(folder / FIRST), cv2.imread(str(folder / FIRST))[:-1])


def a_stray_file(folder):
    shutil.copy(folder / FIRST, folder / "images/000/000099.png")


def another_area(folder):
    edit_rows(folder, "area", lambda area: int(area) + 1)


def another_box(folder):
    edit_rows(folder, "box", lambda box: [int(v) + 1 for v in box])


def another_frame(folder):
    edit_rows(folder, "rle_size", lambda size: [int(size[0]) + 1, int(size[1])])


def damaged_counts(folder):
    edit_rows(folder, "rle_counts", lambda counts: counts[:-2])


def another_title(folder):
    edit_rows(folder, "title", lambda _: "mine", journal=False)


def a_missing_row(folder):
    write_parquet(read_annotations(folder).iloc[1:], folder / "annotations.parquet")


def a_missing_line(folder):
    lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    (folder / "journal.jsonl").write_text("".join(line for line in lines if '"slot": 0' not in line))


def a_line_twice(folder):
    lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    (folder / "journal.jsonl").write_text("".join(lines + [line for line in lines if FIRST in line]))


def another_spec(folder):
    edit_journal(folder, lambda record: record["spec"].update(yaw=0.5))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (a_missing_file, "is missing"),
        (a_flipped_byte, "SHA-256"),
        (no_image, "no image"),
        (another_size, "the image is"),
        (a_stray_file, "000099.png: no annotation"),
        (another_area, "area is"),
        (another_box, "box is"),
        (another_frame, "frame"),
        (damaged_counts, "mask is damaged"),
        (another_title, "disagree on title"),
        (a_missing_row, "annotations.parquet does not"),
        (a_missing_line, "the journal does not"),
        (a_line_twice, "2 lines"),
        (another_spec, "spec and settings hash to"),
    ],
)
def test_damage_is_named_with_its_file(copy, damage, words):
    damage(copy)
    found = damages(copy)
    assert any(words in line for line in found), found
    assert all(line.startswith(("images/000/000000.png: ", "images/000/000099.png: ")) for line in found), found


def test_unreadable_tables_do_not_hide_other_damage(copy):
    a_flipped_byte(copy)
    (copy / "annotations.parquet").write_bytes(b"PAR1")
    found = damages(copy)
    assert len(found) == 2
    assert found[0].startswith("annotations.parquet: ")
    assert "SHA-256" in found[1]


def test_the_command_and_full_frames(made, copy, run_objascale):
    result = run_objascale(
        *("verify", made.folder, "--full-frame", 2, "--seed", 1, "--objects", made.objects, "--hdris", made.hdris)
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "5 images in" in result.stdout
    assert "no damage" in result.stdout
    shares = [float(share) for share in re.findall(r"(\d+\.\d+)%", result.stdout)]
    assert len(shares) == 2
    assert min(shares) >= 99.9

    # A picture whose annotation was forged along with it passes every other check.
    spot = cv2.imread(str(copy / FIRST))
    spot[:40, :40] = 255
    cv2.imwrite(str(copy / FIRST), spot)
    digest = file_sha256(copy / FIRST)
    edit_rows(copy, "image_sha256", lambda _: digest)
    assert run_objascale("verify", copy).returncode == 0
    done = [record for record in read_journal(copy) if record["status"] == "done"]
    seed = next(seed for seed in range(99) if choose_records(done, 1, 512, np.random.default_rng(seed))[0]["slot"] == 0)
    result = run_objascale(
        *("verify", copy, "--full-frame", 1, "--seed", seed, "--objects", made.objects, "--hdris", made.hdris)
    )
    assert result.returncode == 1
    assert "damage in 1 of the files" in result.stdout
    assert "000000.png: rendered again, only" in result.stdout


def test_a_comparison_names_what_is_worse_than_promised():
    good = Comparison("a", 512, 10, True, 0, 1.0, 0.9995, 3, 1.0)
    assert good.damages() == []
    bad = Comparison("a", 512, 10, False, 2, 0.5, 0.5, 90, 1.0)
    assert len(bad.damages()) == 3


def test_commonest_errors(made, copy, tmp_path, run_objascale):
    assert "is no ObjaScale dataset" in run_objascale("verify", tmp_path).stderr
    result = run_objascale("verify", made.folder, "--full-frame", 1)
    assert result.returncode == 1
    assert "--objects" in result.stderr
    (tmp_path / "others/crate").mkdir(parents=True)
    (tmp_path / "others/crate/old.obj").write_text("v 0 0 0\n")
    result = run_objascale("verify", made.folder, "--full-frame", 1, "--objects", tmp_path / "others")
    assert "not among the assets, or has changed" in result.stderr
    edit_journal(copy, lambda record: record.pop("spec"))
    result = run_objascale("verify", copy, "--full-frame", 1, "--objects", made.objects, "--hdris", made.hdris)
    assert "before specs were kept" in result.stderr
