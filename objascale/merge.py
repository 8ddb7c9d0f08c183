"""Merging of shards: parts of one plan that were rendered separately."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from objascale.benchmarks import benchmark_of
from objascale.dataset import DatasetError, DatasetWriter, differences, read_header, read_journal, shortened
from objascale.plan import load_plan
from objascale.rendering import Rendering, describe_plan


def merge_shards(shards: Sequence[Path], out: Path) -> tuple[int, int]:
    """Merge finished or unfinished shards of one plan into the dataset `out`.

    Images and depth maps become hard links, or copies where the file system has no links. If several shards have the
    same image, the first shard's is used: shards from different kinds of processors may differ in bytes. The function
    can be called again with further shards.

    Args:
        shards: Folders that `objascale render --shard` made.
        out: Folder of the dataset.

    Returns:
        The number of images in `out`, and the number of images in the plan.

    Raises:
        DatasetError: A folder is not a dataset, the shards have different plans, or an image is missing.
    """
    for shard in shards:
        read_header(shard)
    plan = load_plan(shards[0] / "plan.json")
    depth = _has_depth(shards[0])
    for shard in shards:
        changed = differences(describe_plan(plan, depth)["fingerprint"], read_header(shard).get("fingerprint"))
        if load_plan(shard / "plan.json").n != plan.n:
            changed.append("different numbers of images")
        if changed:
            raise DatasetError(
                f"{shards[0]} and {shard} are two different datasets, not parts of one ({shortened(changed)})"
            )
    dataset = DatasetWriter(out)
    missing = set(Rendering(plan, dataset, depth=depth, benchmark=benchmark_of(shards[0])).begin())
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
                first = record["annotations"][0]
                for file in (first["file"], first.get("depth_file")):
                    if file:
                        _link(shard / file, out / file)
                missing.discard(record["slot"])
            dataset.append(record)
    dataset.write_annotations()
    return plan.n - len(missing), plan.n


def _has_depth(shard: Path) -> bool:
    fingerprint = read_header(shard).get("fingerprint")
    return isinstance(fingerprint, dict) and bool(fingerprint.get("depth"))


def _link(source: Path, target: Path) -> None:
    if not source.is_file():
        raise DatasetError(f"{source} is missing, but the journal has it; render that shard again in a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:  # the file system has no hard links, or the target is on another one
        shutil.copyfile(source, partial)
    partial.replace(target)
