"""Batches by number: the same batch k in every process, however many there are and whenever they start."""

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
from objascale.scenes import Scene, SceneError, Source
from objascale.scenes.shrink import halve

AHEAD = 4  # batches that a loader process keeps ready


@dataclass(frozen=True)
class Delivery:
    """A batch of the task's kind, the `names` of its scenes, and sentences on scenes that could not be used."""

    batch: Any
    names: tuple[str, ...]
    failures: tuple[str, ...]


class Batches(IterableDataset[Delivery]):
    """The batches from number `start` on, those parts of them that process `rank` of `world` learns from.

    Batch k has the scenes at positions k·scenes … (k+1)·scenes − 1; what is drawn for a scene (objects, prompts,
    patches) depends on the seed, its position and k alone. So neither the number of ranks nor that of loader processes
    changes what is learned from, nor does a restart.
    """

    def __init__(self, source: Source, config: Config, start: int = 0, rank: int = 0, world: int = 1) -> None:
        if config.scenes % world:
            raise TrainingError(f"{config.scenes} scenes a batch cannot be shared by {world} processes alike")
        self.source, self.config, self.task = source, config, task_of(config)
        self.start, self.rank, self.world = start, rank, world

    def __iter__(self) -> Iterator[Delivery]:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for number in range(self.start + first, self.config.steps, stride):
            yield self.batch(number)

    def batch(self, number: int) -> Delivery:
        """Batch `number`. Raises SceneError if none of its scenes can be used."""
        phase, seed = self.config.phase(number), self.config.seed
        share = self.config.scenes // self.world
        first = number * self.config.scenes + self.rank * share
        examples: list[Any] = []
        names, failures = [], []
        for position in range(first, first + share):
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
            raise SceneError(f"none of the {share} scenes of batch {number} can be used: {failures[0]}")
        return Delivery(self.task.collate(examples), tuple(names), tuple(failures))

    def _examples(self, scene: Scene, number: int, rng: np.random.Generator) -> list[Any]:
        """`masks` objects of a scene, drawn without repetition while there are others."""
        order = rng.permutation(len(scene.masks))
        chosen = [scene.masks[order[i % len(order)]] for i in range(self.config.masks)]
        return [self.task.example(scene, mask, number, rng) for mask in chosen]


def load(batches: Batches, workers: int) -> DataLoader[Delivery]:
    """The batches in their order, made by `workers` processes; by this one if 0.

    OpenCV's threads end here: a process that is forked while they are there waits for them forever.
    """
    cv2.setNumThreads(1)
    ahead = AHEAD if workers else None
    return DataLoader(
        batches, batch_size=None, num_workers=workers, prefetch_factor=ahead, pin_memory=torch.cuda.is_available()
    )
