"""Rendered pictures with difficulty: the masks are those without, and the tables have the dials and the bands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objascale.dataset import mask_of, read_annotations
from objascale.datasets.formats import open_dataset
from objascale.difficulty.record import DIALS
from objascale.masks import RegionMask
from objascale.verify import check_image, read_contents


@pytest.fixture(scope="module")
def hard(made, run_objascale, tmp_path_factory) -> Path:
    """The first two specs of `made`, with difficulty: `hard` has the ranges of `full`."""
    folder = tmp_path_factory.mktemp("hard") / "set"
    result = run_objascale(
        *("render", "--source", "folder", "--objects", made.objects, "--hdris", made.hdris, "--out", folder),
        *("--n", 2, "--preset", "hard", "--min-px", 256, "--max-px", 256, "--max-fraction", 0.01),
        *(
            "--samples",
            4,
            "--no-denoise",
            "--seed",
            3,
            "--difficulty",
            "sharpness=4,motion=4..5,compression=3,distractors=0,occlusion=0",
        ),
        *("--workers", 1),
    )
    assert result.returncode == 0, result.stderr
    return folder


def test_difficulty_changes_pictures_and_no_mask(made, hard):
    easy, difficult = (read_annotations(folder).set_index("object_id") for folder in (made.folder, hard))
    assert len(difficult) == 2
    for name, row in difficult.iterrows():
        assert row["rle_counts"] == easy.loc[name, "rle_counts"]
        plain, changed = (
            Image.open(folder / table.loc[name, "file"]) for folder, table in ((made.folder, easy), (hard, difficult))
        )
        assert changed.format == "JPEG"
        assert np.abs(np.asarray(plain, int) - np.asarray(changed, int)).mean() > 2


def test_annotations_have_a_column_per_dial_and_the_band(made, hard):
    table = read_annotations(hard)
    columns = [f"difficulty_{name}" for name in DIALS]
    assert [name for name in table if name.startswith("difficulty")] == columns
    assert table[columns].dtypes.eq("float64").all()
    assert set(table["difficulty_sharpness"]) == {4.0}
    assert table["difficulty_motion"].between(4, 5).all()
    assert table["uncertain_counts"].str.len().gt(0).all()
    assert not {*columns, "uncertain_counts"} & {*read_annotations(made.folder)}


def test_rendering_a_picture_again_gives_the_same_bytes_and_verify_finds_no_damage(
    hard, made, run_objascale, monkeypatch
):
    monkeypatch.setattr("objascale.full_frame._REFERENCE_SAMPLES", 64)  # a quarter of the time
    result = run_objascale(
        *("verify", hard, "--full-frame", 1, "--objects", made.objects, "--hdris", made.hdris, "--device", "cpu")
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_verify_names_a_dial_that_is_not_the_specs_and_a_damaged_band(hard, tmp_path):
    folder = Path(shutil.copytree(hard, tmp_path / "copy"))
    journal = folder / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if line["status"] == "done":
            line["annotations"][0]["difficulty_noise"] = 5.5
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    messages = [damage.message for damage in read_contents(folder).damages]
    assert any("the dials of object 0 are" in message for message in messages)

    row = read_contents(hard).images[0][0]
    damages = check_image(hard, [row | {"uncertain_counts": "12"}])
    assert [damage.message for damage in damages if "the uncertain band of object 0 is damaged" in damage.message]


def test_the_reader_returns_the_band_of_each_object(hard):
    for sample in open_dataset(hard, None).ignoring_bands().samples:
        (truth,) = sample.objects()
        band = truth.ignored_mask()
        assert band is not None
        assert 0 < band.intersection(truth.mask()) < band.area


WHOLE = """
import numpy as np
from objascale.blender.placing import Placement
from objascale.masks import RegionMask

alone = np.ones((4, 6), bool)
alone[0, 5] = False
visible = RegionMask(5, 1, np.array([[True]]), 20, 10)
whole = Placement(None, (0, 1, 6, 5), 1.0, alone).whole(visible)
assert whole.area == 24 and whole.intersection(visible) == 1, whole
"""


def test_the_amodal_mask_includes_a_visible_pixel_that_the_trace_without_other_objects_missed():
    result = subprocess.run([sys.executable, "-c", WHOLE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


def test_the_occluder_hides_part_of_the_object_and_the_amodal_mask_is_whole(crowded):
    table = read_annotations(crowded)
    assert len(table) == 4
    occluder, target, *distractors = table.to_dict("records")
    assert {row["category"] for row in distractors} == {target["category"]}
    assert 0.1 < target["visible"] < 0.9
    assert occluder["visible"] == 1
    for row in table.to_dict("records"):
        mask = mask_of(row)
        whole = RegionMask.from_rle({"size": row["rle_size"], "counts": row["amodal_counts"]})
        assert mask.intersection(whole) == mask.area
        assert mask.area / whole.area == pytest.approx(row["visible"], abs=1e-6)
