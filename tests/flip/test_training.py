"""The training loop: it learns, resumes, reports errors, and gives the same result in two processes."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from flip.checkpoint import load_model
from flip.cli import app
from flip.devices import computes_bfloat16
from flip.gaussian import Gaussian
from flip.paper.model import Flip
from flip.paper.predictor import PaperPredictor
from flip.training.checkpoint import CHECKPOINT_FILE
from flip.training.command import _printer
from flip.training.config import Config, Optimiser, Phase, TrainingError, read_config
from flip.training.journal import METRICS_FILE, Journal, StepReport
from flip.training.loader import BatchLoader, make_loader
from flip.training.loop import Machine, learning_rate, train
from flip.training.tasks import task_of
from flip.training.validation import load_validation
from objascale.progress import show_progress
from objascale.scenes import Scene, SceneError

QUICK = Machine(accelerator="cpu", devices=1, precision="fp32", workers=0)
SMALL = Config(
    model="flip-s",
    scenes=2,
    masks=2,
    phases=(Phase(steps=3, tokens=16, outputs=12), Phase(steps=3, tokens=24, outputs=16, half=True)),
    optimiser=Optimiser(rate=1e-3, warmup=2),
    save_every=2,
)


@dataclass(frozen=True)
class Ellipses:
    """Two bright ellipses on a dark background; every `broken`-th scene fails."""

    broken: int = 0
    dark: int = 40

    def scene(self, position: int) -> Scene:
        if self.broken and position % self.broken == self.broken - 1:
            raise SceneError(f"scene {position} is broken")
        rng = np.random.default_rng((7, position))
        image = rng.integers(0, self.dark, (96, 128, 3), dtype=np.uint8)
        masks = []
        for x in (35, 90):
            shape = Gaussian.from_ellipse(
                x, rng.uniform(40, 56), rng.uniform(8, 16), rng.uniform(5, 14), math.degrees(rng.uniform(0, 3))
            )
            masks.append(shape.ellipse_mask(128, 96))
            image[masks[-1].full()] += np.uint8(150)
        return Scene(image, masks, f"ellipses {position}")


def losses_of(out: Path) -> list[tuple[float, float, float]]:
    lines = [json.loads(line) for line in (out / METRICS_FILE).read_text().splitlines()]
    return [(line["mask"], line["position"], line["box"]) for line in lines]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run. Tests that change it copy it first."""
    out = tmp_path_factory.mktemp("finished") / "run"
    train(SMALL, Ellipses(), out, QUICK)
    return out


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder of a finished run."""
    return Path(shutil.copytree(finished, tmp_path / "copied"))


def test_a_batch_depends_on_its_number_only() -> None:
    straight = list(BatchLoader(Ellipses(), SMALL, 0))
    assert len(straight) == SMALL.steps
    later = next(iter(pickle.loads(pickle.dumps(BatchLoader(Ellipses(), SMALL, 4))))).batch
    halves = [BatchLoader(Ellipses(), SMALL, 4, rank, 2).batch(4).batch for rank in range(2)]
    fifth = straight[4].batch
    assert torch.equal(later.gaussian, fifth.gaussian)
    assert torch.equal(torch.cat([half.gaussian for half in halves]), fifth.gaussian)
    assert all(torch.equal(later.inputs.pixels[p], fifth.inputs.pixels[p]) for p in later.inputs.pixels)
    with torch.random.fork_rng():
        by_workers = list(make_loader(BatchLoader(Ellipses(), SMALL, 0), 2))
    for one, other in zip(straight, by_workers, strict=True):
        assert one.names == other.names
        pixels, others = one.batch.inputs.pixels, other.batch.inputs.pixels
        assert all(torch.equal(pixels[p], others[p]) for p in pixels)


def test_loaders_start_after_opencv_has_used_threads() -> None:
    """A forked process would wait forever for OpenCV threads of its parent."""
    code = (
        "import sys, cv2, numpy as np\n"
        f"sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from test_training import SMALL, Ellipses\n"
        "from flip.training.loader import BatchLoader, make_loader\n"
        "class Blurred(Ellipses):\n"
        "    def scene(self, position):\n"
        "        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 3)\n"
        "        return super().scene(position)\n"
        "cv2.setNumThreads(4)\n"
        "Blurred().scene(0)\n"
        "print(len(list(make_loader(BatchLoader(Blurred(), SMALL), 1))))\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert done.stdout.strip() == str(SMALL.steps), done.stderr[-2000:]


def test_numbers_of_tokens_vary_about_their_mean() -> None:
    config = SMALL.model_copy(update={"phases": (Phase(steps=200, tokens=24, outputs=12),)})
    counts = [BatchLoader(Ellipses(), config, 0).batch(k).batch.inputs.layout.real.shape[1] for k in range(60)]
    assert max(counts) <= 36
    assert len(set(counts)) > 8


def test_it_learns_one_scene(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class One:
        def scene(self, position: int) -> Scene:
            return Ellipses().scene(0)

    phase = Phase(steps=80, tokens=24, outputs=24)
    config = SMALL.model_copy(
        update={"phases": (phase,), "save_every": 1000, "optimiser": Optimiser(rate=2e-3, warmup=10, ema=0.8)}
    )
    path = train(config, One(), tmp_path, QUICK)
    losses = losses_of(tmp_path)
    assert losses[-1][0] < losses[0][0] / 2
    scene = Ellipses().scene(0)
    model = load_model(path)
    assert isinstance(model, Flip)
    predictor = PaperPredictor(model, tokens=24)
    assert predictor.outputs == 24
    predictor.set_image(scene.image)
    ious = [predictor.predict(mask=mask).iou(mask) for mask in scene.masks]
    assert min(ious) > 0.4


def test_an_interrupted_run_has_the_same_losses(finished: Path, tmp_path: Path, killed_after) -> None:
    """The run is killed after step 5, with a checkpoint of step 4, and started again."""
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, Ellipses(), tmp_path / "killed", QUICK, report=killed_after(5))
    assert len(losses_of(tmp_path / "killed")) == 5
    train(SMALL, Ellipses(), tmp_path / "killed", QUICK)
    losses = losses_of(finished)
    assert losses_of(tmp_path / "killed") == losses
    assert losses[-1] != losses[0]
    ends = [load_model(run / "flip-s.safetensors").state_dict() for run in (tmp_path / "killed", finished)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_has_a_checkpoint_of_its_last_step(write_discs, tmp_path, number: int, code: int):
    """The signal also reaches the loader process, like that of a terminal or a job scheduler."""
    data, out = write_discs(tmp_path / "data", 4), tmp_path / "run"
    config = tmp_path / "small.toml"
    config.write_text(
        'model = "flip-s"\nscenes = 2\nmasks = 1\nsave_every = 100_000\n'
        "[[phases]]\nsteps = 5_000\ntokens = 16\noutputs = 12\n"
        "[optimiser]\nrate = 1e-3\n"
    )
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "flip.cli", "train", "--data", str(data), "--config", str(config)),
            *("--out", str(out), "--device", "cpu"),
        ],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # background processes of a shell ignore it
    )
    metrics = out / METRICS_FILE
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") >= 2):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors
    assert "run the same command again to continue from the checkpoint" in errors
    assert "Traceback" not in errors
    step = torch.load(out / CHECKPOINT_FILE, weights_only=True)["step"]
    assert step == len(losses_of(out)) >= 2


def test_training_starts_from_given_weights(copied: Path, tmp_path: Path) -> None:
    """A learning rate near 0 keeps the weights. Auxiliary layers have new weights. Other models are refused."""
    first = copied / "flip-s.safetensors"
    still = SMALL.model_copy(update={"optimiser": Optimiser(rate=1e-12, decay=0)})
    second = train(still, Ellipses(), tmp_path / "second", QUICK, initial_weights=first)
    before, after = (load_model(path).state_dict() for path in (first, second))
    assert all(torch.allclose(after[name], before[name], atol=1e-6) for name in before)
    assert losses_of(tmp_path / "second")[0] != losses_of(copied)[0]
    larger = SMALL.model_copy(update={"model": "flip-m"})
    with pytest.raises(TrainingError, match="holds another model"):
        train(larger, Ellipses(), tmp_path / "third", QUICK, initial_weights=first)
    first.write_bytes(b"no weights")
    with pytest.raises(TrainingError, match="cannot start from these weights"):
        train(SMALL, Ellipses(), tmp_path / "fourth", QUICK, initial_weights=first)
    assert not (tmp_path / "fourth" / CHECKPOINT_FILE).exists()


@pytest.mark.parametrize("name", ["radam", "muon"])
def test_every_other_optimiser_learns_and_resumes_with_the_same_losses(name: str, tmp_path: Path, killed_after) -> None:
    assert SMALL.optimiser.name == "adamw"
    config = SMALL.model_copy(update={"optimiser": Optimiser(name=name, rate=1e-3, warmup=2)})
    train(config, Ellipses(), tmp_path / "straight", QUICK)
    with pytest.raises(KeyboardInterrupt):
        train(config, Ellipses(), tmp_path / "killed", QUICK, report=killed_after(4))
    train(config, Ellipses(), tmp_path / "killed", QUICK)
    losses = losses_of(tmp_path / "straight")
    assert losses_of(tmp_path / "killed") == losses
    assert losses[-1] != losses[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # both are PyTorch's
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_compiled_blocks_have_the_same_losses(tmp_path: Path) -> None:
    train(SMALL, Ellipses(), tmp_path / "plain", QUICK)
    train(SMALL, Ellipses(), tmp_path / "compiled", replace(QUICK, compile=True))
    assert np.allclose(losses_of(tmp_path / "compiled"), losses_of(tmp_path / "plain"), rtol=1e-3, atol=1e-4)


def test_validation_uses_the_number_of_patches_of_training() -> None:
    """Validation has one glance with the number of patches of the phase."""
    for name in ("flip-s", "flip-s-compositions"):
        config = read_config(name)
        task = task_of(config)
        model = task.model()
        for phase in config.phases:
            predictor = task.predictor(model, phase, torch.device("cpu"))
            assert (predictor.sampling.tokens, predictor.sampling.glances) == (phase.tokens, 1)


def test_a_finished_run_makes_no_further_steps(copied: Path) -> None:
    first = (copied / "flip-s.safetensors").read_bytes()
    events: list[object] = []
    assert train(SMALL, Ellipses(), copied, QUICK, report=events.append).read_bytes() == first
    assert events == []


def test_two_processes_train_as_one(finished: Path, tmp_path: Path) -> None:
    """Two gloo ranks with half of each batch give the parameters of one process, up to rounding.

    Only one of them writes the weights, and both return their path.
    """
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\n"
        f"sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from pathlib import Path\n"
        "from test_training import SMALL, Ellipses, QUICK\n"
        "from dataclasses import replace\n"
        "from flip.training import loop\n"
        f"log = open({str(tmp_path / 'log')!r}, 'a')\n"
        "write = loop.export_weights\n"
        "loop.export_weights = lambda *arguments: (print('written', file=log, flush=True), write(*arguments))\n"
        "if __name__ == '__main__':\n"
        f"    path = loop.train(SMALL, Ellipses(), Path({str(tmp_path / 'two')!r}), replace(QUICK, devices=2))\n"
        "    print('there' if path.is_file() else 'missing', file=log, flush=True)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted((tmp_path / "log").read_text().split()) == ["there", "there", "written"]
    one, two = (torch.load(run / CHECKPOINT_FILE, weights_only=True) for run in (finished, tmp_path / "two"))
    assert two["step"] == SMALL.steps
    for name, tensor in one["model"].items():
        assert torch.allclose(two["model"][name], tensor, atol=2e-4), name


def test_scenes_that_fail_are_reported_and_left_out(tmp_path: Path) -> None:
    events: list[object] = []
    train(SMALL, Ellipses(broken=4), tmp_path, QUICK, report=events.append)
    assert events.count("scene 3 is broken") == 1
    with pytest.raises(TrainingError, match="all 2 scenes of batch 0 failed: scene 0 is broken"):
        train(SMALL, Ellipses(broken=1), tmp_path / "all", QUICK)


def test_a_loss_that_is_not_finite_stops_the_run(copied: Path) -> None:
    state = torch.load(copied / CHECKPOINT_FILE, weights_only=True)
    state["step"] = 5  # the next step would be saved
    state["model"]["box.2.bias"].fill_(float("nan"))
    torch.save(state, copied / CHECKPOINT_FILE)
    before = (copied / CHECKPOINT_FILE).read_bytes()
    with pytest.raises(TrainingError, match=r"loss of batch 5 is not finite \(scenes ellipses 10, ellipses 11\)"):
        train(SMALL, Ellipses(), copied, QUICK)
    assert (copied / CHECKPOINT_FILE).read_bytes() == before


def test_a_validation_without_finite_logits_stops_the_run(copied: Path, tmp_path: Path) -> None:
    """The averaged weights are damaged. The loss, which uses the other weights, is finite."""
    scene = Ellipses().scene(0)
    (tmp_path / "held").mkdir()
    Image.fromarray(scene.image).save(tmp_path / "held" / "a.png")
    thing = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": scene.masks[0].area, "bbox": [0, 0, 1, 1]}
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 128, "height": 96}],
        "categories": [{"id": 1, "name": "ellipse"}],
        "annotations": [{**thing, "segmentation": scene.masks[0].rle()}],
    }
    (tmp_path / "held" / "instances.json").write_text(json.dumps(content))
    validation = load_validation(tmp_path / "held" / "instances.json", 1)

    state = torch.load(copied / CHECKPOINT_FILE, weights_only=True)
    state["step"] = 5
    state["average"]["predictor.pe.0.weight"].fill_(float("nan"))
    torch.save(state, copied / CHECKPOINT_FILE)
    with pytest.raises(TrainingError, match="NaN or infinite logits for Gaussian"):
        train(SMALL, Ellipses(), copied, QUICK, validation)


def test_a_checkpoint_of_another_run_is_refused(copied: Path) -> None:
    with pytest.raises(TrainingError, match="differs in seed"):
        train(SMALL.model_copy(update={"seed": 1}), Ellipses(), copied, QUICK)
    (copied / CHECKPOINT_FILE).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(TrainingError, match="not a complete checkpoint"):
        train(SMALL, Ellipses(), copied, QUICK)
    with (copied / CHECKPOINT_FILE).open("wb") as file:
        pickle.dump(Ellipses(), file, protocol=2)  # the protocol of PyTorch, which warns of others
    with pytest.raises(TrainingError, match="is not a complete checkpoint"):
        train(SMALL, Ellipses(), copied, QUICK)


def test_metrics_after_the_checkpoint_are_deleted_and_a_damaged_line_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / METRICS_FILE
    path.write_text('{"step": 1, "mask": 0.5}\n{"step": 2, "mask": 0.25}\n{"step": 3, "ma')
    Journal(tmp_path, 1).close()
    assert path.read_text() == '{"step": 1, "mask": 0.5}\n'
    for line in ('{"st', '{"mask": 0.5}', "[]"):
        path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
        with pytest.raises(TrainingError, match=r"metrics.jsonl, line 2, is damaged; delete that line"):
            Journal(tmp_path, 1)


def test_the_learning_rate_follows_its_schedule() -> None:
    config = SMALL.model_copy(update={"optimiser": Optimiser(rate=1.0, warmup=2, cooldown=0.5)})
    rates = [learning_rate(step, config) for step in range(config.steps + 1)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[-1] == 0
    assert all(a >= b for a, b in pairwise(rates[1:]))


@pytest.mark.parametrize("name", ["flip-s", "flip-m", "flip-l", "flip-s-compositions", "flip-l-compositions"])
def test_configurations_of_the_package_can_be_read(name: str) -> None:
    config = read_config(name)
    assert config.model == name.removesuffix("-compositions")


def test_the_configuration_has_the_schedule_of_the_paper() -> None:
    config = read_config("flip-l")
    assert config.scenes * config.masks == 256
    assert [(p.steps, p.tokens, p.half) for p in config.phases] == [
        (800_000, 128, True),
        (600_000, 512, False),
        (100_000, 4096, False),
    ]
    assert [config.phase(step).tokens for step in (0, 799_999, 800_000, 1_399_999, 1_400_000)] == [
        128,
        128,
        512,
        512,
        4096,
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("scenes = ", "cannot be read as TOML"),
        ("scenes = 0", "scenes should be greater than 0, not 0"),
        ("colour = 1", "colour is not a known setting"),
        (None, "there is no configuration file"),
    ],
)
def test_invalid_configurations_are_refused(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TrainingError, match=reason):
        read_config(str(path))
    with pytest.raises(TrainingError, match="no configuration flip-x"):
        read_config("flip-x")


def test_the_command_reports_an_error_in_one_line(tmp_path: Path) -> None:
    arguments = ["train", "--data", str(tmp_path), "--config", "flip-x", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert done.output.startswith("error: there is no configuration flip-x: choose from flip-s, ")
    assert done.output.count("\n") == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_missing_gpu_is_reported_in_one_line(tmp_path: Path) -> None:
    arguments = ["train", "--data", str(tmp_path), "--device", "cuda", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert done.output.startswith("error: device cuda is not available; use cpu")
    assert done.output.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux")
def test_a_processor_computes_bfloat16_if_linux_lists_its_instructions() -> None:
    words = set(Path("/proc/cpuinfo").read_text().split())
    assert computes_bfloat16(torch.device("cpu")) == bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def test_a_log_has_lines_for_steps_and_for_every_validation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("objascale.progress.SECONDS_BETWEEN_LINES", 0.0)
    with show_progress("training") as progress:
        report = _printer(progress, 300)
        for step in range(100, 102):
            report(StepReport(step, {"mask": 0.5}, gradient=1, rate=1e-3, examples_per_second=20, wait=0.01))
        report({"step": 101, "iou": 0.8, "ellipse": 0.7, "sizes": {"under 30 px": (0.6, 0.5, 3)}})
        report("scene [3] is broken")
    assert capsys.readouterr().err.splitlines() == [
        "100 of 300 steps, mask 0.500, 20 examples/s, 1% waiting",
        "101 of 300 steps, mask 0.500, 20 examples/s, 1% waiting",
        "step 101: held-out IoU 0.800, ellipse 0.700",
        "         under 30 px: 0.600, ellipse 0.500, n = 3",
        "scene [3] is broken",
    ]


def test_two_runs_do_not_write_to_one_folder(copied: Path) -> None:
    first = Journal(copied, SMALL.steps)
    before = (copied / METRICS_FILE).read_bytes()
    with pytest.raises(TrainingError, match=f"another flip train is writing to {copied}"):
        Journal(copied, 0)
    assert (copied / METRICS_FILE).read_bytes() == before
    first.close()
    Journal(copied, SMALL.steps).close()
