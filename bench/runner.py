"""A complete run: every model, prompt and object that has no row yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from baselines.segmenter import ModelCard
from bench.results import ResultRow, ResultsWriter
from objascale.datasets import Sample
from objascale.interrupts import finish_first
from objascale.progress import ProgressCallback


class Engine(Protocol):
    """Measures images in this process (`bench.measurer.Measurer`) or in worker processes (`bench.pool.Pool`)."""

    @property
    def cards(self) -> Sequence[ModelCard]:
        """Cards of the models."""

    @property
    def unavailable(self) -> Mapping[str, str]:
        """Why models cannot be loaded, by name."""

    @property
    def workers(self) -> int:
        """Number of processes that measure."""

    @property
    def environment(self) -> dict[str, Any]:
        """Description of the machine, as `bench.environment.environment` returns it."""

    def rows(
        self, samples: Sequence[Sample], results: ResultsWriter, stopping: Callable[[], bool]
    ) -> Iterator[Iterable[ResultRow]]:
        """Yield the rows of each image, in any order. Rows that `results` has already may be among them.

        Args:
            samples: The images.
            results: The rows that exist.
            stopping: Returns whether to begin no further image. Images at hand are finished.
        """


def run(
    engine: Engine,
    samples: Sequence[Sample],
    results: ResultsWriter,
    progress: ProgressCallback = lambda *_: None,
) -> None:
    """Measure every model with every prompt on every object that has no row yet.

    An error of an image, an object or a model becomes the `error` of the rows that it affects.

    Args:
        engine: The models and where they run.
        samples: The images.
        results: Takes the rows.
        progress: Called after each image.

    Raises:
        ResultsError: The results cannot be written.
        Fatal: The engine has no workers left.
        KeyboardInterrupt: Ctrl-C or SIGTERM arrived. The images at hand are measured first.
    """
    progress("images", 0, len(samples))
    with finish_first() as stopping:
        for done, rows in enumerate(engine.rows(samples, results, stopping), 1):
            for row in rows:
                if not results.done(row.key):
                    results.append(row)
            progress("images", done, len(samples))
