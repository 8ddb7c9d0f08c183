"""Compositions: exact masks, repeatable scenes, and errors that name damaged files."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from objascale.crops import CROPS_HEADER
from objascale.dataset import DatasetError, DatasetWriter, write_parquet
from objascale.maps import write_exr
from objascale.scenes import Scene, compositions
from objascale.scenes.backgrounds import MAX_BACKGROUND_SIDE, VIEWS_PER_FILE, load_backgrounds
from objascale.scenes.camera import add_camera_effects
from objascale.scenes.compositions import Compositions, Layer, _recolour, paste_layers, place_layer
from objascale.scenes.packed import load_packed
from objascale.scenes.sources import holds_crops
from objascale.scenes.things import PYRAMID_LEVELS, add_part, draw_silhouette, load_crops


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def cropped(tmp_path_factory) -> Path:
    return write_crops(tmp_path_factory.mktemp("crops"))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for number, (height, width) in enumerate([(300, 400), (900, 600)]):
        noise = np.random.default_rng(number).integers(0, 256, (height // 20, width // 20, 3), np.uint8)
        picture = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.jpg"), picture)
    (folder / "readme.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def made(cropped: Path, photographs: Path) -> Compositions:
    return Compositions({cropped: 1}, [photographs], seed=7)


def write_crops(folder: Path) -> Path:
    """A red disc and a green ring, in the format of `objascale crops`."""
    DatasetWriter(folder, CROPS_HEADER).open({"fingerprint": {}})
    rows, columns = np.mgrid[:101, :101] - 50
    distance = np.hypot(rows, columns)
    rows_of_table = []
    for number, (colour, inside) in enumerate(
        {(0, 0, 250): distance < 50, (0, 250, 0): abs(distance - 40) < 9}.items()
    ):
        picture = np.dstack([np.full((101, 101, 3), colour, np.uint8), np.where(inside, 255, 0).astype(np.uint8)])
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        rows_of_table.append({"file": f"{number}.png", "opaque": int(inside.sum())})
    write_parquet(pd.DataFrame(rows_of_table), folder / "crops.parquet")
    return folder


def same(a: Scene, b: Scene) -> bool:
    return (
        a.name == b.name
        and np.array_equal(a.image, b.image)
        and len(a.masks) == len(b.masks)
        and all(
            (x.x, x.y) == (y.x, y.y) and np.array_equal(x.data, y.data) for x, y in zip(a.masks, b.masks, strict=True)
        )
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=4, unique=True))
def test_a_scene_depends_only_on_its_position(made: Compositions, positions: list[int]):
    first = [made.scene(position) for position in positions]
    travelled = pickle.loads(pickle.dumps(made))
    again = [travelled.scene(position) for position in reversed(positions)]
    assert all(same(a, b) for a, b in zip(first, reversed(again), strict=True))


def test_another_process_makes_the_same_scene(made: Compositions, tmp_path: Path):
    (tmp_path / "source").write_bytes(pickle.dumps(made))
    assert (tmp_path / "source").stat().st_size < 2000, "images are not pickled"
    code = (
        "import pickle, sys; from pathlib import Path; folder = Path(sys.argv[1]);"
        "source = pickle.loads((folder / 'source').read_bytes());"
        "(folder / 'scene').write_bytes(pickle.dumps(source.scene(42)))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert same(pickle.loads((tmp_path / "scene").read_bytes()), made.scene(42))


def test_scenes_stay_within_the_documented_limits(made: Compositions):
    scenes = [made.scene(position) for position in range(150)]
    for scene in scenes:
        height, width = scene.image.shape[:2]
        assert 128 <= min(height, width) <= max(height, width) <= 512
        assert max(height, width) / min(height, width) < 1.52
        assert 1 <= len(scene.masks) <= 16
        assert all((mask.width, mask.height) == (width, height) for mask in scene.masks)
        assert all(mask.area >= 8 for mask in scene.masks)
        assert sum(mask.full().astype(int) for mask in scene.masks).max() == 1, "masks are disjoint"
    areas = np.array([mask.area for scene in scenes for mask in scene.masks])
    assert np.percentile(areas, 10) < 60
    assert np.percentile(areas, 90) > 4000
    assert not same(scenes[0], Scene(scenes[1].image, scenes[1].masks, scenes[0].name))


def test_a_mask_covers_its_object(cropped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On grey, without colour changes, a mask has the pixels that are at least half coloured."""
    monkeypatch.setattr(compositions, "_recolour", lambda source, alike, rng: source)
    monkeypatch.setattr(compositions, "add_part", lambda thing, texture, rng: thing)
    monkeypatch.setattr(compositions, "add_camera_effects", lambda image, rng: image)
    grey = np.full((600, 600, 3), 128, np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    source = Compositions({cropped: 1}, [tmp_path / "grey.png"], seed=1, silhouettes=0)
    shares = []
    for position in range(60):
        scene = source.scene(position)
        pixels = scene.image.astype(int)
        colour = np.ptp(pixels, axis=2) / 250  # of the red and the green crop
        inside = np.any([mask.full() for mask in scene.masks], axis=0)
        shares.append((np.mean(colour[inside] > 0.48) if inside.sum() > 50 else 1, np.mean(colour[~inside] > 0.52)))
    inside, outside = np.array(shares).T
    assert np.median(inside) > 0.95
    assert np.median(outside) < 0.01


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_pasting_equals_plain_alpha_compositing(seed: int, count: int):
    rng = np.random.default_rng(seed)
    background = rng.integers(0, 256, (24, 30, 3), np.uint8)
    layers = [_layer(rng, 30, 24) for _ in range(count)]
    image, masks = paste_layers(background, layers)
    light, through = np.zeros((24, 30, 3)), np.ones((24, 30))
    expected, sure = [], np.ones((24, 30), bool)
    for layer in layers:
        whole = np.zeros((24, 30, 4))
        h, w = layer.patch.shape[:2]
        whole[layer.y : layer.y + h, layer.x : layer.x + w] = layer.patch
        alpha = whole[..., 3] / 255
        visible = alpha * through
        sure &= abs(visible - 128 / 255) > 1e-5
        mask = visible >= 128 / 255
        light += np.minimum(whole[..., :3], whole[..., 3:]) * through[..., None]
        through = through * (1 - alpha)
        if mask.sum() >= max(8, 0.4 * (whole[..., 3] >= 128).sum()):
            expected.append(mask)
    np.testing.assert_allclose(image, light + background * through[..., None], atol=0.51)
    if sure.all():
        assert len(masks) == len(expected)
        for mask, true in zip(masks, expected, strict=True):
            np.testing.assert_array_equal(mask.full(), true)
    assert sum((mask.full().astype(int) for mask in masks), np.zeros((24, 30), int)).max() <= 1


def _layer(rng: np.random.Generator, width: int, height: int) -> Layer:
    x, y = int(rng.integers(width - 1)), int(rng.integers(height - 1))
    w, h = int(rng.integers(1, width - x + 1)), int(rng.integers(1, height - y + 1))
    alpha = rng.choice([0, 90, 127, 128, 200, 255, 255], (h, w, 1))
    return Layer(np.concatenate([rng.integers(0, 256, (h, w, 3)) * alpha // 255, alpha], 2).astype(np.uint8), x, y)


def test_a_layer_has_its_centre_at_the_given_position():
    source = np.full((11, 21, 4), 255, np.uint8)
    layer = place_layer(source, np.eye(2), 40.5, 30.5, 100, 80)
    rows, columns = np.nonzero(layer.patch[..., 3])
    assert (columns.min() + layer.x, columns.max() + 1 + layer.x) == (30, 51)
    assert (rows.min() + layer.y, rows.max() + 1 + layer.y) == (25, 36)
    turned = place_layer(source, 2 * np.array(((0.0, -1.0), (1.0, 0.0))), 50, 50, 100, 100)
    assert np.count_nonzero(turned.patch[..., 3] >= 128) == pytest.approx(4 * 11 * 21, rel=0.05)
    assert place_layer(source, np.eye(2), 150, 10, 100, 80) is None
    cut = place_layer(source, np.eye(2), 0, 0, 100, 80)
    assert (cut.x, cut.y) == (0, 0)
    assert cut.patch.shape[0] < 11


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(16, 90))
@example(156997, 16)
def test_silhouettes_stay_inside_and_show_the_texture(seed: int, side: int):
    texture = np.full((side, side, 3), (200, 100, 50), np.uint8)
    shape = draw_silhouette(texture, np.random.default_rng(seed))
    alpha = shape[..., 3].astype(int)
    assert shape.shape == (side, side, 4)
    assert alpha[[0, -1]].max() == 0
    assert alpha[:, [0, -1]].max() == 0
    assert (alpha >= 128).any()
    np.testing.assert_allclose(shape[..., :3], np.array((200, 100, 50)) * alpha[..., None] / 255, atol=0.51)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(16, 90), st.integers(16, 90))
@example(18240, 16, 20)
def test_a_part_changes_colours_but_not_alpha(seed: int, rows: int, columns: int):
    rng = np.random.default_rng(seed)
    alpha = rng.integers(0, 256, (rows, columns, 1))
    thing = np.concatenate([np.broadcast_to(alpha, (rows, columns, 3)), alpha], 2).astype(np.uint8)  # white
    changed = add_part(thing, np.zeros((rows, columns, 3), np.uint8), rng)
    np.testing.assert_array_equal(changed[..., 3], thing[..., 3])
    assert (changed <= thing).all(), "the black texture darkens"
    opaque = changed[thing[..., 3] > 100]
    share = 1 - opaque[:, 0] / opaque[:, 3]
    assert 0.005 < np.mean(share > 0.5) < 0.9
    mixed = np.mean((share > 0.02) & (share < 0.98))
    assert mixed < 5 / min(rows, columns), "only edge pixels are mixed: an edge has a length of a few sides"


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_an_object_can_take_the_colour_of_its_background(seed: int):
    rng = np.random.default_rng(seed)
    source = np.full((20, 20, 4), 255, np.uint8)
    source[:, :10] = 0
    source[..., :3] = source[..., :3] // 255 * rng.integers(0, 256, 3)
    alike = rng.uniform(0.2, 0.8, 3)
    far, near = (
        [np.abs(_recolour(source, to, np.random.default_rng(k))[15, 15, :3] / 255 - alike).mean() for k in range(30)]
        for to in (None, alike)
    )
    assert np.mean(near) < 0.6 * np.mean(far) + 0.02
    assert not _recolour(source, alike, rng)[:, :10].any(), "transparent pixels stay transparent"


def test_camera_effects_vary():
    """Some images are dark, some hazy, some grey; none is uniform."""
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    taken = [add_camera_effects(image, np.random.default_rng(k)).astype(float) for k in range(200)]
    assert np.percentile([each.max() for each in taken], 10) < 200
    assert np.percentile([each.min() for each in taken], 90) > 30
    grey = np.mean([np.ptp(each, axis=2).mean() < 1 for each in taken])
    assert 0.02 < grey < 0.25
    assert min(each.std() for each in taken) > 2


def test_crops_have_a_pyramid(cropped: Path):
    levels = list(load_crops(cropped))
    assert len(levels) == 2 * PYRAMID_LEVELS
    assert [level.shape for level in levels[:PYRAMID_LEVELS]] == [(n, n, 4) for n in (101, 51, 26, 13, 7, 4)]
    covered = [level[..., 3].sum() * 4**k for k, level in enumerate(levels[:PYRAMID_LEVELS])]
    np.testing.assert_allclose(covered, covered[0], rtol=0.02)
    assert levels[1][..., 1:3].max() <= 1, "no other colour appears"


def test_a_folder_of_cut_outs_is_a_folder_of_crops(tmp_path: Path):
    (tmp_path / "readme.txt").write_text("by somebody")
    assert not holds_crops(tmp_path)
    cutout = np.full((40, 60, 4), 255, np.uint8)
    cutout[:, 30:, 3] = 0
    cv2.imwrite(str(tmp_path / "half.png"), cutout)
    assert holds_crops(tmp_path)
    first = load_crops(tmp_path)
    assert len(first) == PYRAMID_LEVELS
    assert first[0][:, 30:].max() == 0, "premultiply_alpha by alpha"
    cv2.imwrite(str(tmp_path / "another.png"), cutout)
    assert len(load_crops(tmp_path)) == 2 * PYRAMID_LEVELS, "made again when a file is added"


def test_crops_are_drawn_in_proportion_to_their_shares(photographs: Path, tmp_path: Path):
    for name, value in {"dark": 0, "bright": 255}.items():
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), np.full((9, 9, 4), (value, value, value, 255), np.uint8))
    source = Compositions({tmp_path / "dark": 3, tmp_path / "bright": 1}, [photographs], seed=0)
    rng = np.random.default_rng(0)
    bright = [source._crop(50, rng)[0][..., 0].max() > 0 for _ in range(1000)]
    assert np.mean(bright) == pytest.approx(0.25, abs=0.05)


def test_no_crop_is_enlarged_more_than_twice(made: Compositions):
    rng = np.random.default_rng(0)
    for area in (10, 1000, 1e5, 1e6):
        patch, scale = made._crop(area, rng)
        shown = cv2.sumElems(patch)[3] / 255 * scale**2
        most = 4 * np.pi * 50**2
        assert shown <= 1.05 * min(area, most) or area == 10


def test_a_12_bit_photograph_in_a_16_bit_file_keeps_its_brightness(tmp_path: Path):
    eight = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "12.png"), eight.astype(np.uint16) << 4)
    (piece,) = load_backgrounds([tmp_path])
    assert np.array_equal(piece, eight[..., ::-1])


def test_a_large_photograph_gives_several_pieces(tmp_path: Path):
    fine = np.random.default_rng(0).integers(0, 256, (1000, 3000, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), fine)
    cv2.imwrite(str(tmp_path / "small.png"), fine[:200, :300])
    pieces = list(load_backgrounds([tmp_path]))
    assert len(pieces) == VIEWS_PER_FILE + 1
    assert np.array_equal(pieces[VIEWS_PER_FILE], fine[:200, :300, ::-1])
    assert all(
        piece.shape[1] == MAX_BACKGROUND_SIDE and 256 <= piece.shape[0] <= MAX_BACKGROUND_SIDE
        for piece in pieces[:VIEWS_PER_FILE]
    )
    spreads = [piece.std() for piece in pieces[:VIEWS_PER_FILE]]
    assert max(spreads) > 2 * min(spreads), "some are shrunk, which takes noise away, and some are not"


def test_environment_maps_become_images(tmp_path: Path):
    texels = np.full((16, 32, 3), 0.5, np.float32)
    texels[8:] = 0.05
    write_exr(tmp_path / "sky.exr", texels)
    views = load_backgrounds([tmp_path])
    assert len(views) == VIEWS_PER_FILE
    assert views[0].shape == (MAX_BACKGROUND_SIDE * 3 // 4, MAX_BACKGROUND_SIDE, 3)
    assert views[0][0].mean() > views[0][-1].mean() + 50


def test_the_content_of_a_background_wins_over_its_suffix(tmp_path: Path):
    grey = Image.new("RGB", (100, 100), (9, 9, 9))
    grey.save(tmp_path / "photo.jpg", "PNG")
    grey.save(tmp_path / "photo.hdr", "JPEG")
    write_exr(tmp_path / "sky.exr", np.ones((16, 32, 3), np.float32))
    (tmp_path / "sky.exr").rename(tmp_path / "sky.png")
    assert len(load_backgrounds([tmp_path])) == 2 + VIEWS_PER_FILE


def test_new_crops_replace_the_old_ones_in_the_cache(tmp_path: Path):
    first = load_packed("here", "1", lambda: [np.zeros((2, 3, 4), np.uint8)])
    assert load_packed("here", "1", lambda: pytest.fail("made twice")).folder == first.folder
    second = load_packed("here", "2", lambda: [np.ones((1, 1, 4), np.uint8), np.full((2, 2, 3), 9, np.uint8)])
    assert [picture.shape for picture in second] == [(1, 1, 4), (2, 2, 3)]
    assert second[1].tolist() == [[[9] * 3] * 2] * 2
    assert not first.folder.exists()

    def failing():
        yield np.zeros((1, 1, 3), np.uint8)
        raise DatasetError("no")

    with pytest.raises(DatasetError, match="no"):
        load_packed("there", "1", failing)
    assert [path.name for path in second.folder.parent.iterdir() if path.name.startswith(".")] == []


def test_images_made_by_another_process_are_kept(tmp_path: Path):
    """Two processes make the same images. The first one already reads its file when the second one ends."""
    ours = [np.zeros((2, 3, 4), np.uint8)]

    def slower():
        before.append(load_packed("twice", "1", lambda: ours).folder.stat().st_ino)
        yield from ours

    before: list[int] = []
    images = load_packed("twice", "1", slower)
    assert [image.shape for image in images] == [(2, 3, 4)]
    assert before == [images.folder.stat().st_ino], "the folder of the first process still exists"


def test_errors_name_damaged_files(cropped: Path, photographs: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.jpg").write_bytes((photographs / "0.jpg").read_bytes()[:50])
    (tmp_path / "bad.exr").write_bytes(b"v/1\x01 and no more")
    cv2.imwrite(str(tmp_path / "tiny.png"), np.zeros((20, 300, 3), np.uint8))
    for sentence, paths in {
        "crops need backgrounds": [],
        "there are no backgrounds": [tmp_path / "gone"],
        "empty has no background": [tmp_path / "empty"],
        r"OpenCV cannot decode .*a\.jpg": [broken],
        r"bad\.exr cannot be read": [tmp_path / "bad.exr"],
        r"tiny\.png is too small": [tmp_path / "tiny.png"],
    }.items():
        with pytest.raises(DatasetError, match=sentence):
            Compositions({cropped: 1}, paths, seed=0)
    with pytest.raises(DatasetError, match="empty has no crops"):
        Compositions({tmp_path / "empty": 1}, [photographs], seed=0)
    with pytest.raises(DatasetError, match=r"tiny\.png is not a PNG with transparency; remove it"):
        Compositions({tmp_path: 1}, [photographs], seed=0)
    cv2.imwrite(str(tmp_path / "tiny.png"), np.full((9, 9, 4), 4095, np.uint16))
    with pytest.raises(DatasetError, match=r"tiny\.png has uint16 channels; save it with 8 bits"):
        Compositions({tmp_path: 1}, [photographs], seed=0)
    with pytest.raises(DatasetError, match="a composition needs crops"):
        Compositions({}, [photographs], seed=0)
    damaged = write_crops(tmp_path / "damaged")
    (damaged / "1.png").write_bytes(b"no png")
    with pytest.raises(DatasetError, match=r"1\.png is not a PNG with transparency"):
        Compositions({damaged: 1}, [photographs], seed=0)
