"""Shuffled orders, as pure functions of a seed and a position. Every item comes once per epoch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SHUFFLE_WINDOW = 1000
"""Items that are shuffled together. A small window keeps reads close on disk; a large one mixes better."""


def shuffled_index(position: int, count: int, seed: int) -> int:
    """Return the item at a position, out of `count` items in a new permutation per epoch."""
    epoch, place = divmod(position, count)
    return int(_permutation(count, seed, epoch)[place])


def shuffled_in_windows(
    position: int, sizes: Sequence[int], seed: int, window: int = SHUFFLE_WINDOW
) -> tuple[int, int]:
    """Return the shard and the item in it at a position; `sizes` are the numbers of items of the shards.

    Each epoch permutes the shards, concatenates them, and permutes the items within each window.
    """
    total = sum(sizes)
    epoch, place = divmod(position, total)
    shards = _permutation(len(sizes), seed, epoch)
    number, within = divmod(place, window)
    size = min(window, total - number * window)
    place = number * window + int(_permutation(size, seed, epoch, 1 + number)[within])
    ends = np.cumsum(np.asarray(sizes)[shards])
    turn = int(np.searchsorted(ends, place, "right"))
    shard = int(shards[turn])
    return shard, place - int(ends[turn]) + sizes[shard]


@lru_cache(maxsize=4)
def _permutation(count: int, *key: int) -> NDArray[np.int64]:
    return np.random.default_rng(key).permutation(count)
