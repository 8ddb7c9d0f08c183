"""Crops: objects rendered alone with transparency, exclusions, and resuming."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objascale.commands.options import AssetOptions
from objascale.commands.planning import choose_assets
from objascale.compose import cut_out
from objascale.crops import CROPS_HEADER, Cropping, CropSettings, draw_views, read_crops
from objascale.dataset import DatasetError, DatasetWriter
from objascale.engine.local import LocalWorker, local_engine
from objascale.files import file_sha256
from objascale.maps import write_exr
from objascale.settings import RenderSettings
from objascale.sources import Asset, SourceError
from objascale.sources import folder as folder_source
from objascale.sources.licences import licence_word, under_licences

Command = Callable[..., subprocess.CompletedProcess[str]]
MAPS = [Asset(name, "", Path(name), "0") for name in "abc"]


def quick(made, out: Path, *more: object) -> list[object]:
    small = ("--views", 3, "--px", 64, "--samples", 4, "--no-denoise", "--workers", 1, "--seed", 5)
    return ["crops", "--objects", made.objects, "--hdris", made.hdris, "--out", out, *small, *more]


@pytest.fixture(scope="module")
def cropped(made, run_objascale, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cropped") / "crops"
    result = run_objascale(*quick(made, folder))
    assert result.returncode == 0, result.stderr
    assert "6 crops of 2 objects" in result.stdout
    return folder


def test_each_object_fills_its_crops(made, cropped: Path):
    table = read_crops(cropped)
    assert list(table["asset_id"]) == ["crate/old"] * 3 + ["wedge/stop"] * 3
    assert set(table["author"]) == {"Ann", "Bob"}
    assert set(table["licence"]) == {"CC-BY-4.0", "CC0-1.0"}
    assert set(table["hdri_id"]) == {"sunset"}
    assert set(table["asset_sha256"]) == {file_sha256(path) for path in made.objects.glob("*/*.obj")}
    assert set(table["map_sha256"]) == {file_sha256(made.hdris / "sunset.exr")}
    for row in table.itertuples():
        picture = cv2.imread(str(cropped / row.file), cv2.IMREAD_UNCHANGED)
        assert picture.shape == (row.height, row.width, 4)
        alpha = picture[..., 3]
        assert alpha[0].any()
        assert alpha[-1].any()
        assert alpha[:, 0].any()
        assert alpha[:, -1].any()
        assert np.count_nonzero(alpha >= 128) == row.opaque
        rows, columns = np.nonzero(alpha >= 128)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(0.9 * 64, abs=2.5)
        assert picture[..., :3][alpha == 0].min(initial=255) > 0, "black where nothing is would darken edges"
    header = json.loads((cropped / "crops.json").read_text())
    assert header["fingerprint"]["crops"] == {"seed": 5, "views": 3, "px": 64}
    assert [credit["author"] for credit in header["credits"][:2]] == ["Ann", "Bob"]


def test_a_run_resumes_and_other_settings_are_refused(made, cropped: Path, run_objascale: Command):
    table = (cropped / "crops.parquet").read_bytes()
    journal = cropped / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    old = {path: path.stat().st_mtime_ns for path in cropped.glob("images/*/*.png")}
    journal.write_text(lines[0] + lines[1][:40])  # as if killed while writing the line of the second object
    result = run_objascale(*quick(made, cropped))
    assert result.returncode == 0, result.stderr
    assert "1 of 2 objects exist already" in result.stderr
    renewed = {path.name[:6] for path, time in old.items() if path.stat().st_mtime_ns != time}
    assert renewed == {"000001"}
    assert (cropped / "crops.parquet").read_bytes() == table, "the same command makes the same crops"
    refused = run_objascale(*quick(made, cropped, "--view", "Standard"))
    assert refused.returncode == 1
    assert "other settings" in refused.stderr
    assert "Standard" in refused.stderr


def test_an_object_that_fails_is_recorded_and_left_out(made, run_objascale: Command, tmp_path: Path):
    objects = tmp_path / "objects"
    (objects / "broken").mkdir(parents=True)
    (objects / "broken/no.glb").write_bytes(b"glTF no more")
    (objects / "flat").mkdir()
    (objects / "flat/needle.obj").write_text("v 0 0 0\nv 0 0 1\nv 0 0.00001 1\nf 1 2 3\n")
    result = run_objascale(*quick(made, tmp_path / "out", "--objects", objects))
    assert result.returncode == 1
    assert "no object could be rendered" in result.stderr
    assert "Traceback" not in result.stderr
    records = [json.loads(line) for line in (tmp_path / "out/journal.jsonl").read_text().splitlines()]
    assert [record["kind"] for record in records] == ["truncated", "too-thin"]
    with pytest.raises(DatasetError, match="has no rows"):
        read_crops(tmp_path / "out")


def test_a_map_that_changed_since_it_was_chosen_is_refused(made, tmp_path: Path):
    write_exr(tmp_path / "map.exr", np.full((16, 32, 3), 0.5, np.float32))
    (environment,) = folder_source.environment_maps(tmp_path)
    things = folder_source.objects(made.objects)[:1]
    settings = CropSettings(views=2, px=32), RenderSettings(samples=1, denoise=False)
    cropping = Cropping(things, [environment], *settings, DatasetWriter(tmp_path / "crops", CROPS_HEADER))
    write_exr(tmp_path / "map.exr", np.full((16, 32, 3), 0.1, np.float32))
    (record,) = cropping.work(cropping.begin(), [LocalWorker(local_engine(1, device="cpu"))])
    assert (record["status"], record["kind"]) == ("failed", "changed")
    assert "map.exr is no longer the file" in record["message"]
    assert not list((tmp_path / "crops").glob("images/*/*"))


@pytest.mark.slow
def test_a_long_object_fills_its_crops_from_every_side(run_objascale: Command, made, tmp_path: Path):
    (tmp_path / "rod").mkdir()
    corners = "".join(f"v {x} {y} {z}\n" for x in (0, 30) for y in (0, 1) for z in (0, 1))
    faces = "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
    (tmp_path / "rod/rod.obj").write_text(corners + faces)
    result = run_objascale(*quick(made, tmp_path / "out", "--objects", tmp_path, "--views", 12))
    assert result.returncode == 0, result.stderr
    table = read_crops(tmp_path / "out")
    assert len(table) == 12
    assert table[["width", "height"]].max(axis=1).between(55, 62).all()


def test_exclusions_and_licences_select_the_objects(made):
    def left(**options: list[str]) -> list[str]:
        objects, _, _ = choose_assets(AssetOptions(objects=made.objects, hdris=str(made.hdris), **options), 1)
        return [asset.id for asset in objects]

    assert left() == ["crate/old", "wedge/stop"]
    assert left(exclude_categories=["wedge"]) == ["crate/old"]
    assert left(exclude=["*STOP*"]) == ["crate/old"]
    assert left(exclude=["a door*"]) == ["crate/old"]
    assert left(licenses=["by"]) == ["crate/old"]
    assert left(licenses=["cc0, by"]) == left(licenses=["cc0", "by"]) == left()
    assert left(categories=["wedge"]) == ["wedge/stop"]
    assert left(categories=["wedge,crate"]) == left(categories=["wedge", "crate"]) == left()


@pytest.mark.parametrize(
    ("sentence", "option", "value"),
    [
        ("--exclude-categories: there is no 'wedg'", "--exclude-categories", "wedg"),
        ("--exclude: no remaining object has an id or a title like 'stops'", "--exclude", "stops"),
        ("--exclude-maps: there is no 'sunse'", "--exclude-maps", "sunse"),
        ("--exclude-maps leaves no environment map", "--exclude-maps", "sunset"),
        ("no object is left", "--exclude-categories", "crate,wedge"),
        ("no object is under a licence of --licenses by-nc", "--licenses", "by-nc"),
        ("'free' is not a licence", "--licenses", "free"),
    ],
)
def test_a_misspelt_selection_is_an_error(made, sentence: str, option: str, value: str):
    given = {option.removeprefix("--").replace("-", "_"): [value]}
    with pytest.raises(SourceError, match=sentence):
        choose_assets(AssetOptions(objects=made.objects, hdris=str(made.hdris), **given), 1)


def test_the_command_prints_the_error(made, run_objascale: Command, tmp_path: Path):
    result = run_objascale(*quick(made, tmp_path, "--exclude-categories", "wedg"))
    assert result.returncode == 1
    assert result.stderr.startswith("error: --exclude-categories: there is no 'wedg' in this source; it has wedge")


@pytest.mark.parametrize(("option", "values"), [("exclude", "*stop* *old*"), ("exclude-categories", "crate wedge")])
def test_a_repeated_exclude_option_excludes_both(made, run_objascale, tmp_path, option: str, values: str):
    given = [part for value in values.split() for part in (f"--{option}", value)]
    result = run_objascale(*quick(made, tmp_path, *given))
    assert result.returncode == 1
    assert "no object is left after the --exclude options" in result.stderr


def test_no_crops_are_an_error(tmp_path: Path):
    with pytest.raises(
        DatasetError, match=r"is not a folder of crops: it has no crops.json \(objascale crops makes one"
    ):
        read_crops(tmp_path)


@pytest.mark.slow
def test_the_map_turns_with_its_view(look, tmp_path: Path):
    box = tmp_path / "box.obj"
    corners = "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 1) for z in (0, 1))
    box.write_text(corners + "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n")
    texels = np.zeros((16, 32, 3), np.float32)
    texels[:, 20:28] = 1  # a quarter of the horizon, around −y
    write_exr(tmp_path / "side.exr", texels)

    def front(turn: float, azimuth: float) -> float:
        then = f"answer['light'] = Path({str(tmp_path / 'side.exr')!r}), {turn}"
        return float(look([box], azimuth=azimuth, then=then)[0].arrays["rgba"][32, 32, 0])

    assert front(0, math.pi / 2) > 5 * front(math.pi, math.pi / 2), "looking towards +y, at the side that faces −y"
    assert front(math.pi / 2, 0) > 5 * front(-math.pi / 2, 0), "looking towards +x: lit where −y has turned to −x"


def test_most_views_are_at_eye_level_and_some_from_anywhere():
    views = [view for number in range(200) for view in draw_views(CropSettings(views=20), MAPS, number)]
    elevations = np.degrees([view.elevation for view in views])
    usual = (elevations >= -20) & (elevations <= 60)
    assert 0.85 < usual.mean() < 0.97
    assert elevations.min() < -60
    assert elevations.max() > 75
    assert {view.map_id for view in views} == set("abc")
    assert len({view.seed for view in views}) > 3990


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(0, 2**31), st.integers(1, 40))
def test_a_view_depends_only_on_seed_and_object(number: int, seed: int, views: int):
    many = draw_views(CropSettings(seed=seed, views=views), MAPS, number)
    assert many == draw_views(CropSettings(seed=seed, views=views), MAPS, number)
    assert many[0] == draw_views(CropSettings(seed=seed, views=1), MAPS, number)[0]
    assert many != draw_views(CropSettings(seed=seed, views=views), MAPS, number + 1)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12))
def test_cutting_out_keeps_alpha_and_colours_transparent_pixels(seed: int, height: int, width: int):
    rng = np.random.default_rng(seed)
    alpha = rng.choice([0, 0, 0.05, 0.5, 1], (height, width)).astype(np.float32)
    traced = np.dstack([np.full((height, width, 3), 0.18, np.float32) * alpha[..., None], alpha])
    picture = cut_out(traced, "Standard")
    if not (alpha >= 0.2).any():
        assert picture.shape == (0, 0, 4)
        return
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    kept = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_array_equal(picture[..., 3], np.rint(kept * 255))
    assert np.ptp(picture[..., :3]) == 0, "one colour in the light is one colour everywhere, whatever its alpha"


def test_licences_are_recognised_by_all_their_names():
    names = {
        "cc0": ["CC0-1.0", "CC-0", "Public domain"],
        "by": ["CC-BY-4.0", "CC BY 3.0", "Creative Commons Attribution 3.0 Unported license © Scopia"],
        "by-sa": ["CC-BY-SA-4.0", "Creative Commons Attribution-ShareAlike 3.0"],
        "by-nc-sa": ["CC-BY-NC-SA-4.0", "Creative Commons Attribution Non-Commercial Share Alike"],
        "by-nd": ["CC-BY-ND-2.0", "Creative Commons Attribution-NoDerivs"],
        "": ["", "Free Art License", "All rights reserved", "nearby"],
    }
    for word, texts in names.items():
        for text in texts:
            assert licence_word(text) == word, text
    assets = [Asset(text, "x", Path(text), "0", licence=text) for texts in names.values() for text in texts]
    kept = under_licences(assets, ["cc0", "CC-BY-4.0"])
    assert [asset.id for asset in kept] == names["cc0"] + names["by"]
    with pytest.raises(SourceError, match="'gpl' is not a licence"):
        under_licences(assets, ["gpl"])
