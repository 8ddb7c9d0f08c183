"""One plan rendered in shards and on a Ray cluster that loses a node gives the same images."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pandas as pd
import pytest

from objascale.dataset import read_annotations, read_journal
from objascale.files import file_sha256
from objascale.progress import Pace
from tests.ray_clusters import lose_second_node, two_nodes

STABLE = ["image_id", "object_id", "spec_id", "file", "area", "rle_counts", "image_sha256", "asset_id", "visible"]
N = 6


@pytest.fixture(scope="module")
def planned(made, run_objascale, tmp_path_factory) -> Path:
    """Return a plan of N small images of one to three objects."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    result = run_objascale(
        *("plan", "--objects", made.objects, "--hdris", made.hdris, "--out", path, "--n", N, "--max-px", 512),
        *("--preset", "full", "--max-fraction", 0.01, "--max-objects", 3, "--samples", 4, "--no-denoise"),
    )
    assert result.returncode == 0, result.stderr
    assert f"{N} images of 2 objects in 2 categories" in result.stdout
    return path


@pytest.fixture(scope="module")
def whole(planned, run_objascale, tmp_path_factory) -> Path:
    """Return the plan rendered on this machine in one run."""
    folder = tmp_path_factory.mktemp("whole") / "set"
    result = run_objascale("render", "--plan", planned, "--out", folder, "--workers", 1)
    assert result.returncode == 0, result.stderr
    return folder


def assert_same(one: Path, other: Path) -> None:
    pd.testing.assert_frame_equal(read_annotations(one)[STABLE], read_annotations(other)[STABLE])
    files = sorted(path.relative_to(one) for path in one.glob("images/*/*"))
    assert files == sorted(path.relative_to(other) for path in other.glob("images/*/*"))
    for file in files:
        assert (one / file).read_bytes() == (other / file).read_bytes()


def test_shards_merge_into_the_same_dataset(planned, whole, run_objascale, tmp_path):
    out = tmp_path / "set"
    shards = [tmp_path / f"set.{i}of3" for i in (1, 2, 3)]
    for i in (1, 2):
        options = ("--plan", planned, "--out", out, "--shard", f"{i}/3", "--workers", 1, "--depth")
        result = run_objascale("render", *options)
        assert result.returncode == 0, result.stderr
        assert f"{N // 3} images in {shards[i - 1]}" in result.stdout
    partial = run_objascale("merge", *shards[:2], "--out", out)
    assert f"{N // 3} of {N} are missing" in partial.stdout
    last = ("render", "--plan", planned, "--out", out, "--shard", "3/3", "--workers", 1)
    assert run_objascale(*last, "--depth").returncode == 0
    refused = run_objascale(*last)
    assert refused.returncode == 1
    assert "was rendered with other settings (depth: True → None)" in refused.stderr.replace("\n", " ")
    for _ in range(2):  # the second run has nothing left to do
        merged = run_objascale("merge", *shards, "--out", out)
        assert (merged.returncode, merged.stdout) == (0, f"{N} images in {out}\n"), merged.stderr
        assert_same(whole, out)
        attempts = [(r["slot"], r["attempt"]) for r in read_journal(out) if r["status"] != "progress"]
        assert len(attempts) == len(set(attempts))
    assert run_objascale("verify", out).returncode == 0
    assert len([*out.glob("depth/000/*.exr")]) == N  # and `whole`, whose images are the same, has none
    assert not (whole / "depth").exists()


def rendered_elsewhere(shard: Path, copy: Path) -> Path:
    """Return a copy of a shard as of another kind of processor: some pixels differ by 1 of 255, and so do the bytes."""
    shutil.copytree(shard, copy)
    records = read_journal(copy)
    for record in records:
        if record["status"] == "done":
            file = copy / record["annotations"][0]["file"]
            picture = cv2.imread(str(file))
            picture[0, :5] ^= 1
            cv2.imwrite(str(file), picture)
            for row in record["annotations"]:
                row["image_sha256"] = file_sha256(file)
    (copy / "journal.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return copy


def test_shards_of_different_processors_merge_and_the_first_picture_is_kept(whole, run_objascale, tmp_path):
    other = rendered_elsewhere(whole, tmp_path / "other")
    out = tmp_path / "set"
    merged = run_objascale("merge", whole, other, "--out", out)
    assert (merged.returncode, merged.stdout) == (0, f"{N} images in {out}\n"), merged.stderr
    assert_same(whole, out)
    result = run_objascale("verify", out)
    assert result.returncode == 0, result.stdout


def test_an_image_with_different_attempts_in_two_shards_is_merged_once(whole, run_objascale, tmp_path):
    """Of two shards with the same slots, one needed a second attempt because a worker was lost or too slow."""
    other = rendered_elsewhere(whole, tmp_path / "other")
    records = []
    for record in read_journal(other):
        if record["status"] == "done":
            failure = {key: record[key] for key in ("slot", "attempt", "spec_id")}
            failure |= {"status": "failed", "kind": "worker-lost", "reason": "lost", "message": "", "object_ids": []}
            records.append(failure)
            record["attempt"] += 1
        records.append(record)
    (other / "journal.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for first, second in ((whole, other), (other, whole)):
        out = tmp_path / f"{first.name} first"
        assert run_objascale("merge", first, second, "--out", out).stdout == f"{N} images in {out}\n"
        slots = [record["slot"] for record in read_journal(out) if record["status"] == "done"]
        assert sorted(slots) == list(range(N))
        for row in read_annotations(out).itertuples():
            assert (out / row.file).read_bytes() == (first / row.file).read_bytes()

    unfinished = [record for record in records if record["status"] == "failed"]
    (other / "journal.jsonl").write_text("".join(json.dumps(record) + "\n" for record in unfinished))
    merged = run_objascale("merge", other, whole, "--out", tmp_path / "third")
    assert merged.stdout == f"{N} images in {tmp_path / 'third'}\n"


def test_a_merge_refuses_other_data_sets_and_missing_images(planned, whole, made, run_objascale, tmp_path):
    def refused(*shards: object) -> str:
        result = run_objascale("merge", *shards, "--out", tmp_path / "out")
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        return result.stderr

    assert "is not an ObjaScale dataset" in refused(tmp_path)
    assert f"{whole} and {made.folder} are two different datasets" in refused(whole, made.folder)
    shard = Path(shutil.copytree(whole, tmp_path / "shard"))
    victim = next(shard.glob("images/*/*"))
    victim.unlink()
    assert f"{victim} is missing" in refused(shard)


def test_bad_options_are_errors(planned, run_objascale, tmp_path):
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(planned.read_text().replace("old.obj", "new.obj"))
    for arguments, words in (
        (("--plan", planned, "--n", 4), "--n cannot be given with --plan"),
        (("--plan", tmp_path / "none.json"), "there is no plan"),
        (("--plan", elsewhere), "1 of the assets of"),
        (("--plan", planned, "--shard", "4/3"), "--shard 4/3"),
        (("--plan", planned, "--engine", "ray", "--address", "127.0.0.1:1"), "no Ray cluster at 127.0.0.1:1"),
        (("--categories", "spoon,fork", "--source", "starter"), "there is no 'spoon'"),
        (("--categories", "400", "--source", "starter"), "this source has"),
    ):
        result = run_objascale("render", *arguments, "--out", tmp_path / "set")
        assert result.returncode in (1, 2)
        assert words in result.stderr
        assert "Traceback" not in result.stderr


def test_a_ray_cluster_may_lose_a_node(planned, whole, tmp_path):
    """The node that is lost is not the head. All images are there and equal."""
    out, process = tmp_path / "set", None
    with two_nodes() as cluster:
        try:
            command = ["render", "--plan", planned, "--out", out, "--engine", "ray", "--address", cluster.address]
            process = subprocess.Popen(
                [sys.executable, "-m", "objascale.cli", *map(str, command)], stderr=subprocess.PIPE, text=True
            )
            journal = out / "journal.jsonl"
            while not (journal.exists() and journal.read_text().count('"done"') >= 2):
                assert process.poll() is None
                time.sleep(0.05)
            lose_second_node(cluster)
            _, errors = process.communicate(timeout=300)
        finally:
            if process is not None:
                process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert_same(whole, out)
    assert all(record.get("kind") != "worker-lost" for record in read_journal(out))


def test_the_journal_records_the_pace(whole):
    last = read_journal(whole)[-1]
    assert (last["status"], last["done"], last["of"], last["seconds_left"]) == ("progress", N, N, 0)
    assert last["images_per_minute"] > 0


def test_the_pace_gives_images_per_minute_and_time_left():
    now = 100.0
    pace = Pace(total=10, clock=lambda: now)
    assert pace.seconds_left is None
    now, pace.done, pace.replaced = 160.0, 4, 1
    assert (pace.per_minute, pace.seconds_left) == (4.0, 90.0)
    assert str(pace) == "4.0 a minute, 1 replaced, 0:01:30 left"
    assert json.loads(json.dumps(pace.record()))["seconds_left"] == 90
