"""Objects of Objaverse 1.0, chosen by their LVIS category and licence, each with its author's credit.

The data set as a whole is under ODC-By 1.0 (Deitke et al., "Objaverse: A Universe of Annotated 3D Objects", 2022); each
object has a licence of its own.
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
"""Objaverse's word for a licence → its name."""

DEFAULT_LICENCES = frozenset({"CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0"})
"""Those under which anyone may pass on renders, for any purpose, with credit (and, if -SA, under the same licence)."""


@dataclass(frozen=True)
class Fetched:
    """The objects, by category and in the order of choice; candidates that could not be had; cached files replaced."""

    assets: list[Asset]
    failures: list[Failure]
    replaced: list[Failure]


def default_categories(count: int) -> list[str]:
    """The `count` of the 68 categories in data/categories.csv that have the most objects, those with most first.

    Raises SourceError if there are not so many.
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
) -> Fetched:
    """Up to `per_category` objects of each LVIS category, all distinct, fetched into the `objaverse` package's cache.

    A category's objects are tried in an order that depends on the seed and their uids alone; one that cannot be had
    gives way to the next. An object listed under several of the categories counts for the one that lists the fewest.
    `offline` takes only what the cache holds. Raises SourceError for an unknown category or licence, a category that
    stays empty, and a host that cannot be reached; what was fetched until then is kept.
    """
    unknown = set(licences) - set(LICENCES.values())
    if unknown or not licences:
        name = min(unknown, default="")
        raise SourceError(f"no object has the licence {name!r}; choose among {', '.join(LICENCES.values())}")
    cache = ObjaverseCache(offline=offline)
    queues = _queues(cache.lvis(), categories, seed)
    paths = cache.object_paths([uid for queue in queues.values() for uid in queue])
    choice = _Choice(cache, queues, paths, per_category, frozenset(licences), progress)
    choice.run()
    for category, chosen in choice.chosen.items():
        if not chosen:
            raise SourceError(choice.why_empty(category))
    assets = [asset for chosen in choice.chosen.values() for asset in chosen]
    return Fetched(assets, choice.failures, cache.replaced)


def _queues(table: Mapping[str, list[str]], categories: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Category → its uids in the order in which they are tried; each uid in one category."""
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
    """Names that may have been meant."""
    kin = [name for name in table if name.startswith(f"{category}_")]
    near = [LVIS_NAMES[category]] if category in LVIS_NAMES else kin or get_close_matches(category, table)
    return f"; did you mean {' or '.join(near)}?" if near else ""


class _Choice:
    """Takes from each category's queue until it has enough objects, all categories at once, round by round."""

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
        """A sentence on a category without objects."""
        reasons = Counter(failure.reason for failure in self.failures if failure.id.startswith(f"{category}/"))
        if self._forbidden[category]:
            reasons[f"not under {', '.join(sorted(self._licences))}"] = self._forbidden[category]
        counts = ", ".join(f"{times} × {reason}" for reason, times in reasons.most_common())
        return f"not one object of the category {category!r} could be had ({counts}); leave the category out"

    def _next_batch(self) -> dict[str, str]:
        """uid → category of as many candidates as are lacking."""
        return {
            uid: category
            for category, queue in self._left.items()
            for uid in islice(queue, self._per_category - len(self.chosen[category]))
        }

    def _describe(self, uids: Collection[str]) -> None:
        """Have the metadata of these candidates; those of all others in the same files come with them."""
        shards = {shard(self._paths[uid]) for uid in uids if uid in self._paths and uid not in self._metadata}
        kin = {uid: path for uid, path in self._paths.items() if shard(path) in shards}
        if kin:
            self._metadata |= self._cache.metadata(kin, self._progress)

    def _known_and_allowed(self, uid: str, category: str) -> dict[str, Any] | None:
        """The object's metadata, if there is any and the licence is among those asked for."""
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
