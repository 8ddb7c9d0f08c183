"""Endless orders in which everything comes once an epoch: pure functions of a seed and a position."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WINDOW = 1000
"""Items that are shuffled_index among each other, when what lies near on disk should come near in time."""


def shuffled_index(position: int, count: int, seed: int) -> int:
    """Which of `count` items comes at a position: another permutation of all in each epoch."""
    epoch, place = divmod(position, count)
    return int(_permutation(count, seed, epoch)[place])


def shuffled_in_windows(position: int, sizes: Sequence[int], seed: int, window: int = WINDOW) -> tuple[int, int]:
    """Which shard comes at a position, and which of its items; `sizes`: items of each shard.

    In each epoch the shards follow each other in another order, and of all their items in a row, each `window` are
    shuffled_index among themselves.
    """
    total = sum(sizes)
    epoch, place = divmod(position, total)
    shards = _permutation(len(sizes), seed, epoch)
    number, within = divmod(place, window)
    here = min(window, total - number * window)
    place = number * window + int(_permutation(here, seed, epoch, 1 + number)[within])
    ends = np.cumsum(np.asarray(sizes)[shards])
    turn = int(np.searchsorted(ends, place, "right"))
    shard = int(shards[turn])
    return shard, place - int(ends[turn]) + sizes[shard]


@lru_cache(maxsize=4)
def _permutation(count: int, *key: int) -> NDArray[np.int64]:
    return np.random.default_rng(key).permutation(count)
