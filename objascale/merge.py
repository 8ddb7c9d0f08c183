"""Shards of one plan, rendered apart, put together."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from objascale.dataset import Dataset, DatasetError, differences, read_header, read_journal, shortened
from objascale.plan import load_plan
from objascale.render import Rendering, describe


def merge_shards(shards: Sequence[Path], out: Path) -> tuple[int, int]:
    """Merge finished or unfinished shards of one plan into the dataset `out`.

    Images become hard links where the file system allows, else copies. The function may be called again with other
    shards. Shards may come from different kinds of processors, so no bytes are compared: of an image that several
    shards have, the first is taken.

    Returns:
        How many images `out` has, and how many it should have.

    Raises:
        DatasetError: A folder is no dataset, the shards are not of one plan, or an image is missing.
    """
    for shard in shards:
        read_header(shard)
    plan = load_plan(shards[0] / "plan.json")
    for shard in shards:
        changed = differences(describe(plan)["fingerprint"], read_header(shard)["fingerprint"])
        if load_plan(shard / "plan.json").n != plan.n:
            changed.append("another number of images")
        if changed:
            raise DatasetError(
                f"{shards[0]} and {shard} are two different datasets, not parts of one ({shortened(changed)})"
            )
    dataset = Dataset(out)
    missing = set(Rendering(plan, dataset).begin())
    present = [record for record in dataset.records() if record["status"] != "progress"]
    done = {record["slot"] for record in present if record["status"] == "done"}
    failed = {(record["slot"], record["attempt"]) for record in present if record["status"] == "failed"}
    for shard in shards:
        for record in read_journal(shard):
            if record["status"] == "progress" or record["slot"] in done:
                continue
            if record["status"] == "failed":
                if (record["slot"], record["attempt"]) in failed:
                    continue
                failed.add((record["slot"], record["attempt"]))
            else:
                done.add(record["slot"])
                file = record["annotations"][0]["file"]
                _link(shard / file, out / file)
                missing.discard(record["slot"])
            dataset.append(record)
    dataset.write_annotations()
    return plan.n - len(missing), plan.n


def _link(source: Path, target: Path) -> None:
    if not source.is_file():
        raise DatasetError(f"{source} is missing, though its journal has it; render that shard again in a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, partial)
    partial.replace(target)
