"""Milliseconds of the stages of a prediction.

"pre": from the decoded image and the prompt to the tensors that the network takes. "model": forward passes. "post":
from the output of the network to a binary mask. A GPU is synchronised at the start and end of every stage.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Sum of the milliseconds of each stage, until `reset()`.

    Args:
        synchronise: Waits for the device, if there is one.
        clock: Returns seconds.
    """

    def __init__(
        self, synchronise: Callable[[], object] | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._synchronise = synchronise or (lambda: None)
        self._clock = clock
        self.ms: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a block: `with watch("pre"): …`."""
        self._synchronise()
        start = self._clock()
        try:
            yield
        finally:
            self._synchronise()
            self.ms[stage] += 1000 * (self._clock() - start)

    def reset(self) -> dict[str, float]:
        """Return the milliseconds of each stage since the last reset, and start again from 0."""
        ms, self.ms = dict(self.ms), defaultdict(float)
        return ms
