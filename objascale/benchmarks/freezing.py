"""The benchmark of a data set: `objascale freeze`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from objascale.benchmarks import BENCHMARK_SCHEMA, NAME
from objascale.benchmarks.pinning import Row, by_slot, mask_sha256, picture_sketch
from objascale.dataset import DatasetError
from objascale.files import write_atomically
from objascale.plan import Plan, load_plan
from objascale.sources import STARTER_AUTHOR, Asset
from objascale.terminal import UsageError
from objascale.verify import Damage, check_image, read_contents

_OF_THIS_MACHINE = ("objects", "hdris")  # a request may hold these paths


def freeze(folder: Path, name: str, about: str, out: Path, progress: Callable[[str, int, int], None]) -> int:
    """Write the benchmark of a complete data set.

    Args:
        folder: The data set.
        name: Name of the benchmark, see `NAME`.
        about: One sentence that describes it.
        out: The file.
        progress: Called after each picture.

    Returns:
        The number of masks.

    Raises:
        UsageError: The name has another form.
        DatasetError: The data set is incomplete or damaged.
        PlanError: Its plan is damaged.
        OSError: The file cannot be written.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"--name {name}: give a name in lower case that ends in its version, such as my-objects-v1")
    plan = load_plan(folder / "plan.json")
    contents = read_contents(folder)
    if contents.damages:
        raise _damaged(folder, contents.damages[0])
    pictures = by_slot(row for rows in contents.images for row in rows)
    if missing := [slot for slot in range(plan.n) if slot not in pictures]:
        raise DatasetError(
            f"{folder} lacks {len(missing)} of {plan.n} pictures; finish it with the objascale render command that "
            "began it"
        )
    pinned = []
    for slot in range(plan.n):
        pinned.append(_pin(folder, pictures[slot]))
        progress("pictures", slot + 1, plan.n)
    write_atomically(out, _text(_recipe(plan, name, about), pinned).encode())
    return sum(len(each["masks"]) for each in pinned)


def _pin(folder: Path, rows: Sequence[Row]) -> dict[str, Any]:
    if damages := check_image(folder, [dict(row) for row in rows]):
        raise _damaged(folder, damages[0])
    return {"masks": [mask_sha256(row) for row in rows], "sketch": picture_sketch(folder, rows)[0]}


def _damaged(folder: Path, damage: Damage) -> DatasetError:
    return DatasetError(f"{folder} is damaged ({damage.file}: {damage.message}); objascale verify lists all damage")


def _recipe(plan: Plan, name: str, about: str) -> dict[str, Any]:
    request = {key: value for key, value in plan.request.items() if not _is_path(key, value)}
    return {
        "schema": BENCHMARK_SCHEMA,
        "name": name,
        "about": about,
        "n": plan.n,
        "request": request,
        "plan": plan.settings.model_dump(),
        "render": plan.render.model_dump(),
        "objects": {asset.id: _sha256(asset) for asset in plan.objects},
        "maps": {asset.id: asset.sha256 for asset in plan.maps},
    }


def _is_path(key: str, value: Any) -> bool:
    return key in _OF_THIS_MACHINE and value not in ("blender", "polyhaven")


def _sha256(asset: Asset) -> str:
    return "" if asset.author == STARTER_AUTHOR else asset.sha256


def _text(recipe: dict[str, Any], pictures: Sequence[dict[str, Any]]) -> str:
    """Return the JSON, with a line for each picture."""
    head = json.dumps(recipe, indent=1, ensure_ascii=False).removesuffix("\n}")
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in pictures)
    return f'{head},\n "pictures": [\n{lines}\n ]\n}}\n'
