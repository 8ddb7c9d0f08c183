"""The training loop: it learns, goes on where it was stopped, says what is wrong; two processes are as one."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flip.checkpoint import load_model
from flip.gaussian import Gaussian
from flip.paper.model import Flip
from flip.paper.predictor import PaperPredictor
from flip.training.checkpoint import FILE
from flip.training.config import Config, Optimiser, Phase, TrainingError, read_config
from flip.training.loader import Batches, load
from flip.training.loop import METRICS, Machine, learning_rate, train
from flip.training.task import task_of
from flip.training.validation import held_out
from objascale.masks import RegionMask
from objascale.scenes import Scene, SceneError
from objascale.scenes.halves import halved

QUICK = Machine(accelerator="cpu", devices=1, precision="float32", workers=0)
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
    """Two bright ellipses on a dark ground; every `broken`-th scene cannot be used."""

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
                x, rng.uniform(40, 56), rng.uniform(8, 16), rng.uniform(5, 14), rng.uniform(0, 3)
            )
            masks.append(shape.ellipse_mask(128, 96))
            image[masks[-1].full()] += np.uint8(150)
        return Scene(image, masks, f"ellipses {position}")


def losses_of(out: Path) -> list[tuple[float, float, float]]:
    lines = [json.loads(line) for line in (out / METRICS).read_text().splitlines()]
    return [(line["mask"], line["position"], line["box"]) for line in lines]


def test_a_batch_depends_on_its_number_alone() -> None:
    straight = list(Batches(Ellipses(), SMALL, 0))
    assert len(straight) == SMALL.steps
    later = next(iter(pickle.loads(pickle.dumps(Batches(Ellipses(), SMALL, 4))))).batch
    halves = [Batches(Ellipses(), SMALL, 4, rank, 2).batch(4).batch for rank in range(2)]
    fifth = straight[4].batch
    assert torch.equal(later.gaussian, fifth.gaussian)
    assert torch.equal(torch.cat([half.gaussian for half in halves]), fifth.gaussian)
    assert all(torch.equal(later.seen.pixels[p], fifth.seen.pixels[p]) for p in later.seen.pixels)
    with torch.random.fork_rng():
        by_workers = list(load(Batches(Ellipses(), SMALL, 0), 2))
    for one, other in zip(straight, by_workers, strict=True):
        assert one.names == other.names
        assert all(torch.equal(one.batch.seen.pixels[p], other.batch.seen.pixels[p]) for p in one.batch.seen.pixels)


def test_loaders_start_after_opencv_has_used_threads() -> None:
    """As when backgrounds were decoded just before: a forked process would wait for threads that it does not have."""
    code = (
        "import sys, cv2, numpy as np\n"
        f"sys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from test_training import SMALL, Ellipses\n"
        "from flip.training.loader import Batches, load\n"
        "class Blurred(Ellipses):\n"
        "    def scene(self, position):\n"
        "        cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (0, 0), 3)\n"
        "        return super().scene(position)\n"
        "cv2.setNumThreads(4)\n"
        "Blurred().scene(0)\n"
        "print(len(list(load(Batches(Blurred(), SMALL), 1))))\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=90)
    assert done.stdout.strip() == str(SMALL.steps), done.stderr[-2000:]


def test_tokens_vary_about_their_mean() -> None:
    config = SMALL.model_copy(update={"phases": (Phase(steps=200, tokens=24, outputs=12),)})
    counts = [Batches(Ellipses(), config, 0).batch(k).batch.seen.layout.real.shape[1] for k in range(60)]
    assert max(counts) <= 36
    assert len(set(counts)) > 8


def test_it_learns_one_scene(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class One:
        def scene(self, position: int) -> Scene:
            return Ellipses().scene(0)

    phase = Phase(steps=120, tokens=24, outputs=24)
    config = SMALL.model_copy(
        update={"phases": (phase,), "save_every": 1000, "optimiser": Optimiser(rate=2e-3, warmup=10, ema=0.8)}
    )
    path = train(config, One(), tmp_path, QUICK)
    found = losses_of(tmp_path)
    assert found[-1][0] < found[0][0] / 2
    scene = Ellipses().scene(0)
    model = load_model(path)
    assert isinstance(model, Flip)
    predictor = PaperPredictor(model, tokens=24)
    assert predictor.outputs == 24
    predictor.set_image(scene.image)
    ious = [predictor.predict(mask=mask).iou(mask) for mask in scene.masks]
    assert min(ious) > 0.4


def test_an_interrupted_run_has_the_same_losses(tmp_path: Path, killed_after) -> None:
    """Killed after step 5, of which only 4 are in the checkpoint; then the same command again."""
    train(SMALL, Ellipses(), tmp_path / "straight", QUICK)
    with pytest.raises(KeyboardInterrupt):
        train(SMALL, Ellipses(), tmp_path / "killed", QUICK, report=killed_after(5))
    assert len(losses_of(tmp_path / "killed")) == 5
    train(SMALL, Ellipses(), tmp_path / "killed", QUICK)
    assert losses_of(tmp_path / "killed") == losses_of(tmp_path / "straight")
    ends = [load_model(tmp_path / name / "flip-s.safetensors").state_dict() for name in ("killed", "straight")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_training_goes_on_from_given_weights(tmp_path: Path) -> None:
    """A rate of almost nothing keeps them; what only training needs is new; other models' are refused."""
    first = train(SMALL, Ellipses(), tmp_path / "first", QUICK)
    still = SMALL.model_copy(update={"optimiser": Optimiser(rate=1e-12, decay=0)})
    second = train(still, Ellipses(), tmp_path / "second", QUICK, begin=first)
    before, after = (load_model(path).state_dict() for path in (first, second))
    assert all(torch.allclose(after[name], before[name], atol=1e-6) for name in before)
    assert losses_of(tmp_path / "second")[0] != losses_of(tmp_path / "first")[0]
    larger = SMALL.model_copy(update={"model": "flip-m"})
    with pytest.raises(TrainingError, match="holds another model"):
        train(larger, Ellipses(), tmp_path / "third", QUICK, begin=first)
    first.write_bytes(b"no weights")
    with pytest.raises(TrainingError, match="cannot begin with these weights"):
        train(SMALL, Ellipses(), tmp_path / "fourth", QUICK, begin=first)
    assert not (tmp_path / "fourth" / FILE).exists()


@pytest.mark.parametrize("name", ["adamw", "radam", "muon"])
def test_every_optimiser_learns_and_goes_on_as_it_was(name: str, tmp_path: Path, killed_after) -> None:
    config = SMALL.model_copy(update={"optimiser": Optimiser(name=name, rate=1e-3, warmup=2)})
    train(config, Ellipses(), tmp_path / "straight", QUICK)
    with pytest.raises(KeyboardInterrupt):
        train(config, Ellipses(), tmp_path / "killed", QUICK, report=killed_after(4))
    train(config, Ellipses(), tmp_path / "killed", QUICK)
    found = losses_of(tmp_path / "straight")
    assert losses_of(tmp_path / "killed") == found
    assert found[-1] != found[0]


@pytest.mark.slow
def test_compiled_blocks_have_the_same_losses(tmp_path: Path) -> None:
    train(SMALL, Ellipses(), tmp_path / "plain", QUICK)
    train(SMALL, Ellipses(), tmp_path / "compiled", replace(QUICK, compile=True))
    assert np.allclose(losses_of(tmp_path / "compiled"), losses_of(tmp_path / "plain"), rtol=1e-3, atol=1e-4)


def test_validation_looks_as_training_does() -> None:
    """At once, at no more than the last phase's patches, however many these are."""
    for name in ("flip-s", "flip-s-compositions"):
        config = read_config(name)
        task = task_of(config)
        model = task.model()
        for phase in config.phases:
            predictor = task.predictor(model, phase, torch.device("cpu"))
            assert (predictor.sampling.tokens, predictor.sampling.glances) == (phase.tokens, 1)


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    first = train(SMALL, Ellipses(), tmp_path, QUICK).read_bytes()
    told: list[object] = []
    assert train(SMALL, Ellipses(), tmp_path, QUICK, report=told.append).read_bytes() == first
    assert told == []


def test_two_processes_are_as_one(tmp_path: Path) -> None:
    """Two ranks over gloo with half of each batch: after each step the same parameters as one process, to rounding.

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
    train(SMALL, Ellipses(), tmp_path / "one", QUICK)
    one, two = (torch.load(tmp_path / name / FILE, weights_only=True) for name in ("one", "two"))
    assert two["step"] == SMALL.steps
    start = task_of(SMALL).model().state_dict()
    for name, tensor in one["model"].items():
        assert torch.allclose(two["model"][name], tensor, atol=2e-4), name
        assert start[name].shape == tensor.shape


def test_scenes_that_cannot_be_used_are_told_and_left_out(tmp_path: Path) -> None:
    told: list[object] = []
    train(SMALL, Ellipses(broken=4), tmp_path, QUICK, report=told.append)
    assert told.count("scene 3 is broken") == 1
    with pytest.raises(TrainingError, match="none of the 2 scenes of batch 0"):
        train(SMALL, Ellipses(broken=1), tmp_path / "all", QUICK)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(SMALL.model_copy(update={"save_every": 1}), Ellipses(), tmp_path, QUICK)
    state = torch.load(tmp_path / FILE, weights_only=True)
    state["step"] = 4
    state["model"]["box.2.bias"].fill_(float("nan"))
    torch.save(state, tmp_path / FILE)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(TrainingError, match="loss of batch 4 is not a number, of scenes ellipses 8, ellipses 9"):
        train(SMALL.model_copy(update={"save_every": 1}), Ellipses(), tmp_path, QUICK)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_validation_without_finite_logits_stops_the_run(tmp_path: Path) -> None:
    """The averaged weights are broken, and the loss, which is of the others, is not."""
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
    held = held_out(tmp_path / "held" / "instances.json", 1)

    config, out = SMALL.model_copy(update={"save_every": 1}), tmp_path / "run"
    train(config, Ellipses(), out, QUICK)
    state = torch.load(out / FILE, weights_only=True)
    state["step"] = 5
    state["average"]["predictor.pe.0.weight"].fill_(float("nan"))
    torch.save(state, out / FILE)
    with pytest.raises(TrainingError, match="NaN or infinite logits for Gaussian"):
        train(config, Ellipses(), out, QUICK, held)


def test_a_checkpoint_of_another_run(tmp_path: Path) -> None:
    train(SMALL, Ellipses(), tmp_path, QUICK)
    with pytest.raises(TrainingError, match="differs in seed"):
        train(SMALL.model_copy(update={"seed": 1}), Ellipses(), tmp_path, QUICK)
    (tmp_path / FILE).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(TrainingError, match="no whole checkpoint"):
        train(SMALL, Ellipses(), tmp_path, QUICK)
    with (tmp_path / FILE).open("wb") as file:
        pickle.dump(Ellipses(), file)
    with pytest.raises(TrainingError, match="no whole checkpoint"):
        train(SMALL, Ellipses(), tmp_path, QUICK)


def test_the_learning_rate() -> None:
    config = SMALL.model_copy(update={"optimiser": Optimiser(rate=1.0, warmup=2, cooldown=0.5)})
    rates = [learning_rate(step, config) for step in range(config.steps + 1)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[-1] == 0
    assert all(a >= b for a, b in pairwise(rates[1:]))


@pytest.mark.parametrize("name", ["flip-s", "flip-m", "flip-l", "flip-s-compositions", "flip-l-compositions"])
def test_shipped_configurations(name: str) -> None:
    config = read_config(name)
    assert config.model == name.removesuffix("-compositions")


def test_the_papers_schedule() -> None:
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
        ("scenes = 0", "scenes: Input should be greater than 0"),
        ("colour = 1", "colour: Extra inputs are not permitted"),
        (None, "there is no configuration file"),
    ],
)
def test_configurations_that_are_none(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "mine.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TrainingError, match=reason):
        read_config(str(path))
    with pytest.raises(TrainingError, match="no configuration flip-x"):
        read_config("flip-x")


def test_halves() -> None:
    image = np.zeros((5, 6, 3), np.uint8)
    image[:2, :2] = 100, 60, 20
    whole = np.zeros((5, 6), bool)
    whole[0, :2] = whole[2, 2] = whole[4, 5] = True
    half = halved(Scene(image, [RegionMask.from_full(whole)], "made"))
    assert half.image.shape == (2, 3, 3)
    assert half.image[0, 0].tolist() == [100, 60, 20]
    assert half.masks[0].full().tolist() == [[True, False, False], [False, False, False]]
    with pytest.raises(SceneError, match="made: no mask has a pixel left"):
        halved(Scene(image, [RegionMask.from_full(np.eye(5, 6, dtype=bool) & (np.arange(6) == 3))], "made"))
