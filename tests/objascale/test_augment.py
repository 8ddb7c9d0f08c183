"""Random changes of annotated pictures."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objascale.masks import RegionMask
from objascale.scenes import Contents, Scene
from objascale.scenes.augment import AugmentedSource, augment, inscribed_rectangle
from objascale.scenes.compositions import Compositions
from objascale.scenes.order import shuffled_index
from objascale.scenes.sources import MixedSource, open_source
from objascale.scenes.stored import StoredSource

BRIGHT, DARK = 200, 60


def bright_disc(width: int, height: int, x: float, y: float, radius: float) -> Scene:
    """A bright disc with a bar on a dark ground, and its mask."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    full = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
    full |= (abs(rows - y) < radius / 3) & (columns > x) & (columns < x + 2 * radius)
    image = np.where(full[..., None], np.uint8(BRIGHT), np.uint8(DARK)).repeat(3, -1)
    return Scene(image, [RegionMask.from_full(full)], "disc")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(15, 60))
def test_the_mask_stays_on_its_object(seed: int, x: float, y: float, radius: float):
    scene = bright_disc(320, 240, 320 * x, 240 * y, radius)
    changed = augment(scene, np.random.default_rng(seed))
    (mask,) = changed.masks
    assert (mask.height, mask.width) == changed.image.shape[:2]
    luminance = changed.image.mean(-1)
    full = mask.full()
    shown = luminance > (np.median(luminance[full]) + np.median(luminance[~full])) / 2
    assert (shown & full).sum() / (shown | full).sum() > 0.7  # blur and noise move the outlines of small discs


def test_scale_orientation_colours_and_handedness_vary():
    scene = bright_disc(320, 240, 160, 120, 40)
    changed = [augment(scene, np.random.default_rng(seed)) for seed in range(60)]
    widths = {each.image.shape[1] for each in changed}
    assert min(widths) < 150
    assert len(widths) > 30
    assert len({each.image[0, 0].tobytes() for each in changed}) > 20
    to_the_right = [each.masks[0].mean()[0] > np.mean(each.masks[0].box[::2]) for each in changed if each.masks[0].box]
    assert 10 < sum(to_the_right) < 50, "the bar is on either side"


@settings(deadline=None)
@given(st.integers(1, 900), st.integers(1, 900), st.floats(-math.pi, math.pi))
def test_the_rectangle_is_inside_the_turned_picture_and_a_larger_one_is_not(width: int, height: int, turn: float):
    columns, rows = inscribed_rectangle(width, height, turn)

    def fits(columns: float, rows: float) -> bool:
        """Return whether a centred rectangle is inside a picture that is turned."""
        x, y = columns / 2, rows / 2
        sine, cosine = abs(math.sin(turn)), abs(math.cos(turn))
        return x * cosine + y * sine <= width / 2 + 1e-6 and x * sine + y * cosine <= height / 2 + 1e-6

    assert fits(columns, rows) or 1 in (columns, rows)
    assert not fits(columns + 2, rows + 2)


def test_an_object_at_the_border_is_never_lost():
    corner = np.zeros((200, 300), bool)
    corner[:3, :3] = True
    scene = Scene(np.zeros((200, 300, 3), np.uint8), [RegionMask.from_full(corner)], "corner")
    for seed in range(100):
        changed = augment(scene, np.random.default_rng(seed))
        assert changed.masks[0].area
        assert (changed.masks[0].height, changed.masks[0].width) == changed.image.shape[:2]


def test_objects_that_leave_the_picture_are_dropped_and_those_that_are_cut_off_stay():
    left, middle = np.zeros((2, 200, 300), bool)
    left[90:110, :6], middle[80:120, 130:170] = True, True
    scene = Scene(np.zeros((200, 300, 3), np.uint8), [RegionMask.from_full(m) for m in (left, middle)], "two")
    counts = [len(augment(scene, np.random.default_rng(seed)).masks) for seed in range(60)]
    assert set(counts) == {1, 2}


@pytest.fixture
def photos(shared: Path) -> Path:
    return shared / "assets/photos/coco128"


def test_a_share_of_the_scenes_is_changed_and_each_depends_only_on_its_position(photos: Path):
    plain = StoredSource(photos, seed=2)
    source = AugmentedSource(plain, 0.5, seed=2)
    travelled = pickle.loads(pickle.dumps(source))
    changed = 0
    for position in range(24):
        scene, again, before = (each.scene(position) for each in (source, travelled, plain))
        np.testing.assert_array_equal(scene.image, again.image)
        assert [mask.rle() for mask in scene.masks] == [mask.rle() for mask in again.masks]
        assert scene.name == before.name
        changed += scene.image.shape != before.image.shape or (scene.image != before.image).any()
    assert 4 < changed < 20


def test_an_epoch_changes_a_picture_in_another_way_than_the_last_one(photos: Path):
    source = AugmentedSource(StoredSource(photos, seed=0), 1, seed=0)
    assert isinstance(source.source, StoredSource)
    count = len(source.source)
    first, second = (k for k in range(2 * count) if shuffled_index(k, count, 0) == 0)
    assert source.source.scene(first).image.tobytes() == source.source.scene(second).image.tobytes()
    assert source.scene(first).image.tobytes() != source.scene(second).image.tobytes()


def test_only_annotated_pictures_are_augmented(photos: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, channels in (("crops", 4), ("grounds", 3)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "grey.png"), np.full((300, 300, channels), 128, np.uint8))
    mixed = open_source([str(photos), str(tmp_path / "crops")], [tmp_path / "grounds"], 0, augment=0.9)
    assert isinstance(mixed, MixedSource)
    assert {type(each) for each in mixed.sources} == {AugmentedSource, Compositions}
    assert isinstance(open_source([str(photos)], [], 0), StoredSource)
    assert isinstance(contents := open_source([str(photos)], [], 0, augment=1).contents(), Contents)
    assert contents == open_source([str(photos)], [], 0).contents()
