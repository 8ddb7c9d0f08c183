"""Examples per second of what makes batches, of the step that learns from them, and of both together.

    python tests/benchmarks/training.py [--data CROPS --backgrounds PHOTOS] [--config flip-s-compositions]
        [--workers 1,2] [--tokens 64,128,256]
         [--scenes 4] [--batches 12] [--device cpu] [--threads 1] [--precision float32]

Batches are compositions; without --data and --backgrounds, of random silhouettes before noise. `ratio` is how many
times as fast batches are made as they are learned from: from 1 on, the step is kept busy. `waiting` is the share of a
real run's time that the step waits.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from flip.training.config import Config, Phase, read_config
from flip.training.loader import Batches, load
from flip.training.loop import Machine, Step, train
from flip.training.task import task_of
from objascale.crops import CROPS_HEADER
from objascale.dataset import Dataset, write_parquet
from objascale.scenes import Source
from objascale.scenes.sources import open_source
from objascale.scenes.things import silhouette


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--backgrounds", type=Path)
    parser.add_argument("--config", default="flip-s-compositions")
    parser.add_argument("--workers", default="1,2", help="loader processes; the last is for ratio and together")
    parser.add_argument("--tokens", default="64,128,256")
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    with tempfile.TemporaryDirectory() as folder:
        source = given_source(arguments.data, arguments.backgrounds, Path(folder))
        base = read_config(arguments.config)
        print(f"{arguments.config}, {arguments.scenes} × {base.masks} examples a batch; examples a second")
        columns = [f"{'making, ' + n:>11}" for n in arguments.workers.split(",")]
        print(" ".join((f"{'tokens':>6}", *columns, f"{'step':>11}", f"{'ratio':>6}", f"{'together':>9}", "waiting")))
        for tokens in map(int, arguments.tokens.split(",")):
            config = shortened(base, arguments.scenes, arguments.batches, tokens)
            workers = [int(n) for n in arguments.workers.split(",")]
            made = [making(source, config, n) for n in workers]
            learned = learning(source, config, torch.device(arguments.device), getattr(torch, arguments.precision))
            machine = Machine(arguments.device, 1, precision=arguments.precision, workers=workers[-1])
            together, waiting = both(source, config, Path(folder) / f"run-{tokens}", machine)
            cells = [*(f"{each:11.0f}" for each in made), f"{learned:11.0f}", f"{made[-1] / learned:6.1f}"]
            print(f"{tokens:>6}", *cells, f"{together:9.0f}", f"{waiting:7.0%}", flush=True)


def given_source(data: str | None, backgrounds: Path | None, scratch: Path) -> Source:
    """Compositions of what is named, or of silhouettes made in `scratch`."""
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
    Dataset(crops, CROPS_HEADER).open({"fingerprint": {}})
    names = [f"{number}.png" for number in range(64)]
    for name in names:
        cv2.imwrite(str(crops / name), silhouette(rng.integers(0, 256, (256, 256, 3), np.uint8), rng))
    write_parquet(pd.DataFrame({"file": names, "opaque": 10_000}), crops / "crops.parquet")
    return open_source([str(crops)], [scratch / "photographs"], 0)


def shortened(config: Config, scenes: int, batches: int, tokens: int) -> Config:
    """The configuration with one phase of so many batches, and the first phase's outputs a token."""
    first = config.phases[0]
    phase = Phase(steps=batches, tokens=tokens, outputs=max(8, first.outputs * tokens // first.tokens))
    return config.model_copy(update={"phases": (phase,), "scenes": scenes, "save_every": 10**9})


def making(source: Source, config: Config, workers: int) -> float:
    """Examples a second from so many processes, once all of them have begun."""
    batches = iter(load(Batches(source, config.model_copy(update={"phases": longer(config)})), workers))
    for _ in range(2 * workers):
        next(batches)
    start = time.perf_counter()
    for _ in range(config.steps):
        next(batches)
    return config.steps * config.scenes * config.masks / (time.perf_counter() - start)


def longer(config: Config) -> tuple[Phase, ...]:
    """Ten times as many batches, so that processes are not done while others are measured."""
    (phase,) = config.phases
    return (phase.model_copy(update={"steps": 10 * phase.steps}),)


def learning(source: Source, config: Config, device: torch.device, dtype: torch.dtype) -> float:
    """Examples a second of forward, backward and update, batches being at hand."""
    task = task_of(config)
    model = task.model().to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5)
    batches = [Batches(source, config).batch(number).batch.to(device) for number in range(config.steps)]
    for repeat in range(2):
        if repeat:
            start = time.perf_counter()
        for batch in batches if repeat else batches[:2]:
            total, told = task.losses(model, batch, task.memory(), config.phases[0], dtype)
            total.backward()
            optimiser.step()
            optimiser.zero_grad()
            told["mask"].item()  # waits for a GPU
    return config.steps * config.scenes * config.masks / (time.perf_counter() - start)


def both(source: Source, config: Config, out: Path, machine: Machine) -> tuple[float, float]:
    """Examples a second of a real run, and the share of its time that it waits for batches; without its beginning."""
    steps: list[Step] = []
    train(config, source, out, machine, report=lambda what: steps.append(what) if isinstance(what, Step) else None)
    settled = steps[len(steps) // 2 :]
    seconds = [config.scenes * config.masks / step.examples_per_second for step in settled]
    waited = sum(step.wait * each for step, each in zip(settled, seconds, strict=True))
    return len(settled) * config.scenes * config.masks / sum(seconds), waited / sum(seconds)


if __name__ == "__main__":
    main()
