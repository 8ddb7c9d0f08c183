"""The training loop, over Lightning Fabric: one process or many, on processors or GPUs, with the same steps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.tensorboard import SummaryWriter

from flip.finite import NotFinite
from flip.training.checkpoint import begin_with, export_weights, read_checkpoint, save_checkpoint, weights_path
from flip.training.config import Config, Precision, TrainingError
from flip.training.curve import draw_curve
from flip.training.loader import Batches, Delivery, load
from flip.training.optimisers import make_optimisers
from flip.training.samples import draw_samples
from flip.training.task import Task, task_of
from flip.training.validation import Score, validate
from objascale.datasets import Sample
from objascale.files import write_atomically
from objascale.scenes import SceneError, Source

METRICS = "metrics.jsonl"
FAILURES_TOLD = 10


@dataclass(frozen=True)
class Machine:
    """Where a run takes place: Fabric's accelerator, devices and nodes, and loader processes a device.

    `precision` "bfloat16" is mixed precision, which is not left to Fabric: it would round the coordinates, too.
    `compile`: the network's blocks are compiled first.
    """

    accelerator: str = "auto"
    devices: int | str = "auto"
    nodes: int = 1
    precision: Precision = "bfloat16"
    workers: int = 1
    compile: bool = False


@dataclass(frozen=True)
class Step:
    """What is reported of a step. `step` counts from 1, `told` is what the task says of it (losses, for instance),
    `gradient` the norm before clipping, `wait` the share of the time that went into waiting for the batch."""

    step: int
    told: dict[str, float]
    gradient: float
    rate: float
    examples_per_second: float
    wait: float


def train(
    config: Config,
    source: Source,
    out: Path,
    machine: Machine = Machine(),
    held: Sequence[Sample] = (),
    report: Callable[[Step | dict[str, Any] | str], None] = lambda what: None,
    begin: Path | None = None,
) -> Path:
    """Train, or go on with the run in `out`, and write its averaged weights; gives their path.

    A run that was interrupted and goes on has the losses of one that was not: batches depend on their number alone,
    and the checkpoint holds model, average, optimisers and the task's memory. `report` is told steps, validations
    (dicts) and sentences, in the first process only. `begin`: weights to begin with instead of random ones. Raises
    TrainingError for a checkpoint of another run, a loss that is no number (nothing is saved then), logits that are
    not finite in a validation, and data that cannot be used.
    """
    fabric = Fabric(accelerator=machine.accelerator, devices=machine.devices, num_nodes=machine.nodes)
    fabric.launch()
    torch.manual_seed(config.seed)
    task = task_of(config)
    model = task.model()
    if machine.compile:
        for block in task.blocks(model):
            block.compile(dynamic=True)
    optimisers = make_optimisers(model, config.optimiser)
    state = read_checkpoint(out, config)
    start = state["step"] if state else 0
    if state:
        model.load_state_dict(state["model"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
    elif begin:
        begin_with(model, begin)
    memory = (state or {}).get("memory", task.memory())
    average = state["average"] if state else {name: p.detach().clone() for name, p in model.state_dict().items()}
    wrapped, *optimisers = fabric.setup(model, *optimisers)
    average = {name: tensor.to(fabric.device) for name, tensor in average.items()}

    batches = Batches(source, config, start, fabric.global_rank, fabric.world_size)
    journal = Journal(out, start) if fabric.is_global_zero else None
    clock = _Clock()
    try:
        for number, delivery in enumerate(load(batches, machine.workers), start):
            clock.loaded()
            if journal:
                journal.failed(delivery.failures, report)
            rate = learning_rate(number, config)
            for group in (group for optimiser in optimisers for group in optimiser.param_groups):
                group["lr"] = rate * group["share"]
            total, told = _losses(fabric, task, wrapped, delivery, memory, config, number, machine.precision)
            norm = _update(fabric, wrapped, optimisers, total, config.optimiser.clip)
            memory = task.remember(memory, told)
            _average(average, model, config.optimiser.ema, number)
            done = number + 1
            seconds, waited = clock.stepped()
            if journal:
                examples = config.scenes * config.masks / seconds
                step = Step(done, told, norm, rate, examples, waited / seconds)
                journal.step(step)
                report(step)
                if done % config.save_every == 0 or done == config.steps:
                    save_checkpoint(out, done, config, model, average, optimisers, memory)
                if held and (done % config.validate_every == 0 or done == config.steps):
                    averaged = task.model()
                    averaged.load_state_dict(average)
                    predictor = task.predictor(averaged, config.phase(number), fabric.device)
                    report(journal.validated(done, validate(predictor, held)))
                    journal.drawn(done, draw_samples(predictor, held))
            clock.begin()
    except (SceneError, NotFinite) as error:
        raise TrainingError(str(error)) from None
    finally:
        if journal:
            journal.close()
    if fabric.is_global_zero:
        export_weights(out, config, average)
    fabric.barrier()  # no process returns the path of a file that is not there yet
    return weights_path(out, config)


def _losses(
    fabric: Fabric,
    task: Task,
    model: nn.Module,
    delivery: Delivery,
    memory: Tensor,
    config: Config,
    number: int,
    precision: Precision,
) -> tuple[Tensor, dict[str, float]]:
    """This rank's loss, and what is told of it, means over all ranks. Raises TrainingError for NaN on any of them."""
    with _attention(fabric.device):
        batch, phase = delivery.batch.to(fabric.device), config.phase(number)
        total, told = task.losses(model, batch, memory, phase, getattr(torch, precision))
    scalars = torch.stack([total.detach().float(), *(value.detach().float() for value in told.values())])
    means = fabric.all_reduce(scalars, reduce_op="mean")
    assert isinstance(means, Tensor)
    if not means[0].isfinite():
        raise TrainingError(
            f"the loss of batch {number} is not a number, of scenes {', '.join(delivery.names)}; the last checkpoint "
            "is kept: lower the rate, or leave these scenes out, and start again"
        )
    return total, dict(zip(told, means[1:].tolist(), strict=True))


def _update(fabric: Fabric, model: nn.Module, optimisers: Sequence[Any], total: Tensor, clip: float) -> float:
    """Follow the gradient; gives its norm before clipping."""
    with _attention(fabric.device):
        fabric.backward(total)
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad()
    return norm.item()


def _attention(device: torch.device) -> AbstractContextManager[Any]:
    """On a processor explicit attention, whose backward pass takes half the time of the fused kernel's."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def learning_rate(step: int, config: Config) -> float:
    """At a step, counted from 0."""
    settings, left = config.optimiser, config.steps - step
    rising = (step + 1) / max(settings.warmup, 1)
    falling = left / max(settings.cooldown * config.steps, 1)
    return settings.rate * min(1.0, rising, falling)


@torch.no_grad()
def _average(average: dict[str, Tensor], model: nn.Module, decay: float, number: int) -> None:
    """Move the exponential average towards the model; in the first steps faster, as it began with random weights."""
    decay = min(decay, (1 + number) / (10 + number))
    torch._foreach_lerp_(list(average.values()), list(model.state_dict().values()), 1 - decay)


class _Clock:
    """Seconds of a step and of the waiting for its batch."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._begun = time.perf_counter()

    def loaded(self) -> None:
        self._loaded = time.perf_counter()

    def stepped(self) -> tuple[float, float]:
        return time.perf_counter() - self._begun, self._loaded - self._begun


class Journal:
    """OUT/metrics.jsonl, a line a step or a validation, OUT/samples/STEP.png, OUT/curve.png, and OUT/tensorboard.

    Lines after the checkpoint's step, which are going to be made again, are taken out.
    """

    def __init__(self, out: Path, start: int) -> None:
        out.mkdir(parents=True, exist_ok=True)
        path = out / METRICS
        kept = []
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                if json.loads(line)["step"] <= start:
                    kept.append(line)
            except (ValueError, KeyError, TypeError):  # a line that was cut off
                break
        path.write_text("".join(f"{line}\n" for line in kept))
        self._file = path.open("a")
        self._board = SummaryWriter(str(out / "tensorboard"), purge_step=start + 1)
        self._out, self._samples = out, out / "samples"
        self._failures = 0

    def step(self, step: Step) -> None:
        """Write down a step."""
        numbers = {**step.told, **{name: value for name, value in vars(step).items() if name not in ("step", "told")}}
        self._write({"step": step.step, **numbers})
        for name, value in numbers.items():
            self._board.add_scalar(f"training/{name}", value, step.step)

    def validated(self, step: int, score: Score) -> dict[str, Any]:
        """Write down a validation, and give what was written."""
        line: dict[str, Any] = {"step": step, "iou": float(score.model.mean()), "ellipse": float(score.ellipse.mean())}
        line["sizes"] = score.by_size()
        self._write(line)
        self._board.add_scalar("validation/IoU", line["iou"], step)
        for label, (iou, _, _) in score.by_size().items():
            self._board.add_scalar(f"validation/IoU {label}", iou, step)
        return line

    def drawn(self, step: int, picture: NDArray[np.uint8]) -> None:
        """Keep a picture (H×W×3 RGB) of what the model finds, and one of how the run went so far."""
        _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        write_atomically(self._samples / f"{step}.png", data.tobytes())
        self._board.add_image("validation/samples", picture, step, dataformats="HWC")
        write_atomically(self._out / "curve.png", draw_curve(self._out / METRICS))

    def failed(self, sentences: Sequence[str], report: Callable[[str], None]) -> None:
        """Count scenes that could not be used, and report the first of them."""
        for sentence in sentences:
            self._failures += 1
            if self._failures <= FAILURES_TOLD:
                report(sentence)
            if self._failures == FAILURES_TOLD:
                report("more such scenes are left out without a word")

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._board.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
