"""The public data sets: each opens in its published layout, and the command prints how to get it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.catalogue import CATALOGUE
from bench.cli import app
from objascale.benchmarks import load_benchmark
from objascale.benchmarks import names as benchmark_names
from objascale.choices import DATASET_FORMATS
from objascale.datasets.formats import open_dataset

FRAME = np.zeros((20, 30), np.uint8)
FRAME[5:12, 8:20] = 255


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([FRAME] * 3, -1)).save(path)


def mask(path: Path, values: np.ndarray = FRAME) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def indexed(path: Path) -> None:
    """Write a mask like DAVIS's: two objects by index, with a palette."""
    values = (FRAME > 0).astype(np.uint8)
    values[14:18, 2:6] = 2
    picture = Image.fromarray(values)
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def grabcut(folder: Path) -> None:
    image(folder / "data_GT/106024.jpg")
    values = FRAME.copy()
    values[4, 8:20] = 128  # a band that nobody labelled
    mask(folder / "boundary_GT/106024.bmp", values)


def berkeley(folder: Path) -> None:
    image(folder / "images/12003.jpg")
    mask(folder / "masks/12003#001.png")
    mask(folder / "masks/12003#002.png", FRAME[::-1])


def davis_frames(folder: Path) -> None:
    image(folder / "img/bear_00001.jpg")
    mask(folder / "gt/bear_00001.png")


def coco_mval(folder: Path) -> None:
    image(folder / "img/000000281693.jpg")
    mask(folder / "gt/airplane00_000000281693.png")


def davis(folder: Path) -> None:
    image(folder / "JPEGImages/480p/bear/00000.jpg")
    indexed(folder / "Annotations/480p/bear/00000.png")
    (folder / "ImageSets/2017").mkdir(parents=True)
    (folder / "ImageSets/2017/val.txt").write_text("bear\n")


def images_and_masks(folder: Path) -> None:
    """Write HRSOD's and ThinObject-5K's layout in the repository of the latter."""
    image(folder / "images/a_1.jpg")
    mask(folder / "masks/a_1.png")
    (folder / "list").mkdir()
    (folder / "list/test.txt").write_text("a_1.jpg\n")


def dis5k(folder: Path) -> None:
    image(folder / "DIS-VD/im/10#Aircraft#1#Plane#123.jpg")
    mask(folder / "DIS-VD/gt/10#Aircraft#1#Plane#123.png")


def isaid(folder: Path) -> None:
    image(folder / "val/images/P0003.png")
    mask(folder / "val/images/P0003_instance_id_RGB.png")
    about = {"file_name": "P0003.png", "ins_file_name": "P0003_instance_id_RGB.png", "width": 30, "height": 20, "id": 1}
    outline = [8, 5, 20, 5, 20, 12, 8, 12]
    found = {"id": 0, "image_id": 1, "category_id": 9, "segmentation": [outline], "category_name": "Small_Vehicle"}
    found |= {"iscrowd": 0, "area": 84, "bbox": [8, 5, 12, 7]}
    content = {"images": [about], "categories": [{"id": 9, "name": "Small_Vehicle"}], "annotations": [found]}
    (folder / "val/Annotations").mkdir()
    (folder / "val/Annotations/iSAID_val.json").write_text(json.dumps(content))


def coco(folder: Path, file: str = "annotations/instances_val2017.json") -> None:
    image(folder / "val2017/000000000139.jpg")
    about = {"id": 139, "width": 30, "height": 20, "file_name": "000000000139.jpg"}
    if file.startswith("lvis"):
        about = {
            "id": 139,
            "width": 30,
            "height": 20,
            "coco_url": "http://images.cocodataset.org/val2017/000000000139.jpg",
        }
    found = {"id": 1, "image_id": 139, "category_id": 1, "segmentation": [[8, 5, 20, 5, 20, 12, 8, 12]]}
    content = {
        "images": [about],
        "categories": [{"id": 1, "name": "cup", "synset": "cup.n.01"}],
        "annotations": [found],
    }
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(json.dumps(content))


def lvis(folder: Path) -> None:
    coco(folder, "lvis_v1_val.json")


WRITERS = {
    **{"grabcut": grabcut, "berkeley": berkeley, "davis-frames": davis_frames, "coco-mval": coco_mval, "davis": davis},
    **{"hrsod": images_and_masks, "thinobject5k": images_and_masks, "dis5k": dis5k, "isaid": isaid},
    **{"coco": coco, "lvis": lvis},
}
WITH_A_FORMAT_OF_THEIR_OWN = {"sa1b", "openimages", "hypersim", "kitti360"}  # their readers have their own tests


def test_every_data_set_has_a_known_format_and_a_sample_of_its_layout():
    assert set(CATALOGUE) == set(WRITERS) | WITH_A_FORMAT_OF_THEIR_OWN
    assert {each.format for each in CATALOGUE.values()} <= set(DATASET_FORMATS)
    assert {CATALOGUE[name].format for name in WITH_A_FORMAT_OF_THEIR_OWN} == WITH_A_FORMAT_OF_THEIR_OWN


@pytest.mark.parametrize("name", WRITERS)
def test_the_published_layout_opens_with_the_format_of_the_row(tmp_path, name, all_objects):
    chosen = CATALOGUE[name]
    assert not chosen.is_here(tmp_path)
    (tmp_path / name).mkdir()
    WRITERS[name](tmp_path / name)
    assert chosen.is_here(tmp_path)
    images = tmp_path / name / chosen.images if chosen.images else None
    dataset = open_dataset(chosen.path(tmp_path), None, images)
    assert len(all_objects(dataset)) == {"berkeley": 2, "davis": 2}.get(name, 1)
    assert dataset.skipped == {}
    assert open_dataset(chosen.path(tmp_path), chosen.format, images).name == dataset.name


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OBJASCALE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_list_has_every_data_set_and_says_which_are_here(bench):
    isaid(Path("data/isaid"))
    text = bench("datasets").stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.count("│") == 5]
    assert {name: here for name, here, *_ in rows if name} == {
        name: "yes" if name == "isaid" else "no" for name in (*CATALOGUE, *benchmark_names())
    }
    about = "".join(row[3].replace(" ", "") for row in rows)
    for each in CATALOGUE.values():
        for fact in (each.address, each.licence, each.layout, each.content):
            assert fact.replace(" ", "") in about


@pytest.mark.parametrize("name", CATALOGUE)
def test_one_data_set_is_printed_with_steps_and_the_command_to_run(bench, name):
    result = bench("datasets", name, "--root", "sets")
    assert result.exit_code == 0
    assert f"https://{CATALOGUE[name].address}" in result.stdout
    assert f"It is not in sets/{name}. To get it:\n1. " in result.stdout
    assert "{folder}" not in result.stdout
    assert result.stdout.splitlines()[-1].startswith(f"bench run --models flip-tiny,box --data sets/{name}")


@pytest.mark.parametrize("name", benchmark_names())
def test_a_frozen_benchmark_is_printed_with_its_command(bench, name):
    result = bench("datasets", name)
    assert result.exit_code == 0
    assert load_benchmark(name).content.about in result.stdout
    assert result.stdout.splitlines()[-1] == f"bench run --models flip-tiny,box --data {name} --out results/{name}"


def test_the_printed_command_runs(bench):
    isaid(Path("elsewhere/isaid"))
    result = bench("datasets", "isaid", "--root", "elsewhere")
    assert "It is here: elsewhere/isaid/val/Annotations/iSAID_val.json" in result.stdout
    command = result.stdout.splitlines()[-1].replace("flip-tiny,box", "box").split()
    assert bench(*command[1:]).exit_code == 0
    assert Path("results/isaid/results.parquet").is_file()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("isiad", "did you mean isaid?"),
        ("GrabCuts", "did you mean grabcut?"),
        ("objascale-mini", "did you mean objascale-mini-v1"),
        ("x", "there are grabcut"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(bench, name, hint):
    result = bench("datasets", name)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: no public data set is called '{name}'; {hint}")
    assert result.stderr.count("\n") == 1
