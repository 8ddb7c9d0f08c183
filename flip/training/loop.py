"""The training loop, on Lightning Fabric: CPUs or GPUs, one process or several."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from flip.choices import TrainingPrecision
from flip.finite import NotFinite
from flip.training.checkpoint import (
    export_weights,
    load_initial_weights,
    read_checkpoint,
    save_checkpoint,
    weights_path,
)
from flip.training.config import Config, TrainingError
from flip.training.journal import Event, Journal, StepReport
from flip.training.loader import BatchLoader, LoadedBatch, make_loader
from flip.training.optimisers import make_optimisers
from flip.training.record import begin_record, finish_record
from flip.training.samples import draw_samples
from flip.training.tasks import TrainingTask, task_of
from flip.training.teacher import load_teacher
from flip.training.validation import validate
from flip.training_data import UNKNOWN, TrainingData
from objascale.datasets import Sample
from objascale.interrupts import finish_first
from objascale.scenes import SceneError, SceneSource

PRECISION_DTYPES: dict[TrainingPrecision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Machine:
    """The hardware of a run.

    Args:
        accelerator: Of Fabric: "cpu", "cuda" or "auto".
        devices: Devices per node, or "auto".
        nodes: Number of nodes.
        precision: "bf16" is mixed precision. Fabric's own would also round coordinates, so the task applies it.
        workers: Loader processes per device.
        compile: Whether to compile the transformer blocks.
    """

    accelerator: str = "auto"
    devices: int | str = "auto"
    nodes: int = 1
    precision: TrainingPrecision = "bf16"
    workers: int = 1
    compile: bool = False


def train(
    config: Config,
    source: SceneSource,
    out: Path,
    machine: Machine = Machine(),
    validation: Sequence[Sample] = (),
    report: Callable[[Event], None] = lambda event: None,
    initial_weights: Path | None = None,
    learned: TrainingData = UNKNOWN,
) -> Path:
    """Train a model, or resume the run in `out`.

    A resumed run has the same losses as an uninterrupted one: a batch depends on its number only, and the checkpoint
    holds the model, the averaged weights, the optimisers and the task's memory.

    Args:
        config: Configuration of the run.
        source: Scenes to learn from.
        out: Folder of the run.
        machine: The hardware.
        validation: Held-out images.
        report: Called with each event, in the first process only.
        initial_weights: Weights file to start from instead of random weights.
        learned: Record of all training data, that of `initial_weights` included. It is written beside the weights.

    Returns:
        Path of the exported weights.

    Raises:
        TrainingError: The checkpoint belongs to another run, the loss is not finite (the last checkpoint is kept), the
            logits of a validation are not finite, or the data cannot be used.
        KeyboardInterrupt: Ctrl-C or SIGTERM arrived. The step at hand is finished and its checkpoint written first.
    """
    fabric = Fabric(accelerator=machine.accelerator, devices=machine.devices, num_nodes=machine.nodes)
    fabric.launch()
    torch.manual_seed(config.seed)
    task = task_of(config)
    if config.teacher:
        load_teacher(config.teacher.model, fabric.device)  # an error of its weights comes before the first step
    model = task.model()
    if machine.compile:
        for block in task.blocks(model):
            block.compile(dynamic=True)
    optimisers = make_optimisers(model, config.optimiser, machine.precision)
    state = read_checkpoint(out, config)
    start = state["step"] if state else 0
    if state:
        model.load_state_dict(state["model"])
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
    elif initial_weights:
        load_initial_weights(model, initial_weights)
    memory = (state or {}).get("memory", task.memory())
    average = state["average"] if state else {name: p.detach().clone() for name, p in model.state_dict().items()}
    wrapped, *optimisers = fabric.setup(model, *optimisers)
    average = {name: tensor.to(fabric.device) for name, tensor in average.items()}

    batches = BatchLoader(source, config, start, fabric.global_rank, fabric.world_size)
    journal = Journal(out, start) if fabric.is_global_zero else None
    if fabric.is_global_zero:
        begin_record(out, learned, resumed=state is not None)
    started = time.perf_counter()
    try:
        with finish_first() as stopping:
            for number, loaded in enumerate(make_loader(batches, machine.workers), start):
                waited = time.perf_counter() - started
                if journal:
                    journal.log_failures(loaded.failures, report)
                rate = learning_rate(number, config)
                for group in (group for optimiser in optimisers for group in optimiser.param_groups):
                    group["lr"] = rate * group["share"]
                total, metrics = _losses(fabric, task, wrapped, loaded, memory, config, number, machine.precision)
                norm = _update(fabric, wrapped, optimisers, total, config.optimiser.clip)
                memory = task.remember(memory, metrics)
                _update_average(average, model, config.optimiser.ema, number)
                done = number + 1
                stop = _any_rank(fabric, stopping())
                seconds = time.perf_counter() - started
                if journal:
                    examples_per_second = config.scenes * config.masks / seconds
                    step = StepReport(done, metrics, norm, rate, examples_per_second, waited / seconds)
                    journal.log_step(step)
                    report(step)
                    if stop or done % config.save_every == 0 or done == config.steps:
                        save_checkpoint(out, done, config, model, average, optimisers, memory)
                    if validation and (done % config.validate_every == 0 or done == config.steps):
                        averaged = task.model()
                        averaged.load_state_dict(average)
                        predictor = task.predictor(averaged, config.phase(number), fabric.device)
                        report(journal.log_validation(done, validate(predictor, validation)))
                        journal.log_images(done, draw_samples(predictor, validation))
                if stop:
                    raise KeyboardInterrupt
                started = time.perf_counter()
    except (SceneError, NotFinite) as error:
        raise TrainingError(str(error)) from None
    finally:
        if journal:
            journal.close()
    if fabric.is_global_zero:
        export_weights(out, config, average)
        finish_record(out, weights_path(out, config))
    fabric.barrier()  # the file exists before any process returns its path
    return weights_path(out, config)


def learning_rate(step: int, config: Config) -> float:
    """Return the learning rate of a step; steps count from 0."""
    settings, left = config.optimiser, config.steps - step
    warmup = (step + 1) / max(settings.warmup, 1)
    cooldown = left / max(settings.cooldown * config.steps, 1)
    return settings.rate * min(1.0, warmup, cooldown)


def _losses(
    fabric: Fabric,
    task: TrainingTask,
    model: nn.Module,
    loaded: LoadedBatch,
    memory: Tensor,
    config: Config,
    number: int,
    precision: TrainingPrecision,
) -> tuple[Tensor, dict[str, float]]:
    """Return this rank's loss and the means of the metrics over all ranks. Raises TrainingError if any loss is NaN."""
    with _attention(fabric.device):
        batch, phase = loaded.batch.to(fabric.device), config.phase(number)
        total, metrics = task.losses(model, batch, memory, phase, PRECISION_DTYPES[precision])
    scalars = torch.stack([total.detach().float(), *(value.detach().float() for value in metrics.values())])
    means = fabric.all_reduce(scalars, reduce_op="mean")
    assert isinstance(means, Tensor)
    if not means[0].isfinite():
        raise TrainingError(
            f"the loss of batch {number} is not finite (scenes {', '.join(loaded.names)}); the last checkpoint is "
            "kept: lower the learning rate or remove these scenes, and start again"
        )
    return total, dict(zip(metrics, means[1:].tolist(), strict=True))


def _any_rank(fabric: Fabric, flag: bool) -> bool:
    """Return whether a flag is set in any of the processes, so that all of them stop after the same step."""
    if fabric.world_size == 1:
        return flag
    total = fabric.all_reduce(torch.tensor(float(flag)), reduce_op="sum")
    assert isinstance(total, Tensor)
    return bool(total > 0)


def _update(fabric: Fabric, model: nn.Module, optimisers: Sequence[Any], total: Tensor, clip: float) -> float:
    """Backpropagate and update the weights; return the norm of the gradient before clipping."""
    with _attention(fabric.device):
        fabric.backward(total)
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad()
    return norm.item()


def _attention(device: torch.device) -> AbstractContextManager[Any]:
    """Select plain attention on CPUs, where its backward pass takes half the time of the fused kernel's."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


@torch.no_grad()
def _update_average(average: dict[str, Tensor], model: nn.Module, decay: float, number: int) -> None:
    """Update the exponential moving average. Its decay is smaller at first, to forget the initial weights."""
    decay = min(decay, (1 + number) / (10 + number))
    torch._foreach_lerp_(list(average.values()), list(model.state_dict().values()), 1 - decay)
