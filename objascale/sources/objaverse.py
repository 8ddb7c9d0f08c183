"""Objects of Objaverse 1.0, chosen by LVIS category and licence, with credits.

The data set is under ODC-By 1.0 (Deitke et al., "Objaverse: A Universe of Annotated 3D Objects", 2022). Each object has
its own licence.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from objascale.data.choose_categories import LVIS_NAMES
from objascale.download import DownloadFailed
from objascale.progress import ProgressCallback
from objascale.sources import Asset, SourceError
from objascale.sources.objaverse_cache import Failure, ObjaverseCache, shard

LICENCES = {
    "by": "CC-BY-4.0",
    "by-sa": "CC-BY-SA-4.0",
    "cc0": "CC0-1.0",
    "by-nc": "CC-BY-NC-4.0",
    "by-nc-sa": "CC-BY-NC-SA-4.0",
}
"""Objaverse's name of a licence → SPDX name."""

DEFAULT_LICENCES = frozenset({"CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0"})
"""Licences that allow sharing renders for any purpose, with credit (and, if -SA, under the same licence)."""


@dataclass(frozen=True)
class Fetched:
    """Result of `objects`.

    Attributes:
        assets: Objects, by category and in the order of choice.
        failures: Candidates that could not be fetched.
        replaced: Damaged files in the cache that were fetched again.
    """

    assets: list[Asset]
    failures: list[Failure]
    replaced: list[Failure]


def default_categories(count: int) -> list[str]:
    """Return the `count` categories of data/categories.csv with the most objects, in descending order.

    Raises SourceError if there are fewer.
    """
    with resources.files("objascale.data").joinpath("categories.csv").open() as file:
        rows = sorted(csv.DictReader(file), key=lambda row: (-int(row["objects"]), row["category"]))
    if not 1 <= count <= len(rows):
        raise SourceError(f"{count} categories cannot be chosen: there are {len(rows)}")
    return [row["category"] for row in rows[:count]]


def objects(
    categories: Sequence[str],
    per_category: int,
    *,
    seed: int,
    licences: Collection[str] = DEFAULT_LICENCES,
    offline: bool = False,
    progress: ProgressCallback | None = None,
    candidates: Mapping[str, Sequence[str]] | None = None,
) -> Fetched:
    """Fetch distinct objects of LVIS categories into the cache of the `objaverse` package.

    The objects of a category are tried in an order that depends on the seed and their uids alone. The next one replaces
    an object that cannot be fetched. An object in several categories counts for the smallest of them.

    Args:
        categories: LVIS categories.
        per_category: Largest number of objects of each.
        seed: Seed of the order.
        licences: Names of the accepted licences.
        offline: Whether to use only files in the cache.
        progress: Called after each file.
        candidates: Category → uids in the order in which they are tried, instead of Objaverse's table and the seed.

    Raises:
        SourceError: For an unknown category or licence, a category without objects, or an unreachable host. Fetched
            files are kept.
    """
    unknown = set(licences) - set(LICENCES.values())
    if unknown or not licences:
        name = min(unknown, default="")
        raise SourceError(f"no object has the licence {name!r}; choose among {', '.join(LICENCES.values())}")
    cache = ObjaverseCache(offline=offline)
    queues = candidates_of(cache.lvis(), categories, seed) if candidates is None else candidates
    paths = cache.object_paths([uid for queue in queues.values() for uid in queue])
    choice = _Choice(cache, queues, paths, per_category, frozenset(licences), progress)
    choice.run()
    for category, chosen in choice.chosen.items():
        if not chosen:
            raise SourceError(choice.why_empty(category))
    assets = [asset for chosen in choice.chosen.values() for asset in chosen]
    return Fetched(assets, choice.failures, cache.replaced)


def candidates_of(table: Mapping[str, list[str]], categories: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Return category → uids in the order in which they are tried. Each uid is in one category."""
    for category in categories:
        if category not in table:
            raise SourceError(f"Objaverse has no LVIS category {category!r}{_hint(category, table)}")
    owner: dict[str, str] = {}
    for category in sorted(categories, key=lambda name: (-len(set(table[name])), name)):
        owner |= dict.fromkeys(table[category], category)
    queues: dict[str, list[str]] = {category: [] for category in categories}
    for uid in sorted(owner, key=lambda uid: hashlib.sha256(f"{seed}/{uid}".encode()).digest()):
        queues[owner[uid]].append(uid)
    return queues


def _hint(category: str, table: Mapping[str, list[str]]) -> str:
    """Return a clause with similar names, or ""."""
    kin = [name for name in table if name.startswith(f"{category}_")]
    near = [LVIS_NAMES[category]] if category in LVIS_NAMES else kin or get_close_matches(category, table)
    return f"; did you mean {' or '.join(near)}?" if near else ""


class _Choice:
    """Rounds of fetching: each takes the missing number of objects from all queues at once."""

    def __init__(
        self,
        cache: ObjaverseCache,
        queues: Mapping[str, Sequence[str]],
        paths: Mapping[str, str],
        per_category: int,
        licences: frozenset[str],
        progress: ProgressCallback | None,
    ) -> None:
        self.chosen: dict[str, list[Asset]] = {category: [] for category in queues}
        self.failures: list[Failure] = []
        self._forbidden: Counter[str] = Counter()  # category → objects with other licences
        self._cache = cache
        self._left = {category: iter(queue) for category, queue in queues.items()}
        self._wanted = sum(min(per_category, len(queue)) for queue in queues.values())
        self._paths = paths
        self._per_category = per_category
        self._licences = licences
        self._progress = progress or (lambda *_: None)
        self._metadata: dict[str, dict[str, Any] | DownloadFailed] = {}

    def run(self) -> None:
        """Fill `chosen`, in the order of the queues, and `failures`."""
        while batch := self._next_batch():
            self._describe(batch)
            allowed = {
                uid: known for uid, category in batch.items() if (known := self._known_and_allowed(uid, category))
            }
            found: dict[str, tuple[Path, str] | DownloadFailed] = {}
            done = sum(map(len, self.chosen.values()))
            for uid, result in self._cache.objects({uid: self._paths[uid] for uid in allowed}):
                found[uid] = result
                done += not isinstance(result, DownloadFailed)
                self._progress("objects", done, self._wanted)
            for uid, metadata in allowed.items():
                result = found[uid]
                if isinstance(result, DownloadFailed):
                    self._fail(uid, batch[uid], result)
                else:
                    self.chosen[batch[uid]].append(_asset(uid, batch[uid], *result, metadata))

    def why_empty(self, category: str) -> str:
        """Return a sentence that explains why a category has no objects."""
        reasons = Counter(failure.reason for failure in self.failures if failure.id.startswith(f"{category}/"))
        if self._forbidden[category]:
            reasons[f"not under {', '.join(sorted(self._licences))}"] = self._forbidden[category]
        counts = ", ".join(f"{times} × {reason}" for reason, times in reasons.most_common())
        return f"no object of the category {category!r} can be used ({counts}); leave the category out"

    def _next_batch(self) -> dict[str, str]:
        """Return uid → category for the missing number of candidates."""
        return {
            uid: category
            for category, queue in self._left.items()
            for uid in islice(queue, self._per_category - len(self.chosen[category]))
        }

    def _describe(self, uids: Collection[str]) -> None:
        """Load the metadata of these candidates, and of all candidates in the same files."""
        shards = {shard(self._paths[uid]) for uid in uids if uid in self._paths and uid not in self._metadata}
        kin = {uid: path for uid, path in self._paths.items() if shard(path) in shards}
        if kin:
            self._metadata |= self._cache.metadata(kin, self._progress)

    def _known_and_allowed(self, uid: str, category: str) -> dict[str, Any] | None:
        """Return the object's metadata, or None if it is missing or the licence is not accepted."""
        known = self._metadata.get(uid) or DownloadFailed(f"Objaverse has no file or no metadata of {uid}", "unlisted")
        if isinstance(known, DownloadFailed):
            self._fail(uid, category, known)
            return None
        if LICENCES.get(str(known.get("license"))) not in self._licences:
            self._forbidden[category] += 1
            return None
        return known

    def _fail(self, uid: str, category: str, failure: DownloadFailed) -> None:
        self.failures.append(Failure(f"{category}/{uid}", failure.reason, str(failure)))


def _asset(uid: str, category: str, path: Path, sha256: str, metadata: Mapping[str, Any]) -> Asset:
    user = metadata.get("user") or {}
    return Asset(
        f"{category}/{uid}",
        category,
        path,
        sha256,
        title=metadata.get("name") or "",
        author=user.get("displayName") or user.get("username") or "",
        licence=LICENCES[metadata["license"]],
        url=metadata.get("viewerUrl") or f"https://sketchfab.com/3d-models/{uid}",
    )
