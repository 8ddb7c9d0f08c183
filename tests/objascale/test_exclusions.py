"""Exclusions: what a model is measured on is recognised, in other sizes and encodings too, and left out of training."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from objascale.crops import CROPS_HEADER, CROPS_TABLE
from objascale.dataset import DatasetError, DatasetWriter, write_parquet
from objascale.masks import RegionMask
from objascale.scenes import SceneError
from objascale.scenes.exclusions import HELD_OUT, MAX_DISTANCE, Exclusions, perceptual_hash, read_exclusions
from objascale.scenes.sources import open_source
from objascale.scenes.stored import StoredSource


def encoded(image: NDArray, ending: str = ".png", *settings: int) -> bytes:
    return cv2.imencode(ending, image, settings)[1].tobytes()


def photograph(seed: int) -> NDArray[np.uint8]:
    """Return an image with structure at all scales."""
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.normal(size=(n, n)), (160, 120), interpolation=cv2.INTER_CUBIC) for n in (3, 6, 12, 40)]
    image = 128 + 25 * sum(layers)
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[..., None], 3, 2)


def hashes_of(paths: list[Path], change: Callable[[NDArray], bytes] | None = None) -> NDArray[np.bool_]:
    contents = (change(cv2.imread(str(path))) if change else path.read_bytes() for path in paths)
    return np.stack([each for each in map(perceptual_hash, contents) if each is not None])


def distances(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> NDArray[np.int64]:
    return (a[:, None] != b[None]).sum(-1)


@pytest.fixture(scope="module")
def sets(shared: Path) -> dict[str, list[Path]]:
    names = ("coco128", "GrabCut50", "Berkeley100")
    return {name: sorted((shared / "assets/photos" / name / "images").iterdir()) for name in names}


def test_the_17_photographs_in_two_sets_are_recognised_and_no_others(sets: dict[str, list[Path]], shared: Path) -> None:
    hashes = {name: hashes_of(paths) for name, paths in sets.items()}
    assert (distances(hashes["GrabCut50"], hashes["Berkeley100"]) <= MAX_DISTANCE).sum() == 17
    for name, other in (("coco128", "GrabCut50"), ("coco128", "Berkeley100")):
        assert distances(hashes[name], hashes[other]).min() > MAX_DISTANCE
    for mine in hashes.values():
        alike = distances(mine, mine) <= MAX_DISTANCE
        assert alike.sum() == len(mine), "each photograph resembles itself only"
    others = hashes_of(sorted((shared / "assets/photos/COCO_MVal/images").iterdir())[::4])
    assert all(distances(others, mine).min() > MAX_DISTANCE for mine in hashes.values())


@pytest.mark.parametrize(
    "change",
    [
        lambda image: encoded(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
        lambda image: encoded(cv2.resize(image, None, fx=0.25, fy=0.25), ".jpg", cv2.IMWRITE_JPEG_QUALITY, 30),
        lambda image: encoded(image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 10),
        lambda image: encoded((255 * (image / 255) ** 0.7).astype(np.uint8)),
        lambda image: encoded(cv2.resize(image, (352, 352))),
    ],
    ids=["half", "quarter and JPEG 30", "JPEG 10", "brighter", "square"],
)
def test_copies_of_a_photograph_are_recognised(sets: dict[str, list[Path]], change: Callable) -> None:
    paths = [path for each in sets.values() for path in each][::5]
    assert (hashes_of(paths) != hashes_of(paths, change)).sum(1).max() <= MAX_DISTANCE


def test_masks_and_damaged_files_have_no_hash() -> None:
    assert perceptual_hash(encoded(np.zeros((40, 40), np.uint8))) is None
    assert perceptual_hash(b"no picture") is None
    assert perceptual_hash(b"") is None


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Return crops of four objects in the light of three maps."""
    folder = tmp_path / "crops"
    DatasetWriter(folder, CROPS_HEADER).open({"fingerprint": {}})
    rows = [
        ("tool/saw", "a" * 64, "somebody", "Saw", "park", "1" * 64),
        ("tool/cart", "b" * 64, "somebody", "Fire Truck", "park", "1" * 64),
        ("toy/ring", "c" * 64, "ObjaScale suite", "Ring", "park", "1" * 64),
        ("toy/ball", "d" * 64, "somebody", "Ball", "venice", "2" * 64),
        ("toy/cube", "e" * 64, "somebody", "Cube", "city", a_map_of_blender()),
    ]
    columns = ("asset_id", "asset_sha256", "author", "title", "hdri_id", "map_sha256")
    table = pd.DataFrame(rows, columns=list(columns))
    table["file"] = [f"{number}.png" for number in range(len(rows))]
    for number, name in enumerate(table["file"]):
        cv2.imwrite(str(folder / name), np.full((20, 20, 4), 40 * number + 50, np.uint8))
    write_parquet(table.assign(opaque=400), folder / CROPS_TABLE)
    return folder


def a_map_of_blender() -> str:
    """Return the SHA-256 of one of Blender's maps."""
    return min(read_exclusions([HELD_OUT]).sha256)


@pytest.fixture
def backgrounds(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(encoded(photograph(seed)))
    return folder


def test_the_held_out_list_leaves_out_categories_maps_and_starter_objects(crops: Path, backgrounds: Path) -> None:
    small = encoded(cv2.resize(photograph(1), (80, 60), interpolation=cv2.INTER_AREA), ".jpg")
    (crops.parent / "shown.jpg").write_bytes(small)
    exclusions = read_exclusions([HELD_OUT, str(crops.parent / "shown.jpg")])
    source = open_source([str(crops)], [backgrounds], 0, exclusions=exclusions)
    contents = source.contents()
    assert contents.objects == {"crops:tool/saw": "a" * 64}
    assert set(contents.backgrounds) == {"crops:park", "photographs:0.png", "photographs:2.png"}
    assert sum(contents.left_out.values()) == 5
    assert 'the word "truck" is held out' in contents.left_out
    scenes = [source.scene(position) for position in range(2)]
    assert all(scene.masks for scene in pickle.loads(pickle.dumps(scenes)))
    everything = open_source([str(crops)], [backgrounds], 0).contents()
    assert len(everything.objects) == 5
    assert everything.objects["starter:toy/ring"] == "c" * 64
    assert not everything.left_out


def write_coco(folder: Path, seeds: range, category: str = "cup") -> Path:
    folder.mkdir(parents=True)
    mask = RegionMask(10, 10, np.ones((20, 30), bool), 160, 120)
    for seed in seeds:
        (folder / f"{seed}.png").write_bytes(encoded(photograph(seed)))
    coco = {
        "images": [{"id": s, "file_name": f"{s}.png", "width": 160, "height": 120} for s in seeds],
        "annotations": [{"id": s + 1, "image_id": s, "category_id": 1, "segmentation": mask.rle()} for s in seeds],
        "categories": [{"id": 1, "name": category}],
    }
    (folder / "instances.json").write_text(json.dumps(coco))
    return folder


def test_pictures_of_a_data_set_that_resemble_excluded_ones_are_left_out(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data", range(5))
    shown = tmp_path / "shown/deeper"
    shown.mkdir(parents=True)
    (shown / "3.jpg").write_bytes(encoded(photograph(3), ".jpg"))
    source = StoredSource(data, 0, exclusions=read_exclusions([str(tmp_path / "shown")]))
    assert len(source) == 4
    contents = source.contents()
    assert set(contents.pictures) == {f"data:{seed}.png" for seed in (0, 1, 2, 4)}
    assert contents.pictures["data:0.png"] == hashlib.sha256((data / "0.png").read_bytes()).hexdigest()
    assert dict(contents.left_out) == {"the picture resembles an excluded one": 1}
    again = pickle.loads(pickle.dumps(source))
    assert [again.scene(n).name for n in range(8)] == [source.scene(n).name for n in range(8)]
    assert not any("3.png" in source.scene(n).name for n in range(8))


def test_pictures_with_objects_of_held_out_categories_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r'all images of .* are excluded \(the word "truck" is held out\)'):
        StoredSource(
            write_coco(tmp_path / "trucks", range(2), "pickup truck"), 0, exclusions=read_exclusions([HELD_OUT])
        )


def test_an_image_of_sa1b_is_left_out_when_it_is_read(tmp_path: Path) -> None:
    jpeg = encoded(photograph(1), ".jpg")
    annotation = {"segmentation": RegionMask(10, 10, np.ones((20, 30), bool), 160, 120).rle()}
    with tarfile.open(tmp_path / "sa_000000.tar", "w") as tar:
        for name, content in (("sa_1.jpg", jpeg), ("sa_1.json", json.dumps({"annotations": [annotation]}).encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    assert open_source([str(tmp_path)], [], 0).scene(0).masks
    exclusions = Exclusions(sha256=frozenset({hashlib.sha256(jpeg).hexdigest()}))
    source = open_source([str(tmp_path)], [], 0, exclusions=exclusions)
    assert source.contents().datasets == {"sa1b"}
    with pytest.raises(SceneError, match=r"sa_1\.jpg is left out: the picture is excluded"):
        source.scene(0)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "there is no such file or folder"),
        (lambda path: path.mkdir(), "there is no file to exclude"),
    ],
)
def test_a_path_without_files_is_an_error(make: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    make(tmp_path / "shown")
    with pytest.raises(DatasetError, match=reason):
        read_exclusions([str(tmp_path / "shown")])


def test_excluding_everything_is_an_error(crops: Path, backgrounds: Path) -> None:
    with pytest.raises(DatasetError, match="all backgrounds are excluded"):
        open_source([str(crops)], [backgrounds], 0, exclusions=read_exclusions([str(backgrounds)]))
    table = pd.read_parquet(crops / CROPS_TABLE)
    write_parquet(table.iloc[1:2], crops / CROPS_TABLE)
    with pytest.raises(DatasetError, match="all crops of"):
        open_source([str(crops)], [backgrounds], 0, exclusions=read_exclusions([HELD_OUT]))
