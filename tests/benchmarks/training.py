"""Examples per second of loading, of the training step, and of both together.

    python tests/benchmarks/training.py [--data CROPS --backgrounds PHOTOS] [--config flip-s-compositions]
        [--workers 1,2] [--tokens 64,128,256] [--scenes 4] [--batches 12]
        [--device cpu] [--threads 1] [--precision fp32] [--teacher flip-tiny]

Batches are compositions. Without --data and --backgrounds they show random silhouettes on noise. `ratio` is the speed
of loading over the speed of the step; from 1 on, the step never waits. `waiting` is the fraction of time of a real run
that it waits for batches. `taught` is the time of a step with a teacher over that of one without, without loading.
"""

from __future__ import annotations

# ruff: noqa: E402
from objascale.cores import wait_passively

wait_passively()  # before NumPy and PyTorch are loaded

import argparse
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from flip.training.config import Config, Phase, Teacher, read_config
from flip.training.journal import StepReport
from flip.training.loader import BatchLoader, make_loader
from flip.training.loop import PRECISION_DTYPES, Machine, train
from flip.training.tasks import task_of
from objascale.crops import CROPS_HEADER
from objascale.dataset import DatasetWriter, write_parquet
from objascale.scenes import SceneSource
from objascale.scenes.sources import open_source
from objascale.scenes.things import draw_silhouette


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--backgrounds", type=Path)
    parser.add_argument("--config", default="flip-s-compositions")
    parser.add_argument("--workers", default="1,2", help="loader processes; ratio and together use the last")
    parser.add_argument("--tokens", default="64,128,256")
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--teacher", help="name or weights file of a released model")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    with tempfile.TemporaryDirectory() as folder:
        source = given_source(arguments.data, arguments.backgrounds, Path(folder))
        base = read_config(arguments.config)
        print(f"{arguments.config}, {arguments.scenes} × {base.masks} examples per batch; examples per second")
        columns = [f"{'loading, ' + n:>11}" for n in arguments.workers.split(",")]
        print(
            " ".join(
                (f"{'tokens':>6}", *columns, f"{'step':>11}", f"{'ratio':>6}", f"{'together':>9}", "waiting", " taught")
            )
        )
        for tokens in map(int, arguments.tokens.split(",")):
            config = shortened(base, arguments.scenes, arguments.batches, tokens)
            workers = [int(n) for n in arguments.workers.split(",")]
            loaded = [loading_speed(source, config, n) for n in workers]
            device, dtype = torch.device(arguments.device), PRECISION_DTYPES[arguments.precision]
            stepped, taught = step_speed(source, config, device, dtype), ""
            if arguments.teacher:
                distilled = config.model_copy(update={"teacher": Teacher(model=arguments.teacher, weight=1)})
                taught = f"{stepped / step_speed(source, distilled, device, dtype):7.2f}"
            machine = Machine(arguments.device, 1, precision=arguments.precision, workers=workers[-1])
            together, waiting = run_speed(source, config, Path(folder) / f"run-{tokens}", machine)
            cells = [*(f"{each:11.0f}" for each in loaded), f"{stepped:11.0f}", f"{loaded[-1] / stepped:6.1f}"]
            print(f"{tokens:>6}", *cells, f"{together:9.0f}", f"{waiting:7.0%}", taught, flush=True)


def given_source(data: str | None, backgrounds: Path | None, scratch: Path) -> SceneSource:
    """Return compositions of the given data, or of silhouettes written to `scratch`."""
    if data is not None:
        return open_source([data], [backgrounds] if backgrounds else [], 0)
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")
    rng = np.random.default_rng(0)
    (scratch / "photographs").mkdir()
    for number in range(8):
        noise = rng.integers(0, 256, (24, 32, 3), np.uint8)
        picture = cv2.resize(noise, (768, 576), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(scratch / f"photographs/{number}.jpg"), picture)
    crops = scratch / "crops"
    DatasetWriter(crops, CROPS_HEADER).open({"fingerprint": {}})
    names = [f"{number}.png" for number in range(64)]
    for name in names:
        cv2.imwrite(str(crops / name), draw_silhouette(rng.integers(0, 256, (256, 256, 3), np.uint8), rng))
    write_parquet(pd.DataFrame({"file": names, "opaque": 10_000}), crops / "crops.parquet")
    return open_source([str(crops)], [scratch / "photographs"], 0)


def shortened(config: Config, scenes: int, batches: int, tokens: int) -> Config:
    """Return the configuration with one phase and the first phase's ratio of outputs to tokens."""
    first = config.phases[0]
    phase = Phase(steps=batches, tokens=tokens, outputs=max(8, first.outputs * tokens // first.tokens))
    return config.model_copy(update={"phases": (phase,), "scenes": scenes, "save_every": 10**9})


def loading_speed(source: SceneSource, config: Config, workers: int) -> float:
    """Return examples per second of `workers` processes, after all of them have started."""
    batches = iter(make_loader(BatchLoader(source, config.model_copy(update={"phases": extended(config)})), workers))
    for _ in range(2 * workers):
        next(batches)
    start = time.perf_counter()
    for _ in range(config.steps):
        next(batches)
    return config.steps * config.scenes * config.masks / (time.perf_counter() - start)


def extended(config: Config) -> tuple[Phase, ...]:
    """Return the phase with ten times the steps, so that no process ends during the measurement."""
    (phase,) = config.phases
    return (phase.model_copy(update={"steps": 10 * phase.steps}),)


def step_speed(source: SceneSource, config: Config, device: torch.device, dtype: torch.dtype) -> float:
    """Return examples per second of forward, backward and update, without loading."""
    task = task_of(config)
    model = task.model().to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5)
    batches = [BatchLoader(source, config).batch(number).batch.to(device) for number in range(config.steps)]
    for repeat in range(2):
        if repeat:
            start = time.perf_counter()
        for batch in batches if repeat else batches[:2]:
            total, metrics = task.losses(model, batch, task.memory(), config.phases[0], dtype)
            total.backward()
            optimiser.step()
            optimiser.zero_grad()
            metrics["mask"].item()  # waits for a GPU
    return config.steps * config.scenes * config.masks / (time.perf_counter() - start)


def run_speed(source: SceneSource, config: Config, out: Path, machine: Machine) -> tuple[float, float]:
    """Return examples per second and the fraction of waiting, over the second half of a real run."""
    events: list[object] = []
    train(config, source, out, machine, report=events.append)
    steps = [event for event in events if isinstance(event, StepReport)]
    settled = steps[len(steps) // 2 :]
    seconds = [config.scenes * config.masks / step.examples_per_second for step in settled]
    waited = sum(step.wait * each for step, each in zip(settled, seconds, strict=True))
    return len(settled) * config.scenes * config.masks / sum(seconds), waited / sum(seconds)


if __name__ == "__main__":
    main()
