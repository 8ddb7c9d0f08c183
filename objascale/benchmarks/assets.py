"""Objects and maps of a benchmark, from their sources, with the SHA-256 that the benchmark or its lock pins.

A benchmark whose assets are downloaded may name them without a SHA-256. The first download then pins them in a lock
file in the user's cache, and a later download with another content is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from objascale.benchmarks import Benchmark, data_folder
from objascale.files import write_atomically
from objascale.progress import show_progress, show_status
from objascale.sources import Asset, SourceError, embedded, folder, objaverse, polyhaven, sweethome
from objascale.validation import in_one_line, parse_json

Pins = Mapping[str, str]
"""Id → SHA-256, "" for an asset whose SHA-256 is not pinned."""


def find_assets(
    benchmark: Benchmark, objects: Path | None = None, hdris: Path | None = None, offline: bool = False
) -> tuple[list[Asset], list[Asset]]:
    """Return the objects and the environment maps of a benchmark, in its order.

    Args:
        benchmark: The benchmark.
        objects: Folder of the objects, if they are from a folder.
        hdris: Folder of the maps, if they are from a folder.
        offline: Whether to use only files that are in the cache.

    Raises:
        SourceError: An asset is missing, or its SHA-256 is not the pinned one; the lock is damaged.
    """
    lock = _read_lock(benchmark)
    pinned = {
        kind: {name: sha256 or lock[kind].get(name, "") for name, sha256 in (pins or lock[kind]).items()}
        for kind, pins in (("objects", benchmark.content.objects), ("maps", benchmark.content.maps))
    }
    found = {
        "objects": _objects(benchmark, pinned["objects"], objects, offline),
        "maps": _maps(benchmark, pinned["maps"], hdris, offline),
    }
    chosen = {kind: _checked(benchmark, assets, pinned[kind]) for kind, assets in found.items()}
    if _is_fetched(benchmark):
        new = {kind: {asset.id: asset.sha256 for asset in assets} for kind, assets in chosen.items()}
        if new != lock:
            write_atomically(lock_path(benchmark), json.dumps(new, indent=1).encode())
    return chosen["objects"], chosen["maps"]


def lock_path(benchmark: Benchmark) -> Path:
    """Return the file in the user's cache that pins the assets of a benchmark at the first download."""
    return data_folder(benchmark).with_name(f"{benchmark.name}.lock.json")


def _is_fetched(benchmark: Benchmark) -> bool:
    return benchmark.content.request["source"] == "objaverse" or benchmark.content.request.get("hdris") == "polyhaven"


def _read_lock(benchmark: Benchmark) -> dict[str, dict[str, str]]:
    path = lock_path(benchmark)
    if not _is_fetched(benchmark) or not path.exists():
        return {"objects": {}, "maps": {}}
    try:
        lock = parse_json(path.read_text("utf-8"))
        return {kind: {str(name): str(sha256) for name, sha256 in lock[kind].items()} for kind in ("objects", "maps")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{path}, which pins the assets of {benchmark.name}, is damaged ({in_one_line(error)}); restore it, or "
            "delete it to pin the assets of the next download"
        ) from error


def _checked(benchmark: Benchmark, found: Sequence[Asset], pins: Pins) -> list[Asset]:
    """Return the pinned assets in the order of the pins; all that were found if there are no pins yet."""
    by_id = {asset.id: asset for asset in found}
    names = list(pins) or list(by_id)
    if missing := [name for name in names if name not in by_id]:
        raise SourceError(
            f"{benchmark.name} needs {len(missing)} assets that its source does not have, such as {missing[0]}; put "
            "them there"
        )
    for name in names:
        if pins.get(name) not in ("", None, by_id[name].sha256):
            raise SourceError(
                f"{name} is not the file that {benchmark.name} pins: {by_id[name].path} has another SHA-256; restore "
                "it, or delete it to fetch it again"
            )
    return [by_id[name] for name in names]


def _objects(benchmark: Benchmark, pins: Pins, path: Path | None, offline: bool) -> list[Asset]:
    request = benchmark.content.request
    if request["source"] == "starter":
        with show_status("generating the starter objects"):
            return embedded.objects(request["starter_split"])
    if request["source"] == "objaverse":
        return _from_objaverse(request, pins, benchmark.content.candidates, offline)
    if path is None:
        raise SourceError(f"the objects of {benchmark.name} are in no public source; give their folder with --objects")
    return sweethome.objects(path) if request["source"] == "sweethome" else folder.objects(path)


def _from_objaverse(
    request: Mapping[str, Any], pins: Pins, candidates: Mapping[str, list[str]], offline: bool
) -> list[Asset]:
    queues: dict[str, list[str]] = {category: [] for category in request["categories"]}
    for name in pins:
        category, _, uid = name.rpartition("/")
        queues.setdefault(category, []).append(uid)
    with show_progress("fetching") as progress:
        return objaverse.objects(
            list(queues),
            request["per_category"],
            seed=request["seed"],
            licences=request["licenses"],
            offline=offline,
            progress=progress,
            candidates=queues if pins else candidates,
        ).assets


def _maps(benchmark: Benchmark, pins: Pins, path: Path | None, offline: bool) -> list[Asset]:
    request = benchmark.content.request
    if request.get("hdris") == "blender":
        return embedded.environment_maps()
    if request.get("hdris") == "polyhaven":
        with show_progress("fetching") as progress:
            return polyhaven.named_maps(list(pins), request["hdri_res"], offline=offline, progress=progress)
    if path is None:
        raise SourceError(f"the maps of {benchmark.name} are in no public source; give their folder with --hdris")
    return folder.environment_maps(path, ldr=True)
