"""`objascale verify` accepts a rendered dataset and names any later damage."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from objascale.dataset import DatasetWriter, mask_columns, mask_of, read_annotations, read_journal, write_parquet
from objascale.depth import read_depth, write_depth
from objascale.files import file_sha256
from objascale.full_frame import FrameDifference, choose_records
from objascale.maps import write_exr
from objascale.verify import check_image, read_contents

FIRST = "images/000/000000.png"


def damages(folder: Path) -> list[str]:
    contents = read_contents(folder)
    found = [*contents.damages, *(damage for rows in contents.images for damage in check_image(folder, rows))]
    return [f"{damage.file}: {damage.message}" for damage in found]


def edit_rows(folder: Path, column: str, change, *, journal: bool = True, number: int = 0) -> None:
    """Change a column of a row in the annotations and in the journal, so that they still agree."""
    table = read_annotations(folder)
    new = change(table.at[number, column])
    image_id, object_id = int(table.at[number, "image_id"]), table.at[number, "object_id"]
    values = table[column].tolist()
    values[number] = new
    table[column] = values
    write_parquet(table, folder / "annotations.parquet")

    def note(record):
        for row in record["annotations"]:
            if row["object_id"] == object_id:
                row[column] = new

    if journal:
        edit_journal(folder, note, image_id)


def edit_journal(folder: Path, change, slot: int = 0) -> None:
    records = read_journal(folder)
    for record in records:
        if record["status"] == "done" and record["slot"] == slot:
            change(record)
    (folder / "journal.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_rendered_dataset_has_no_damage(made):
    assert damages(made.folder) == []
    assert all(record["spec"]["slot"] == record["slot"] for record in read_contents(made.folder).done)


def test_annotations_hold_the_hash_of_each_object_and_map(made):
    table = read_annotations(made.folder)
    assert set(table["asset_sha256"]) == {file_sha256(path) for path in made.objects.glob("*/*.obj")}
    assert set(table["map_sha256"]) == {file_sha256(made.hdris / "sunset.exr")}


def test_several_objects_of_a_picture_have_no_damage(by_hand):
    assert damages(by_hand) == []
    contents = read_contents(by_hand)
    assert [len(rows) for rows in contents.images] == [1, 3]
    assert [record["slot"] for record in contents.done] == [0, 1]


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
    edit_journal(folder, lambda record: record["spec"].update(azimuth=0.123))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (a_missing_file, "is missing"),
        (a_flipped_byte, "SHA-256"),
        (no_image, "not an image"),
        (another_size, "the image is"),
        (a_stray_file, "000099.png: no annotation"),
        (another_area, "the area of object 0 is"),
        (another_box, "the box of object 0 is"),
        (another_frame, "frame"),
        (damaged_counts, "the mask of object 0 is damaged"),
        (another_title, "disagree on title"),
        (a_missing_row, "annotations.parquet does not"),
        (a_missing_line, "the journal does not"),
        (a_line_twice, "a second line"),
        (another_spec, "spec and settings hash to"),
    ],
)
def test_each_damage_is_reported_with_its_file(copy, damage, words):
    damage(copy)
    found = damages(copy)
    assert any(words in line for line in found), found
    assert all(line.startswith(("images/000/000000.png: ", "images/000/000099.png: ")) for line in found), found


def an_overlap(folder):
    first = next(row for row in read_annotations(folder).to_dict("records") if row["object_id"] == 100)
    for column, value in mask_columns(mask_of(first)).items():
        edit_rows(folder, column, lambda _, value=value: value, number=2)


def another_seed_of_one_row(folder):
    edit_rows(folder, "seed", lambda seed: int(seed) + 1, number=2)


def the_same_object_twice(folder):
    edit_rows(folder, "object_id", lambda _: 100, number=2)


def an_object_of_another_image(folder):
    edit_rows(folder, "object_id", lambda _: 205, number=3)


def impossibly_visible(folder):
    edit_rows(folder, "visible", lambda _: 1.5, number=3)


def an_object_less(folder):
    write_parquet(read_annotations(folder).drop(index=2), folder / "annotations.parquet")


def a_spec_without_objects(folder):
    edit_journal(folder, lambda record: record["spec"].pop("objects"), 1)


def another_order_of_objects(folder):
    edit_journal(folder, lambda record: record["spec"]["objects"].reverse(), 1)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (an_overlap, "the masks of objects 100 and 101 share 402 px"),
        (another_seed_of_one_row, "its rows disagree on seed"),
        (the_same_object_twice, "two objects have the object_id 100"),
        (an_object_of_another_image, "object 205 does not belong to image 1"),
        (impossibly_visible, "the visible share of object 102 is 1.5"),
        (an_object_less, "the journal has object 101, annotations.parquet does not"),
        (a_spec_without_objects, "its spec in the journal is damaged"),
        (another_order_of_objects, "spec and settings hash to"),
    ],
)
def test_damage_among_several_objects_is_reported(hand_copy, damage, words):
    damage(hand_copy)
    found = damages(hand_copy)
    assert any(words in line for line in found), found
    assert all(line.startswith("images/000/000001.png: ") for line in found), found


def test_unreadable_tables_do_not_hide_other_damage(copy):
    a_flipped_byte(copy)
    (copy / "annotations.parquet").write_bytes(b"PAR1")
    found = damages(copy)
    assert len(found) == 2
    assert found[0].startswith("annotations.parquet: ")
    assert "SHA-256" in found[1]


def test_the_command_compares_full_frames(made, copy, run_objascale, monkeypatch):
    monkeypatch.setattr("objascale.full_frame._REFERENCE_SAMPLES", 64)  # a quarter of the time
    result = run_objascale(
        *("verify", made.folder, "--full-frame", 2, "--seed", 1, "--objects", made.objects, "--hdris", made.hdris)
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "5 images in" in result.stdout
    assert "no damage" in result.stdout
    shares = [float(share) for share in re.findall(r"(\d+\.\d+)%", result.stdout)]
    assert len(shares) == 2
    assert min(shares) >= 99.9

    # An image that was changed together with its annotation passes every other check.
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
    assert "damage in 1 file\n" in result.stdout
    assert "000000.png: rendered again, only" in result.stdout


def test_a_full_frame_with_a_changed_map_is_reported_and_not_compared(copy, tmp_path, run_objascale):
    plan = json.loads((copy / "plan.json").read_text())
    plan["maps"][0]["path"] = str(tmp_path / "sunset.exr")
    (copy / "plan.json").write_text(json.dumps(plan))
    write_exr(tmp_path / "sunset.exr", np.full((16, 32, 3), 0.5, np.float32))
    result = run_objascale("verify", copy, "--full-frame", 1)
    assert result.returncode == 1
    assert f"it cannot be rendered again: {tmp_path / 'sunset.exr'} is no longer the file" in result.stdout


def test_moved_maps_may_have_either_dynamic_range(copy, made, tmp_path, run_objascale):
    result = run_objascale("verify", copy, "--full-frame", 1, "--objects", made.objects, "--hdris", tmp_path)
    assert result.returncode == 1
    assert "expected files with a suffix of .exr .hdr .jpg .jpeg .png" in result.stderr.replace("\n", " ")
    assert "--ldr-maps" not in result.stderr  # an option of `render`


def test_a_comparison_reports_differences_over_the_limits():
    good = FrameDifference("a", 512, 10, True, 0, 1.0, 0.9995, 3, 1.0)
    assert good.damages() == []
    bad = FrameDifference("a", 512, 10, False, 2, 0.5, 0.5, 90, 1.0)
    assert len(bad.damages()) == 3


def test_common_errors_have_clear_messages(made, tmp_path, run_objascale):
    assert "is not an ObjaScale dataset" in run_objascale("verify", tmp_path).stderr
    (tmp_path / "others/crate").mkdir(parents=True)
    (tmp_path / "others/crate/old.obj").write_text("v 0 0 0\n")
    result = run_objascale("verify", made.folder, "--full-frame", 1, "--objects", tmp_path / "others")
    assert "not among the assets, or has changed" in result.stderr


DEPTH = "depth/000/000000.exr"


def a_missing_depth_map(folder):
    (folder / DEPTH).unlink()


def a_damaged_depth_map(folder):
    (folder / DEPTH).write_bytes((folder / DEPTH).read_bytes()[:-500])


def a_hole_in_the_depth_map(folder):
    depth = read_depth(folder / DEPTH)
    depth[np.argwhere(depth)[0][0], np.argwhere(depth)[0][1]] = 0
    write_depth(folder / DEPTH, depth)


def depth_of_another_place(folder):
    write_depth(folder / DEPTH, np.where((depth := read_depth(folder / DEPTH)) > 0, depth + 1, 0))


def depth_of_another_size(folder):
    write_depth(folder / DEPTH, read_depth(folder / DEPTH)[:-2])


def a_stray_depth_map(folder):
    shutil.copy(folder / DEPTH, folder / "depth/000/000099.exr")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (a_missing_depth_map, "No such file or directory"),
        (a_damaged_depth_map, "000000.exr is no depth map of objascale render, or is damaged"),
        (a_hole_in_the_depth_map, "the depth map and the masks disagree on 1 px"),
        (depth_of_another_place, "its SHA-256 is"),
        (depth_of_another_size, "the depth map is 256×254, its picture 256×256"),
        (a_stray_depth_map, "no annotation names this file"),
    ],
)
def test_each_damage_of_a_depth_map_is_one_sentence(crowded, tmp_path, damage, words):
    folder = Path(shutil.copytree(crowded, tmp_path / "copy"))
    assert damages(folder) == []
    damage(folder)
    (found,) = damages(folder)
    assert words in found
    assert found.startswith("depth/000/0000")


def test_wrong_poses_and_amodal_masks_are_reported(crowded, tmp_path):
    folder = Path(shutil.copytree(crowded, tmp_path / "copy"))
    table = read_annotations(folder)
    edit_rows(folder, "object_translation", lambda t: [float(t[0]) + 1, *map(float, t[1:])], number=0)
    edit_rows(folder, "object_rotation", lambda _: [1.0], number=1)
    edit_rows(folder, "amodal_counts", lambda _: table.at[3, "amodal_counts"], number=2)
    edit_rows(folder, "amodal_counts", lambda counts: counts[:-3], number=3)
    found = damages(folder)
    assert len(found) == 4
    for number, words in enumerate(
        (
            "lies outside of the projection",
            "the pose of object 1 is",
            "does not contain its mask",
            "amodal mask of object 3 is damaged",
        )
    ):
        assert words in found[number]
        assert f"object {number} " in found[number]


def test_a_dataset_that_an_earlier_version_began_has_no_damage(hand_copy):
    """The older rows have neither poses nor amodal masks."""

    def older(record):
        for row in record["annotations"]:
            for name in [name for name in row if name[:7] in ("camera_", "object_") and name != "object_id"]:
                del row[name]
            del row["amodal_counts"]

    edit_journal(hand_copy, older)
    DatasetWriter(hand_copy).write_annotations()
    assert damages(hand_copy) == []
