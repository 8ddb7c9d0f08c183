"""Results on frozen benchmarks: the same pictures on every machine, although their bytes differ slightly."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd


def benchmark_of(run: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return series, version and SHA-256 of the frozen benchmark of a run.json; None for another data set."""
    benchmark = run.get("dataset", {}).get("benchmark")
    return benchmark if isinstance(benchmark, dict) else None


def conflict(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return why runs cannot be put side by side: they are of two versions of a benchmark. "" if they can.

    Args:
        runs: Name and content of each run.json.
    """
    first: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, run in runs:
        benchmark = benchmark_of(run)
        if benchmark is None:
            continue
        other, present = first.setdefault(str(benchmark.get("name")), (name, benchmark))
        if present.get("version") != benchmark.get("version"):
            return f"{other} is of {_named(present)} and {name} of {_named(benchmark)}; versions cannot be compared"
        if present != benchmark:
            return f"{other} and {name} are of two different benchmarks that are both called {_named(benchmark)}"
    return ""


def with_common_pictures(rows: pd.DataFrame, run: Mapping[str, Any]) -> pd.DataFrame:
    """Return results with an `image_sha256` that is the same on every machine, if they are of a frozen benchmark.

    The bytes of a rendered picture depend on the processor, so the SHA-256 becomes that of the benchmark and the
    picture's number.
    """
    benchmark = benchmark_of(run)
    if benchmark is None:
        return rows
    common = {
        image: hashlib.sha256(f"{_named(benchmark)}/{image}".encode()).hexdigest()
        for image in rows["image_id"].unique()
    }
    return rows.assign(image_sha256=rows["image_id"].map(common))


def _named(benchmark: Mapping[str, Any]) -> str:
    return f"{benchmark.get('name')}-v{benchmark.get('version')}"
