"""Workers that die, hang or fill the disk; the command line; killing and resuming a run."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from objascale.dataset import DatasetWriter, mask_of, read_annotations, read_journal
from objascale.engine import EngineSettings, Fatal, Worker, WorkerLost, run
from objascale.engine.local import LocalWorker
from objascale.engine.messages import Refused, Reply, Request
from objascale.plan import Plan
from objascale.progress import Pace
from objascale.records import CropRequest, RenderRequest
from objascale.refusal import REASONS
from objascale.rendering import ATTEMPTS_PER_SLOT, Rendering
from objascale.settings import PlanSettings, RenderSettings
from objascale.sources import Asset, folder
from objascale.spec import spec_id
from tests.objascale_runs import command, objascale

ENGINE = EngineSettings(workers=1, threads=1, device="cpu", timeout=120)
REQUEST = CropRequest(Asset("a/b", "a", Path("b.glb"), "0" * 64), (), (), (), Path("out"), 64, RenderSettings())
"""A request for tests in which no worker renders."""
SMALL = [
    "--preset",
    "full",
    "--max-px",
    "512",
    "--max-fraction",
    "0.01",
    "--samples",
    "4",
    "--no-denoise",
    "--seed",
    "3",
]
"""Options for images that render quickly."""


def test_an_error_names_a_worker_that_dies_or_hangs_and_it_is_replaced():
    worker = LocalWorker(ENGINE.model_copy(update={"timeout": 1.0}))
    try:
        worker._start()
        worker._process.send_signal(signal.SIGKILL)
        with pytest.raises(WorkerLost, match="died"):
            worker.ask(REQUEST)
        worker._start()
        worker._process.send_signal(signal.SIGSTOP)
        with pytest.raises(WorkerLost, match="did not answer within 1 s"):
            worker.ask(REQUEST)
        worker._start()
        assert worker.device == "CPU"
    finally:
        worker.stop()


def test_a_missing_device_is_fatal():
    worker = LocalWorker(ENGINE.model_copy(update={"device": "hip"}))
    with pytest.raises(Fatal, match="no hip device"):
        worker.ask(REQUEST)
    worker.stop()


def test_run_does_every_task_and_stops_at_the_first_error():
    three = [LocalWorker(ENGINE) for _ in range(3)]
    assert sorted(run(range(20), lambda task, _: task * task, three)) == [n * n for n in range(20)]
    done = []

    def work(task: int, _: Worker) -> int:
        done.append(task)
        if task == 3:
            raise Fatal("full")
        return task

    with pytest.raises(Fatal):
        list(run(range(1000), work, [LocalWorker(ENGINE)]))
    assert len(done) < 20


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> tuple[Path, Path]:
    """Write two small objects in two categories, one of them broken, and a folder of one map."""
    from objascale.color import blender_datafiles

    folder = tmp_path_factory.mktemp("material")
    for category in ("box", "wedge"):
        (folder / "objects" / category).mkdir(parents=True)
    corners = "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 2) for z in (0, 1.5))
    faces = "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
    (folder / "objects/box/crate.obj").write_text(corners + faces)
    (folder / "objects/wedge/door_stop.obj").write_text(corners + "f 1 2 4 3\nf 1 5 6 2\nf 5 3 4 6\nf 1 3 5\nf 2 6 4\n")
    (folder / "objects/wedge/broken.glb").write_bytes(b"glTF\x02\x00\x00\x00\xff\xff\x00\x00 cut short")
    (folder / "maps").mkdir()
    (folder / "maps/forest.exr").symlink_to(blender_datafiles() / "studiolights/world/forest.exr")
    return folder / "objects", folder / "maps"


def from_folder(material, *more: object) -> list[object]:
    return ["render", "--source", "folder", "--objects", material[0], "--hdris", material[1], *SMALL, *more]


@pytest.fixture(scope="module")
def undisturbed(material, tmp_path_factory) -> Path:
    """Return a data set of five images, rendered in one run."""
    out = tmp_path_factory.mktemp("undisturbed") / "set"
    result = objascale(*from_folder(material, "--n", 5, "--out", out, "--workers", 1))
    assert result.returncode == 0, result.stderr
    assert f"5 images in {out}" in result.stdout
    assert REASONS["truncated"] in result.stderr
    return out


def test_a_run_resumes_and_refuses_other_settings(material, undisturbed, tmp_path):
    out = Path(shutil.copytree(undisturbed, tmp_path / "set"))
    table = read_annotations(out)
    assert sorted(table.image_id) == list(range(5))
    assert set(Counter(table.category).values()) <= {2, 3}
    for row in table.to_dict("records"):
        assert (out / row["file"]).is_file()
        assert mask_of(row).area == row["area"] >= 4
        if row["area"] > 100:
            assert row["fraction"] == pytest.approx(row["target_fraction"], rel=0.1)
    failed = [record for record in read_journal(out) if record["status"] == "failed"]
    assert {record["kind"] for record in failed} <= {"truncated", "does-not-fit"}
    assert any("broken.glb" in record["message"] for record in failed)
    assert len(pd.read_parquet(out / "plan.parquet")) == 5

    before = {path: path.read_bytes() for path in out.glob("images/*/*")}
    again = objascale(*from_folder(material, "--n", 6, "--out", out))
    assert again.returncode == 0
    assert "5 of 6 images exist already" in again.stderr
    assert len(read_annotations(out)) == 6
    assert all(path.read_bytes() == data for path, data in before.items())

    other = objascale(*from_folder(material, "--n", 5, "--out", out, "--samples", 8))
    assert other.returncode == 1
    assert "render.samples: 4 → 8" in other.stderr
    assert "--out" in other.stderr


def test_killing_a_run_loses_and_doubles_no_image(material, undisturbed, tmp_path):
    killed = tmp_path / "killed"
    process = subprocess.Popen(command(*from_folder(material, "--n", 5, "--out", killed)), stderr=subprocess.DEVNULL)
    journal = killed / "journal.jsonl"
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.read_text().count('"done"') >= 2):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with journal.open("a") as file:
        file.write('{"slot": 4, "status": "do')  # as if the run had died while writing
    resumed = objascale(*from_folder(material, "--n", 5, "--out", killed))
    assert resumed.returncode == 0, resumed.stderr
    done = [record["slot"] for record in read_journal(killed) if record["status"] == "done"]
    assert sorted(done) == list(range(5))
    stable = ["image_id", "spec_id", "file", "area", "rle_counts", "image_sha256", "asset_id"]
    pd.testing.assert_frame_equal(read_annotations(undisturbed)[stable], read_annotations(killed)[stable])
    for path in undisturbed.glob("images/*/*"):
        assert (killed / path.relative_to(undisturbed)).read_bytes() == path.read_bytes()
    assert not list(killed.glob("images/*/.*"))


def test_a_killed_worker_costs_no_image(material, undisturbed, tmp_path):
    """The task of a killed worker is sent again; the images equal those of an undisturbed run."""
    out = tmp_path / "set"
    arguments = from_folder(material, "--n", 2, "--out", out, "--workers", 1)
    process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True)
    while not (out / "images").exists():
        assert process.poll() is None
        time.sleep(0.02)
    victims = [
        int(pid) for path in Path(f"/proc/{process.pid}/task").glob("*/children") for pid in path.read_text().split()
    ]
    assert len(victims) == 1
    os.kill(victims[0], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert not any(record.get("kind") == "worker-lost" for record in read_journal(out))
    files = sorted(path.relative_to(out) for path in out.glob("images/*/*"))
    assert len(files) == 2
    for file in files:
        assert (out / file).read_bytes() == (undisturbed / file).read_bytes()


class LossyWorker:
    """A worker that raises WorkerLost a given number of times."""

    def __init__(self, *losses: WorkerLost) -> None:
        self.losses = list(losses)
        self.asked = 0

    def ask(self, request: Request) -> Reply:
        self.asked += 1
        if self.losses:
            raise self.losses.pop(0)
        return Refused("no-geometry", "nothing there")

    def stop(self) -> None: ...


@pytest.mark.parametrize(
    ("losses", "asked", "reason"),
    [
        ([], 1, "no-geometry"),
        ([WorkerLost("died")], 2, "no-geometry"),
        ([WorkerLost("died"), WorkerLost("died again")], 2, "worker-lost"),
        ([WorkerLost("no answer", hung=True)], 1, "worker-lost"),
    ],
)
def test_a_second_death_or_a_first_hang_fails_the_task(material, tmp_path, losses, asked, reason):
    plan = Plan(folder.objects(material[0]), folder.environment_maps(material[1]), PlanSettings(), RenderSettings(), 1)
    worker = LossyWorker(*losses)
    rendering = Rendering(plan, DatasetWriter(tmp_path))
    (outcome,) = rendering.work(rendering.begin(), [worker], Pace(1))
    assert outcome.records[0]["kind"] == reason
    assert worker.asked == ATTEMPTS_PER_SLOT - 1 + asked
    assert outcome.records[0]["object_ids"] == [plan.draw(0).objects[0].object_id]
    if reason == "worker-lost":
        spec = plan.draw(0)
        assert f"{spec.objects[0].object_id} before {spec.map_id}" in outcome.records[0]["message"]


class RefusingWorker:
    """A worker that refuses every object, and notes which ones."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.asked: list[str] = []

    def ask(self, request: RenderRequest) -> Reply:
        (item,) = request.spec.objects
        self.asked.append(item.object_id)
        return Refused(self.kind, f"{item.object_id} is refused", "", item.sha256)

    def stop(self) -> None: ...


@pytest.mark.parametrize(("kind", "again"), [("no-geometry", False), ("missing-file", True)])
def test_a_refused_object_is_imported_once_in_a_run(material, tmp_path, kind, again):
    """A later run imports it again if other files can have changed the result."""
    things = folder.objects(material[0])
    plan = Plan(things, folder.environment_maps(material[1]), PlanSettings(), RenderSettings(), 2)
    asked = []
    for slots in ([0], [0, 1]):
        worker = RefusingWorker(kind)
        rendering = Rendering(plan, DatasetWriter(tmp_path))
        rendering.begin()
        list(rendering.work(slots, [worker], Pace(1)))
        asked.append(worker.asked)
        assert len(set(worker.asked)) == len(worker.asked) <= len(things)
    assert asked[0]
    assert bool(set(asked[0]) & set(asked[1])) == again
    failed = [record for record in read_journal(tmp_path) if record["status"] == "failed"]
    assert len(failed) == 2 * ATTEMPTS_PER_SLOT
    for record in failed:
        assert record["message"] == f"{record['object_ids'][0]} is refused"
        assert record["spec_id"] == spec_id(plan.draw(record["slot"], record["attempt"]), plan.render)


@pytest.mark.parametrize(("number", "code", "workers"), [(signal.SIGINT, 130, 2), (signal.SIGTERM, 143, 1)])
def test_an_interrupted_dataset_can_be_resumed(material, tmp_path, number, code, workers):
    out = tmp_path / "set"
    process = subprocess.Popen(
        command(*from_folder(material, "--n", 40, "--out", out, "--workers", workers)),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background processes of a shell ignore it
    )
    while not (out / "images").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "finishing the work at hand" in errors
    assert "run the same command again to continue" in errors
    assert "Traceback" not in errors
    records = read_journal(out)
    assert all(record.get("kind") != "worker-lost" for record in records)
    done = [record["slot"] for record in records if record["status"] == "done"]
    assert sorted(done) == sorted(read_annotations(out)["image_id"].unique())  # at least the image in progress
    assert 0 < len(done) < 40


def test_a_full_disk_ends_the_run_with_an_error(material, tmp_path):
    """A limit on the file size simulates the full disk: images fail, small files still work."""
    out = tmp_path / "set"
    result = objascale(
        *from_folder(material, "--n", 1, "--out", out),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000)),
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "error: cannot write" in result.stderr
    assert not list(out.glob("images/*/*"))
    assert objascale(*from_folder(material, "--n", 1, "--out", out)).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["render", "--n", 0], "--n", 2),
        (["render", "--min-px", 600, "--max-px", 512], "--min-px 600 is above --max-px 512", 2),
        (["render", "--max-px", 512, "--min-area", 90000], "no mask of 90000 px is possible: --max-fraction 0.3", 2),
        (["render", "--samples", 0], "--samples", 2),
        (["render", "--noise", -1], "--noise", 2),
        (["render", "--shard", "9/8"], "--shard 9/8 should be I/N", 2),
        (["render", "--source", "folder"], "--objects", 1),
        (["render", "--source", "folder", "--objects", "/nowhere"], "/nowhere does not exist", 1),
        (["render", "--source", "starter", "--objects", "/nowhere"], "--source folder", 1),
        (["render", "--hdris", "/nowhere"], "/nowhere does not exist", 1),
        (["render", "--source", "moon"], "moon", 2),
        (["rendr"], "rendr", 2),
    ],
)
def test_common_errors_have_clear_messages(arguments, words, code):
    result = objascale(*arguments)
    assert result.returncode == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_empty_and_unusable_folders_are_errors(material, tmp_path):
    (tmp_path / "empty").mkdir()
    result = objascale("render", "--source", "folder", "--objects", tmp_path / "empty", "--hdris", material[1])
    assert (result.returncode, "no objects in" in result.stderr) == (1, True)
    (tmp_path / "file").write_text("")
    result = objascale(*from_folder(material, "--n", 1, "--out", tmp_path / "file" / "set"))
    assert result.returncode == 1
    assert "cannot write to" in result.stderr
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/none.exr").write_bytes(b"no map")
    result = objascale(*from_folder((material[0], tmp_path / "maps"), "--n", 1, "--out", tmp_path / "set"))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "none.exr is no EXR file" in result.stderr.replace("\n", " ")
    (tmp_path / "maps/cut.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 8\n" + bytes(40))
    result = objascale(*from_folder((material[0], tmp_path / "maps"), "--n", 1, "--out", tmp_path / "set"))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    reasons = {record.get("kind") for record in read_journal(tmp_path / "set")}
    assert "bad-map" in reasons


def test_help_has_an_example(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "Example: objascale render" in objascale("render", "--help").stdout
    assert "render" in objascale("--help").stdout
