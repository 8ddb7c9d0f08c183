"""Data loading. Batch k is the same for any number of loader processes, ranks and restarts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from flip.sampler import NoPatches
from flip.training.config import Config, TrainingError
from flip.training.tasks import task_of
from objascale.interrupts import ignore_interrupts
from objascale.scenes import Scene, SceneError, SceneSource
from objascale.scenes.shrink import halve

PREFETCH_BATCHES = 4  # per loader process; absorbs scenes that take longer than a step


@dataclass(frozen=True)
class LoadedBatch:
    """A batch of the task's type, the `names` of its scenes, and an error message per scene that failed."""

    batch: Any
    names: tuple[str, ...]
    failures: tuple[str, ...]


class BatchLoader(IterableDataset[LoadedBatch]):
    """The batches of one rank, from batch `start` on.

    Batch k holds the scenes at positions k·scenes to (k+1)·scenes − 1. The objects, prompts and patches of a scene
    depend on the seed, the position and k only. `world` is the number of processes; it must divide `config.scenes`.
    """

    def __init__(self, source: SceneSource, config: Config, start: int = 0, rank: int = 0, world: int = 1) -> None:
        if config.scenes % world:
            raise TrainingError(
                f"{world} processes cannot share {config.scenes} scenes per batch equally; change either number"
            )
        self.source, self.config, self.task = source, config, task_of(config)
        self.start, self.rank, self.world = start, rank, world

    def __iter__(self) -> Iterator[LoadedBatch]:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(self.start + first, self.config.steps, stride):
            yield self.batch(number)

    def batch(self, number: int) -> LoadedBatch:
        """Return this rank's part of batch `number`. Raises SceneError if all of its scenes fail."""
        phase, seed = self.config.phase(number), self.config.seed
        num_scenes = self.config.scenes // self.world
        first = number * self.config.scenes + self.rank * num_scenes
        examples: list[Any] = []
        names, failures = [], []
        for position in range(first, first + num_scenes):
            rng = np.random.default_rng((seed, 1, position))
            try:
                scene = self.source.scene(position)
                if phase.half:
                    scene = halve(scene)
                examples += self._examples(scene, number, rng)
                names.append(scene.name)
            except (SceneError, NoPatches) as error:
                failures.append(str(error))
        if not examples:
            raise SceneError(f"all {num_scenes} scenes of batch {number} failed: {failures[0]}")
        return LoadedBatch(self.task.collate(examples), tuple(names), tuple(failures))

    def _examples(self, scene: Scene, number: int, rng: np.random.Generator) -> list[Any]:
        """Draw `masks` objects of a scene; objects repeat only if the scene has fewer."""
        order = rng.permutation(len(scene.masks))
        chosen = [scene.masks[order[i % len(order)]] for i in range(self.config.masks)]
        return [self.task.example(scene, mask, number, rng) for mask in chosen]


def make_loader(batches: BatchLoader, workers: int) -> DataLoader[LoadedBatch]:
    """Return a DataLoader that yields the batches in order, made by `workers` processes, or in this one if 0.

    OpenCV is set to one thread first: a forked process would wait forever for the threads of its parent.
    """
    cv2.setNumThreads(1)
    prefetch = PREFETCH_BATCHES if workers else None
    return DataLoader(
        batches,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=prefetch,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_leave_interrupts_to_parent,
    )


def _leave_interrupts_to_parent(_worker: int) -> None:
    """Keep a loader process alive until the training loop has finished its step."""
    ignore_interrupts()
