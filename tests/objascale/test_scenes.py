"""SA-1B's tars and stored data sets as sources: order, size and damaged files."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import shutil
import struct
import tarfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objascale.crops import CROPS_HEADER
from objascale.dataset import DatasetError, DatasetWriter, write_parquet
from objascale.masks import RegionMask
from objascale.scenes import Scene, SceneError, sa1b
from objascale.scenes.compositions import Compositions
from objascale.scenes.order import shuffled_in_windows, shuffled_index
from objascale.scenes.sa1b import SA1B, read_scene
from objascale.scenes.shrink import halve, resize_short_side
from objascale.scenes.sources import MixedSource, holds_crops, open_source
from objascale.scenes.stored import StoredSource

NUMBERS = [[3, 1, 12], [25, 20], [31]]
"""Numbers of the images of three tars, in their order."""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def tars(tmp_path: Path) -> Path:
    folder = tmp_path / "tars"
    folder.mkdir()
    for shard, numbers in enumerate(NUMBERS):
        write_tar(folder / f"sa_{shard:06d}.tar", [member for n in numbers for member in members(n)])
    return folder


def write_tar(path: Path, content: Sequence[tuple[str, bytes]], mode: str = "w:") -> None:
    with tarfile.open(path, mode) as tar:
        for name, data in content:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def members(number: int) -> list[tuple[str, bytes]]:
    """A grey 40×30 image and two masks; grey value and size of the first mask encode the number."""
    picture = cv2.imencode(".jpg", np.full((30, 40, 3), 8 * number, np.uint8))[1].tobytes()
    masks = np.zeros((2, 30, 40), bool)
    masks[0, :5, : number + 1] = True
    masks[1, 10:20, 10:30] = True
    content = {
        "image": {"image_id": number, "width": 40, "height": 30, "file_name": f"sa_{number}.jpg"},
        "annotations": [{"id": k, "segmentation": RegionMask.from_full(mask).rle()} for k, mask in enumerate(masks)],
    }
    return [(f"./sa_{number}.jpg", picture), (f"./sa_{number}.json", json.dumps(content).encode())]


def number_of(scene: Scene) -> int:
    """Return the number of a scene; name, image and masks must agree."""
    number = int(scene.name.split("sa_")[-1].removesuffix(".jpg"))
    assert scene.masks[0].area == 5 * (number + 1)
    assert abs(scene.image.mean() - 8 * number) < 3
    return number


def test_every_image_of_every_tar_comes_once_per_epoch_with_its_masks(tars: Path):
    source = SA1B(tars, seed=1)
    assert len(source) == 6
    epochs = [[number_of(source.scene(6 * epoch + k)) for k in range(6)] for epoch in range(8)]
    assert all(sorted(epoch) == [1, 3, 12, 20, 25, 31] for epoch in epochs)
    assert len(set(map(tuple, epochs))) > 5
    scene = source.scene(0)
    assert scene.image.shape == (30, 40, 3)
    assert scene.masks[1].box == (10, 10, 30, 20)


def test_a_scene_depends_only_on_its_position_and_sources_can_be_pickled(tars: Path):
    source = SA1B(tars, seed=5)
    once = [number_of(source.scene(position)) for position in range(20)]
    travelled = pickle.loads(pickle.dumps(source))
    assert [number_of(travelled.scene(position)) for position in reversed(range(20))] == once[::-1]
    assert [number_of(SA1B(tars, seed=6).scene(position)) for position in range(20)] != once


def test_headers_are_read_once(tars: Path, monkeypatch):
    first = SA1B(tars, seed=1)
    sa1b._cached_index.cache_clear()
    monkeypatch.setattr(tarfile, "open", lambda *_: pytest.fail("the tar was read again"))
    assert SA1B(tars, seed=1).sizes == first.sizes
    for file in (tars.parent / "cache/objascale/sa1b").iterdir():
        file.write_bytes(b"damaged")
    sa1b._cached_index.cache_clear()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tars.parent / "cache"))
    assert SA1B(tars, seed=1).sizes == first.sizes


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(0, 99), st.integers(1, 30), st.integers(0, 3))
def test_every_epoch_is_a_permutation_in_windows(sizes: list[int], seed: int, window: int, epoch: int):
    total = sum(sizes)
    order, row = (
        [shuffled_in_windows(epoch * total + k, sizes, seed, each) for k in range(total)] for each in (window, 1)
    )
    turns = list(dict.fromkeys(shard for shard, _ in row))
    assert row == [(shard, item) for shard in turns for item in range(sizes[shard])], "shards follow each other whole"
    assert sorted(turns) == list(range(len(sizes)))
    for start in range(0, total, window):
        assert sorted(order[start : start + window]) == sorted(row[start : start + window])


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 99), st.integers(0, 5))
def test_every_epoch_is_a_permutation(count: int, seed: int, epoch: int):
    assert sorted(shuffled_index(epoch * count + k, count, seed) for k in range(count)) == list(range(count))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(2, 60), st.integers(1, 40))
def test_a_shrunk_mask_has_the_pixels_that_it_covers_by_half(seed: int, height: int, width: int, side: int):
    rng = np.random.default_rng(seed)
    full = np.zeros((height, width), bool)
    y0, x0 = rng.integers(height), rng.integers(width)
    full[y0 : y0 + rng.integers(1, height + 1), x0 : x0 + rng.integers(1, width + 1)] = True
    full &= rng.uniform(size=full.shape) < 0.9
    scene = Scene(np.zeros((height, width, 3), np.uint8), [RegionMask.from_full(full)], "here")
    if min(height, width) <= side:
        assert resize_short_side(scene, side) is scene
        return
    small = max(round(height * side / min(height, width)), 1), max(round(width * side / min(height, width)), 1)
    covered = _shares(height, small[0]) @ full @ _shares(width, small[1]).T
    sure = abs(covered - 0.5) > 1e-3
    if not (covered >= 0.5 - 1e-3).any():
        with pytest.raises(SceneError, match="here: no mask has a pixel left"):
            resize_short_side(scene, side)
    elif (covered[sure] > 0.5).any():
        result = resize_short_side(scene, side)
        assert result.image.shape[:2] == small
        np.testing.assert_array_equal(result.masks[0].full()[sure], (covered > 0.5)[sure])


def _shares(before: int, after: int) -> np.ndarray:
    """Return the share of each new pixel that each old one covers, (after, before)."""
    edges = np.arange(before + 1) * after / before
    low, high = edges[:-1], edges[1:]
    k = np.arange(after)[:, None]
    return np.clip(np.minimum(high, k + 1) - np.maximum(low, k), 0, None)


def test_a_scene_is_halved():
    image = np.zeros((5, 6, 3), np.uint8)
    image[:2, :2] = 100, 60, 20
    whole = np.zeros((5, 6), bool)
    whole[0, :2] = whole[2, 2] = whole[4, 5] = True
    half = halve(Scene(image, [RegionMask.from_full(whole)], "made"))
    assert half.image.shape == (2, 3, 3)
    assert half.image[0, 0].tolist() == [100, 60, 20]
    assert half.masks[0].full().tolist() == [[True, False, False], [False, False, False]]
    with pytest.raises(SceneError, match="made: no mask has a pixel left"):
        halve(Scene(image, [RegionMask.from_full(np.eye(5, 6, dtype=bool) & (np.arange(6) == 3))], "made"))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_a_halved_mask_has_the_blocks_with_two_or_more_of_its_pixels(seed: int, height: int, width: int):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    full = rng.uniform(size=(height, width)) < 0.5
    scene = Scene(image, [RegionMask.from_full(full)], "here")
    rows, columns = height // 2, width // 2
    if not rows or not columns:
        with pytest.raises(SceneError, match="cannot be halved"):
            halve(scene)
        return
    blocks = full[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    expected = blocks.sum((1, 3)) >= 2
    if not expected.any():
        with pytest.raises(SceneError, match="here: no mask has a pixel left"):
            halve(scene)
        return
    half = halve(scene)
    np.testing.assert_array_equal(half.masks[0].full(), expected)
    means = image[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, 3).mean((1, 3))
    assert abs(half.image - means).max() <= 0.5


def test_images_are_resized_to_a_short_side(tars: Path):
    scene = SA1B(tars, seed=1, short_side=15).scene(0)
    assert scene.image.shape == (15, 20, 3)
    assert scene.masks[-1].box == (5, 5, 15, 10)
    assert all((mask.width, mask.height) == (20, 15) for mask in scene.masks)


PICTURE, ANNOTATIONS = (data for _, data in members(4))
SIZE_AT = PICTURE.index(b"\xff\xc0") + 5
ENDLESS = PICTURE[:SIZE_AT] + struct.pack(">HH", 65000, 65000) + PICTURE[SIZE_AT + 4 :]
"""A JPEG whose header declares 65,000 rows and columns."""


@pytest.mark.parametrize(
    ("sentence", "picture", "annotations"),
    [
        ("is not an image that OpenCV can decode", PICTURE[:40], ANNOTATIONS),
        ("is not an image that OpenCV can decode", b"", ANNOTATIONS),
        ("is not an image that OpenCV can decode", ENDLESS, ANNOTATIONS),
        ("its JSON does not have SA-1B's format", PICTURE, b"{ no json"),
        ("its JSON does not have SA-1B's format", PICTURE, b"\xff\xfe"),
        ("its JSON does not have SA-1B's format", PICTURE, b"[]"),
        ("its JSON does not have SA-1B's format", PICTURE, b"[" * 100_000),
        ("its JSON does not have SA-1B's format", PICTURE, b'{"annotations": [{"segmentation": 5}]}'),
        ("its JSON does not have SA-1B's format", PICTURE, b'{"annotations": [{"segmentation": {"size": [30, 40]}}]}'),
        (
            "RLE counts hold the character",
            PICTURE,
            b'{"annotations": [{"segmentation": {"size": [30, 40], "counts": "\\u0001"}}]}',
        ),
        (
            "RLE runs cover 7 pixels",
            PICTURE,
            b'{"annotations": [{"segmentation": {"size": [30, 40], "counts": [3, 4]}}]}',
        ),
        (
            r"a mask has the size \[60, 20\], the image \[30, 40\]",
            PICTURE,
            b'{"annotations": [{"segmentation": {"size": [60, 20], "counts": [0, 1200]}}]}',
        ),
        (
            r"a mask has the size \[1e\+18, 1\]",
            PICTURE,
            b'{"annotations": [{"segmentation": {"size": [1e18, 1], "counts": [0, 1200]}}]}',
        ),
        ("sa_4.jpg has no masks", PICTURE, b'{"annotations": []}'),
        (
            "sa_4.jpg has no masks",
            PICTURE,
            b'{"annotations": [{"segmentation": {"size": [30, 40], "counts": [1200]}}]}',
        ),
    ],
)
def test_a_damaged_image_or_annotation_gives_an_error_with_its_name(sentence: str, picture: bytes, annotations: bytes):
    with pytest.raises(SceneError, match=sentence) as raised:
        read_scene(picture, annotations, "x.tar, sa_4.jpg")
    assert str(raised.value).startswith("x.tar, sa_4.jpg")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300), st.integers(0, len(ANNOTATIONS)))
def test_any_json_gives_a_scene_or_a_scene_error(rubbish: bytes, place: int):
    with contextlib.suppress(SceneError):
        read_scene(PICTURE, ANNOTATIONS[:place] + rubbish + ANNOTATIONS[place + len(rubbish) :], "x")


def test_errors_name_damaged_tars(tars: Path, tmp_path: Path):
    whole = (tars / "sa_000000.tar").read_bytes()
    bad = tmp_path / "bad"
    bad.mkdir()
    with pytest.raises(DatasetError, match=r"bad has no \.tar files"):
        SA1B(bad, seed=0)
    with pytest.raises(DatasetError, match=r"gone has no \.tar files"):
        SA1B(bad / "gone", seed=0)
    for content, sentence in {
        whole[:600]: "truncated or not an uncompressed tar",
        whole[:3000]: "truncated or not an uncompressed tar",
        whole[:-10240] + whole[-10240:].rstrip(b"\0"): "truncated or not an uncompressed tar",
        b"no tar at all" * 100: "truncated or not an uncompressed tar",
        b"": "truncated or not an uncompressed tar",
    }.items():
        (bad / "x.tar").write_bytes(content)
        with pytest.raises(DatasetError, match=rf"x\.tar is {sentence}"):
            SA1B(bad, seed=0)
    write_tar(bad / "x.tar", members(3), "w:gz")
    with pytest.raises(DatasetError, match=r"x\.tar is truncated or not an uncompressed tar"):
        SA1B(bad, seed=0)
    write_tar(bad / "x.tar", [members(3)[0], members(4)[1], ("readme.txt", b"hello")])
    with pytest.raises(DatasetError, match=r"x\.tar has no sa_….jpg with its sa_….json"):
        SA1B(bad, seed=0)


def test_links_in_a_tar_are_not_followed(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w:") as tar:
        for name in ("sa_1.jpg", "sa_1.json"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
    with pytest.raises(DatasetError, match="has no sa_"):
        SA1B(tmp_path, seed=0)


def test_an_error_names_a_tar_that_changes_during_training(tars: Path, monkeypatch):
    source = SA1B(tars, seed=0)
    monkeypatch.setattr(sa1b, "MAX_MEMBER_BYTES", 100)
    with pytest.raises(SceneError, match=r"sa_\d+\.jpg or its JSON has .* bytes, but at most 100 are read"):
        source.scene(0)
    monkeypatch.undo()
    shutil.rmtree(tars)
    with pytest.raises(SceneError, match=r"\.tar changed during training"):
        source.scene(0)


def test_a_stored_data_set_is_a_source(shared: Path):
    source = StoredSource(shared / "assets/photos/coco128", seed=3)
    names = [source.dataset.samples[shuffled_index(k, len(source), 3)].file for k in range(len(source))]
    assert sorted(names) == sorted(sample.file for sample in source.dataset.samples)
    travelled = pickle.loads(pickle.dumps(source))
    for position in range(8):
        scene = source.scene(position)
        again = travelled.scene(position)
        assert np.array_equal(scene.image, again.image)
        assert names[position] in scene.name
        assert [mask.rle() for mask in scene.masks] == [mask.rle() for mask in again.masks]
        assert all((mask.height, mask.width) == scene.image.shape[:2] for mask in scene.masks)
    small = StoredSource(shared / "assets/photos/coco128", seed=3, short_side=100)
    assert min(small.scene(0).image.shape[:2]) == 100


def test_errors_name_a_damaged_data_set(tmp_path: Path):
    with pytest.raises(DatasetError, match="there is no data set"):
        StoredSource(tmp_path / "gone", seed=0)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 40, 3), np.uint8))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 4, "bbox": [0, 0, 2, 2]}
            | {"segmentation": {"size": [30, 40], "counts": "\x01"}}
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    source = StoredSource(tmp_path / "instances.json", seed=0)
    with pytest.raises(SceneError, match=r"a\.png cannot be used: "):
        source.scene(0)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(SceneError, match=r"a\.png cannot be used: .*not an image that OpenCV can decode"):
        source.scene(0)
    content["images"] = content["annotations"] = []
    (tmp_path / "instances.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError):
        StoredSource(tmp_path / "instances.json", seed=0)


def write_crops(folder: Path) -> Path:
    """One grey square in the format of `objascale crops`."""
    DatasetWriter(folder, CROPS_HEADER).open({"fingerprint": {}})
    cv2.imwrite(str(folder / "0.png"), np.full((64, 64, 4), 255, np.uint8))
    write_parquet(pd.DataFrame([{"file": "0.png", "opaque": 64 * 64}]), folder / "crops.parquet")
    return folder


def test_the_files_at_a_path_select_the_source(tars: Path, tmp_path: Path, shared: Path):
    assert isinstance(open_source([str(tars)], [], 0), SA1B)
    photographs = shared / "assets/photos/coco128"
    assert isinstance(open_source([str(photographs)], [], 0), StoredSource)
    crops = [write_crops(tmp_path / name) for name in ("a", "b=2")]
    ground = tmp_path / "ground.png"
    cv2.imwrite(str(ground), np.full((100, 100, 3), 90, np.uint8))
    both = open_source([str(each) for each in crops], [ground], 0)
    assert isinstance(both, Compositions)
    assert both.shares.tolist() == [0.5, 1]
    cutouts = tmp_path / "cutouts"
    cutouts.mkdir()
    cv2.imwrite(str(cutouts / "a.png"), np.full((64, 64, 4), 255, np.uint8))
    weighed = open_source([str(crops[0]), f"{cutouts}=3"], [ground], 0)
    assert weighed.shares.tolist() == [0.25, 1]
    mixed = open_source([f"{tars}=3", str(crops[0]), str(crops[1])], [ground], 0, short_side=15)
    assert isinstance(mixed, MixedSource)
    assert mixed.shares == [3, 2]
    names = [pickle.loads(pickle.dumps(mixed)).scene(position).name for position in range(10)]
    assert [name for name in names if name.startswith("composition")] == [
        f"composition {k} of seed 0" for k in range(4)
    ]
    alone = open_source([str(tars)], [], 0, short_side=15)
    assert [name for name in names if "sa_" in name] == [alone.scene(k).name for k in range(6)]
    assert min(mixed.scene(0).image.shape[:2]) == 15


def test_a_png_beside_a_data_set_does_not_make_it_cut_outs(tars: Path, shared: Path, tmp_path: Path):
    """For example a contact sheet, or COCO's images beside their JSON."""
    photographs = shared / "assets/photos/coco128"
    beside = {tars: SA1B, photographs: StoredSource}
    for number, (folder, kind) in enumerate(beside.items()):
        copy = tmp_path / str(number)
        copy.mkdir()
        for each in folder.iterdir():
            (copy / each.name).symlink_to(each)
        cv2.imwrite(str(copy / "sheet.png"), np.zeros((64, 64, 3), np.uint8))
        assert not holds_crops(copy)
        assert isinstance(open_source([str(copy)], [], 0), kind)


class Counting:
    def scene(self, position: int) -> Scene:
        return Scene(np.zeros((1, 1, 3), np.uint8), [], str(position))


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 3))
def test_alternating_sources_keep_their_shares(shares: list[int], periods: int):
    mixed = MixedSource([(Counting(), share) for share in shares])
    seen: list[list[int]] = [[] for _ in shares]
    for position in range(periods * sum(shares)):
        i, _ = mixed._turns[position % sum(shares)]
        seen[i].append(int(mixed.scene(position).name))
        for share, each in zip(shares, seen, strict=True):
            due = (position + 1) * share / sum(shares)
            assert abs(len(each) - due) <= len(shares), "evenly spread"
    assert seen == [list(range(periods * share)) for share in shares]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("{folder}/gone", "there is no data set .*gone"),
        ("{folder}/gone=3", "there is no data set .*gone;"),
        ("{tars}=0", "the share after = must be an integer from 1 to 1000"),
        ("{tars}=2000", "the share after = must be an integer from 1 to 1000"),
        ("{tars}=0.5", "the share after = must be an integer from 1 to 1000"),
        ("{tars}=" + "9" * 5000, "File name too long"),
        ("{folder}", "has none of the known formats"),
        ("{crops}", "crops need backgrounds"),
    ],
)
def test_data_that_cannot_be_opened_gives_an_error(data: str, sentence: str, tars: Path, tmp_path: Path):
    named = data.format(folder=tmp_path, tars=tars, crops=write_crops(tmp_path / "crops"))
    with pytest.raises(DatasetError, match=sentence):
        open_source([named], [], 0)
    with pytest.raises(DatasetError, match="backgrounds are given, but no data path is a folder of crops"):
        open_source([str(tars)], [tmp_path], 0)
