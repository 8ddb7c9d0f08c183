"""A data set is frozen, rendered again from the frozen file, and recognised; everything that differs is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import pandas as pd
import pytest

import objascale.benchmarks as benchmarks
from objascale.benchmarks import BENCHMARK_FILE, data_folder, load_benchmark, names
from objascale.benchmarks.obtaining import dataset_path
from objascale.dataset import DatasetError, read_annotations
from objascale.datasets.formats import open_dataset
from objascale.files import file_sha256
from objascale.settings import PlanSettings, RenderSettings


@pytest.fixture(scope="session")
def frozen(made, tmp_path_factory, run_objascale) -> Path:
    """Return the file of a benchmark of five pictures."""
    file = tmp_path_factory.mktemp("frozen") / "crates-v1.json"
    result = run_objascale("freeze", made.folder, "--name", "crates-v1", "--about", "Crates.", "--out", file)
    assert result.returncode == 0, result.stderr
    assert "crates-v1 pins 5 masks" in result.stdout
    return file


@pytest.fixture(scope="session")
def again(made, frozen, tmp_path_factory, run_objascale) -> Path:
    """Return the data set that the file of the benchmark makes."""
    folder = tmp_path_factory.mktemp("again") / "set"
    assets = ("--objects", made.objects, "--hdris", made.hdris)
    result = run_objascale("render", frozen, *assets, "--out", folder, "--workers", 1)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def copy(again, tmp_path) -> Path:
    """Return a copy of the data set of the benchmark that a test may damage."""
    return Path(shutil.copytree(again, tmp_path / "copy"))


def rewrite(folder: Path, change) -> None:
    """Change the rows of a data set, in its annotations and its journal."""
    table = change(pd.read_parquet(folder / "annotations.parquet"))
    table.to_parquet(folder / "annotations.parquet")
    kept = {int(row["image_id"]): row for row in table.to_dict("records")}
    lines = []
    for line in (folder / "journal.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["status"] == "done":
            if record["slot"] not in kept:
                continue
            for row in record["annotations"]:
                row.update({key: kept[record["slot"]][key] for key in ("rle_counts", "image_sha256")})
        lines.append(json.dumps(record))
    (folder / "journal.jsonl").write_text("\n".join(lines) + "\n")


def test_a_data_set_that_was_rendered_from_the_frozen_file_is_the_benchmark(again, made, run_objascale):
    result = run_objascale("verify", again)
    assert result.returncode == 0, result.stdout
    assert f"{again} is crates, version 1: all 5 masks are equal, and all pictures agree\n" in result.stdout
    dataset = open_dataset(again)
    assert dataset.name == "crates-v1"
    assert dataset.benchmark is not None
    assert (dataset.benchmark["name"], dataset.benchmark["version"]) == ("crates", 1)
    assert list(read_annotations(again)["rle_counts"]) == list(read_annotations(made.folder)["rle_counts"])


def test_the_frozen_file_has_no_path_of_the_machine(frozen, made):
    content = json.loads(frozen.read_text())
    assert content["request"] == {"source": "folder", "seed": 3}
    assert str(made.objects.parent) not in frozen.read_text()
    assert content["objects"].keys() == {"crate/old", "wedge/stop"}
    assert all(len(sha256) == 64 for sha256 in (*content["objects"].values(), *content["maps"].values()))


def test_a_changed_mask_is_named(copy, run_objascale):
    def swap(table):
        return table.assign(rle_counts=[table["rle_counts"][1], *table["rle_counts"][1:]])

    rewrite(copy, swap)
    result = run_objascale("verify", copy)
    assert result.returncode == 1
    assert "images/000/000000.png: the mask of object 0 is not that of crates-v1\n" in result.stdout
    assert f"{copy} is not crates, version 1: the lines above name the differences" in result.stdout


def test_a_missing_picture_is_named_and_rendered_by_the_same_command(copy, frozen, made, run_objascale):
    rewrite(copy, lambda table: table[table["image_id"] != 4])
    (copy / "images/000/000004.png").unlink()
    result = run_objascale("verify", copy)
    assert "images/000/000004.png: crates-v1 has this picture, the data set has not\n" in result.stdout
    with pytest.raises(DatasetError, match="is not crates-v1: 1 of 5 pictures are missing or have other masks"):
        open_dataset(copy)
    command = ("render", frozen, "--objects", made.objects, "--hdris", made.hdris, "--out", copy, "--workers", 1)
    result = run_objascale(*command)
    assert "4 of 5 images exist already" in result.stderr
    assert "is crates, version 1" in run_objascale("verify", copy).stdout


def test_another_picture_under_equal_masks_is_named(copy, run_objascale):
    path = copy / "images/000/000002.png"
    cv2.imwrite(str(path), cv2.convertScaleAbs(cv2.imread(str(path)), alpha=0.7))

    def hashed(table):
        return table.assign(image_sha256=[file_sha256(copy / file) for file in table["file"]])

    rewrite(copy, hashed)
    result = run_objascale("verify", copy)
    assert "images/000/000002.png: it is not that of crates-v1: its colours differ by" in result.stdout


def test_a_folder_of_another_benchmark_is_refused(again, frozen, made, tmp_path, run_objascale):
    other = tmp_path / "other.json"
    other.write_text(frozen.read_text().replace("crates-v1", "crates-v2"))
    result = run_objascale("render", other, "--objects", made.objects, "--hdris", made.hdris, "--out", again)
    assert result.returncode == 1
    assert f"{again} holds crates-v1, not crates-v2; give another folder with --out" in " ".join(result.stderr.split())


def test_changed_and_missing_assets_are_named(frozen, made, tmp_path, run_objascale):
    objects = Path(shutil.copytree(made.objects, tmp_path / "objects"))

    def refusal(*options) -> str:
        result = run_objascale("render", frozen, "--hdris", made.hdris, "--out", tmp_path / "set", *options)
        assert result.returncode == 1
        return " ".join(result.stderr.split())

    assert "the objects of crates-v1 are in no public source; give their folder with --objects" in refusal()
    with (objects / "crate/old.obj").open("a") as file:
        file.write("# another file\n")
    assert "crate/old is not the file that crates-v1 pins" in refusal("--objects", objects)
    shutil.rmtree(objects / "wedge")
    (objects / "credits.csv").unlink()
    assert "crates-v1 needs 1 assets that its source does not have, such as wedge/stop" in refusal("--objects", objects)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("render", "objascale-mini-v7"), "there is no benchmark objascale-mini-v7; did you mean objascale-mini-v1"),
        (("render", "nothing"), "there is no benchmark nothing; there are"),
        (("render", "objascale-mini-v1", "--n", 5), "--n cannot be given with objascale-mini-v1, which fixes them"),
        (("render", "objascale-mini-v1", "--plan", "p.json"), "--plan cannot be given with objascale-mini-v1"),
    ],
)
def test_a_wrong_command_is_refused_in_one_sentence(arguments, says, run_objascale):
    result = run_objascale(*arguments)
    assert result.returncode in (1, 2)
    assert says in " ".join(result.stderr.split())


def test_a_damaged_file_is_refused_in_one_sentence(frozen, tmp_path, run_objascale):
    content = json.loads(frozen.read_text())
    for changed, says in (
        ({**content, "pictures": content["pictures"][:3]}, "pins 3 of 5 pictures, so it is damaged"),
        ({**content, "name": "Crates"}, "is no frozen benchmark (name"),
        ({**content, "n": "many"}, "is no frozen benchmark (n"),
    ):
        (tmp_path / "bad.json").write_text(json.dumps(changed))
        result = run_objascale("render", tmp_path / "bad.json", "--out", tmp_path / "set")
        assert result.returncode == 1
        assert says in " ".join(result.stderr.split())


def test_only_a_complete_sound_data_set_is_frozen_under_a_new_name(copy, tmp_path, run_objascale):
    def refusal(name: str) -> str:
        result = run_objascale("freeze", copy, "--name", name, "--out", tmp_path / "file.json")
        assert result.returncode in (1, 2)
        assert not (tmp_path / "file.json").exists()
        return " ".join(result.stderr.split())

    assert "give a name in lower case that ends in its version" in refusal("crates")
    (copy / "images/000/000001.png").write_bytes(b"nothing")
    assert "is damaged (images/000/000001.png: the file is not an image)" in refusal("crates-v2")
    rewrite(copy, lambda table: table[table["image_id"] != 4])
    (copy / "images/000/000004.png").unlink()
    assert "lacks 1 of 5 pictures" in refusal("crates-v2")


def test_shards_of_a_benchmark_merge_to_the_benchmark(again, tmp_path, run_objascale):
    result = run_objascale("merge", again, "--out", tmp_path / "merged")
    assert result.returncode == 0, result.stderr
    assert open_dataset(tmp_path / "merged").name == "crates-v1"


def test_a_shipped_benchmark_is_rendered_on_first_use_only(tmp_path, monkeypatch, capsys):
    """A picture of a starter object; its mask is not pinned, so that no second rendering is needed."""
    content = json.loads((benchmarks.SHIPPED / "objascale-mini-v1.json").read_text())
    plan = PlanSettings(min_px=64, max_px=64, min_fraction=0.01).model_dump()
    render = RenderSettings(samples=1, denoise=False).model_dump()
    (tmp_path / "shipped").mkdir()
    small = {**content, "name": "tiny-v1", "n": 1, "plan": plan, "render": render, "pictures": []}
    (tmp_path / "shipped/tiny-v1.json").write_text(json.dumps(small))
    monkeypatch.setattr(benchmarks, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr("objascale.benchmarks.obtaining.data_folder", lambda benchmark: tmp_path / "data")
    monkeypatch.setattr("objascale.engine.local.available_cores", lambda: 1)
    monkeypatch.chdir(tmp_path)
    assert dataset_path("tiny-v1") == tmp_path / "data"
    said = " ".join(capsys.readouterr().err.split())
    assert f"rendering the missing pictures of tiny-v1 into {tmp_path / 'data'}" in said
    assert open_dataset(tmp_path / "data").name == "tiny-v1"
    assert (tmp_path / "data" / BENCHMARK_FILE).read_bytes() == (tmp_path / "shipped/tiny-v1.json").read_bytes()
    assert dataset_path("tiny-v1") == tmp_path / "data"
    assert "rendering" not in capsys.readouterr().err


@pytest.mark.parametrize("name", names())
def test_every_shipped_benchmark_can_be_read_and_balances_its_pictures(name):
    benchmark = load_benchmark(name)
    assert benchmark.name == name
    assert data_folder(benchmark).name == name
    assert benchmark.content.plan.balance
    assert benchmark.content.about


@pytest.mark.slow
def test_objascale_mini_is_itself_when_it_is_rendered_here(tmp_path, run_objascale):
    """About 40 minutes of one core."""
    assert load_benchmark("objascale-mini-v1").content.pictures
    rendered = run_objascale("render", "objascale-mini-v1", "--out", tmp_path / "mini")
    assert rendered.returncode == 0, rendered.stderr
    result = run_objascale("verify", tmp_path / "mini")
    assert "is objascale-mini, version 1: all" in result.stdout, result.stdout
