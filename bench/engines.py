"""The engine of a run, in this process, in worker processes or on a cluster, and the description of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from flip.training_data import UNKNOWN

if TYPE_CHECKING:
    from bench.runner import Engine
    from bench.setup import Setup
    from objascale.datasets import Dataset


@contextmanager
def open_engine(
    name: Literal["local", "ray"], setup: Setup, dataset: Dataset, workers: int | None, address: str | None = None
) -> Iterator[Engine]:
    """Load the models in this process, or in worker processes that run inside the block.

    Args:
        name: "local" for this machine, "ray" for a Ray cluster.
        setup: Models, data, prompts and selection.
        dataset: The data set of the setup.
        workers: Number of processes; None to choose it. One on this machine is this process.
        address: Address of the Ray cluster.

    Raises:
        ModelUnavailable: No model can be loaded in this process.
        Fatal: No worker process can load models and data.
    """
    from bench.local import LocalHost, default_workers
    from bench.pool import Pool
    from bench.ray import RayHost

    if name == "ray":
        with Pool(RayHost(setup, workers, address)) as pool:
            yield pool
        return
    images = len(setup.selection.samples(dataset))
    workers = workers or default_workers(setup.models, setup.options.device, images)
    if workers == 1:
        yield setup.measurer(dataset)
        return
    with Pool(LocalHost(setup, workers)) as pool:
        yield pool


def describe_run(
    dataset: Dataset, engine: Engine, setup: Setup, command: Sequence[str], left_out: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the content of run.json.

    Args:
        dataset: The data set of the setup.
        engine: The engine of the setup.
        setup: Models, data, prompts and selection.
        command: The words of the command, or the function that was called.
        left_out: Names of models that do not accept the prompts.
    """
    learned = setup.learned()
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "dataset": {
            "name": dataset.name,
            "path": str(dataset.path),
            "images": len(dataset.samples),
            "masks": dataset.masks,
            "skipped": dict(dataset.skipped),
            **({"benchmark": dict(dataset.benchmark)} if dataset.benchmark else {}),
        },
        "models": [asdict(card) | {"training": learned.get(card.name, UNKNOWN).summary()} for card in engine.cards],
        "left_out": list(left_out),
        "prompt": setup.prompts[0].describe(),
        "noise": [prompt.noise for prompt in setup.prompts],
        "exif": setup.exif,
        "ignore_band": setup.ignore_band,
        "selection": setup.selection.conditions(),
        "workers": engine.workers,
        "environment": engine.environment,
    }
