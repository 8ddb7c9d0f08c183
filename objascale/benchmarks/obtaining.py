"""The data set of a benchmark, rendered on first use."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from objascale.benchmarks import BENCHMARK_FILE, NAME, Benchmark, data_folder, load_benchmark, names, suggestion
from objascale.dataset import DatasetError, DatasetWriter, read_annotations
from objascale.plan import Plan
from objascale.terminal import complain


def benchmark_plan(
    benchmark: Benchmark, objects: Path | None = None, hdris: Path | None = None, offline: bool = False
) -> Plan:
    """Return the plan of a benchmark with its assets on this machine. Raises SourceError; see `assets.find_assets`."""
    from objascale.benchmarks.assets import (
        find_assets,  # here and below, because only rendering needs Blender's packages
    )

    content = benchmark.content
    things, maps = find_assets(benchmark, objects, hdris, offline)
    return Plan(things, maps, content.plan, content.render, content.n, content.request)


def dataset_path(data: str | Path) -> Path:
    """Return the path of a data set that a user names: a path, or a benchmark of this package.

    A path that exists comes first. A benchmark that is not here is rendered; see `obtain`.

    Raises:
        DatasetError: Nothing has this name, but a benchmark has a similar one.
    """
    name = str(data)
    if Path(data).exists() or Path(name).name != name:
        return Path(data)
    if name in names():
        return obtain(name)
    if NAME.fullmatch(name) or get_close_matches(name, names()):
        raise DatasetError(f"there is no data set and no benchmark {name}; {suggestion(name)}")
    return Path(data)


def obtain(name: str) -> Path:
    """Return the folder of the data set of a benchmark of this package, and render what is missing of it.

    The folder lies in the user's cache (`data_folder`). A progress bar is shown. The next call continues after an
    interrupt.

    Raises:
        DatasetError: The folder cannot be used, or a picture could not be rendered.
        SourceError: An asset of the benchmark is missing or has changed.
        Fatal, ColorError: Blender is missing.
    """
    from objascale.engine.local import LocalWorker, local_engine
    from objascale.rendering import Rendering

    benchmark = load_benchmark(name)
    folder = data_folder(benchmark)
    if is_complete(benchmark, folder):
        return folder
    complain(f"rendering the missing pictures of {name} into {folder}")
    rendering = Rendering(benchmark_plan(benchmark), DatasetWriter(folder), benchmark=benchmark)
    settings = local_engine()
    _, empty = rendering.finish(rendering.begin(), [LocalWorker(settings) for _ in range(settings.workers)])
    if empty:
        raise DatasetError(f"{len(empty)} pictures of {name} failed at every draw; {folder / 'journal.jsonl'} says why")
    return folder


def is_complete(benchmark: Benchmark, folder: Path) -> bool:
    """Return whether a folder has every picture of a benchmark, right or wrong."""
    if not (folder / BENCHMARK_FILE).exists() or not (folder / "annotations.parquet").exists():
        return False
    present = {int(number) for number in read_annotations(folder)["image_id"]}
    return present >= set(range(benchmark.content.n))
