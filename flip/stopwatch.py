"""Where the time of one prediction goes: before, in and after the network.

Pre: from the decoded image and the prompt to the tensors that the network takes. Model: forward passes.
Post: from network output to a binary mask. On a GPU the device is synchronised at every edge.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Milliseconds by stage name, added up until `reset()`.

    `synchronise` waits for the device, if there is one. `clock` tells seconds.
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
        """Return what was measured since the last reset, and start anew."""
        ms, self.ms = dict(self.ms), defaultdict(float)
        return ms
