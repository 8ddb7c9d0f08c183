"""Environment maps of Poly Haven, from its public API. They are CC0, and their authors are credited.

Maps are fetched as EXR. Its half floats keep the colours of dark and saturated places, which the shared exponent of
Radiance HDR rounds. At 4k, an EXR is about as large (20 to 30 MB), decodes faster and needs half the memory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from objascale.download import DownloadFailed, Expected, HostUnavailable, download, download_many
from objascale.files import cache_folder
from objascale.progress import ProgressCallback
from objascale.sources import Asset, SourceError
from objascale.sources.digests import Digests

API = "https://api.polyhaven.com"
"""Address of the API. The environment variable POLYHAVEN_API replaces it."""

Resolution = Literal["1k", "2k", "4k", "8k", "16k"]
RESOLUTIONS: tuple[str, ...] = get_args(Resolution)

_AGENT = {"User-Agent": "objascale-suite"}  # the API's terms ask for a unique one


def environment_maps(
    count: int, resolution: str, *, seed: int, offline: bool = False, progress: ProgressCallback | None = None
) -> list[Asset]:
    """Fetch environment maps into the user's cache.

    Their order depends on the seed and their names alone. The next map replaces one that cannot be fetched, which is
    logged. The list of maps is kept in CACHE/polyhaven/assets.json until it is deleted, so the same call returns the
    same maps.

    Args:
        count: Number of maps.
        resolution: One of RESOLUTIONS.
        seed: Seed of the order.
        offline: Whether to use only files in the cache.
        progress: Called after each map.

    Raises:
        SourceError: For an unknown resolution, for fewer maps than `count`, or an unreachable host. Fetched files are
            kept.
    """
    if resolution not in RESOLUTIONS:
        raise SourceError(f"Poly Haven has no maps of {resolution!r}; choose among {', '.join(RESOLUTIONS)}")
    haven = _PolyHaven(resolution, offline, Digests())
    try:
        listing = haven.listing()
        slugs = sorted(listing, key=lambda slug: hashlib.sha256(f"{seed}/{slug}".encode()).digest())
        if len(slugs) < count:
            raise SourceError(f"Poly Haven lists {len(slugs)} maps of {resolution}, fewer than the requested {count}")
        found: dict[str, Asset] = {}
        failure: DownloadFailed | None = None
        candidates = iter(slugs)
        while batch := list(islice(candidates, count - len(found))):
            for index, result in download_many([partial(haven.fetch, slug, listing[slug]) for slug in batch]):
                if isinstance(result, DownloadFailed):
                    failure = result
                    logging.getLogger(__name__).warning("%s; another map replaces it", result)
                else:
                    found[batch[index]] = result
                    if progress:
                        progress("environment maps", len(found), count)
    except HostUnavailable as error:
        raise SourceError(f"{error}; fetched files are kept, and the same command continues") from error
    finally:
        haven.digests.save()
    if len(found) < count:
        raise SourceError(
            f"only {len(found)} of {count} maps of {resolution} could be fetched; the last failure: {failure}"
        )
    return [found[slug] for slug in slugs if slug in found]


def named_maps(
    slugs: Sequence[str], resolution: str, *, offline: bool = False, progress: ProgressCallback | None = None
) -> list[Asset]:
    """Fetch environment maps by name into the user's cache.

    Args:
        slugs: Names of the maps.
        resolution: One of RESOLUTIONS.
        offline: Whether to use only files in the cache.
        progress: Called after each map.

    Raises:
        SourceError: A map is not listed or cannot be fetched, or the host cannot be reached. Fetched files are kept.
    """
    haven = _PolyHaven(resolution, offline, Digests())
    found: dict[str, Asset] = {}
    try:
        listing = haven.listing()
        if missing := [slug for slug in slugs if slug not in listing]:
            raise SourceError(f"Poly Haven has no map {missing[0]} of {resolution}")
        for index, result in download_many([partial(haven.fetch, slug, listing[slug]) for slug in slugs]):
            if isinstance(result, DownloadFailed):
                raise SourceError(str(result)) from result
            found[slugs[index]] = result
            if progress:
                progress("environment maps", len(found), len(slugs))
    except HostUnavailable as error:
        raise SourceError(f"{error}; fetched files are kept, and the same command continues") from error
    finally:
        haven.digests.save()
    return [found[slug] for slug in slugs]


@dataclass(frozen=True)
class _PolyHaven:
    """The API and its cache: assets.json and files/SLUG.json from the API, and maps as RESOLUTION/SLUG.exr."""

    resolution: str
    offline: bool
    digests: Digests

    def listing(self) -> dict[str, dict[str, Any]]:
        """Return slug → the API's entry, for the maps of this resolution. Raises SourceError."""
        try:
            path = self._ensure(f"{_api()}/assets?t=hdris", self._path("assets.json"), _JSON)
        except HostUnavailable:
            raise
        except DownloadFailed as failure:
            raise SourceError(str(failure)) from failure
        width = 1024 * int(self.resolution.removesuffix("k"))
        return {
            slug: entry
            for slug, entry in json.loads(path.read_text("utf-8")).items()
            if re.fullmatch(r"[\w-]+", slug, re.ASCII) and _width(entry) >= width
        }

    def fetch(self, slug: str, entry: Mapping[str, Any]) -> Asset:
        """Fetch a map and return it with its credits. Raises DownloadFailed."""
        files = self._ensure(f"{_api()}/files/{slug}", self._path(f"files/{slug}.json"), _JSON)
        try:
            record = json.loads(files.read_text("utf-8"))["hdri"][self.resolution]["exr"]
            url, expected = record["url"], Expected(md5=str(record["md5"]), size=int(record["size"]))
        except (KeyError, TypeError, ValueError) as error:
            message = f"Poly Haven has no EXR of {slug} in {self.resolution}, according to {files}"
            raise DownloadFailed(message, "not-listed") from error
        path = self._path(f"{self.resolution}/{slug}.exr")
        try:
            if not self.digests.knows(path):
                self._ensure(url, path, expected)
        except DownloadFailed as failure:
            if failure.reason == "wrong-content":  # the map may have changed: fetch its record again next time
                files.unlink()
            raise
        return Asset(
            slug,
            "",
            path,
            self.digests.sha256(path),
            title=str(entry.get("name") or slug),
            author=", ".join(entry.get("authors") or {}),
            licence="CC0-1.0",
            url=f"https://polyhaven.com/a/{slug}",
        )

    def _ensure(self, url: str, path: Path, expected: Expected) -> Path:
        if not self.offline:
            return download(url, path, expected, headers=_AGENT)
        if not path.is_file() or expected.fault(path):
            raise DownloadFailed(f"{path} is missing or damaged, and is not fetched offline", "not-cached")
        return path

    @staticmethod
    def _path(relative: str) -> Path:
        return cache_folder() / "polyhaven" / relative


def _api() -> str:
    return (os.environ.get("POLYHAVEN_API") or API).rstrip("/")


def _width(entry: Any) -> int:
    """Return the largest width, px, or 0 if the entry has none."""
    try:
        return int(entry["max_resolution"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        return 0


def _json_fault(path: Path) -> str:
    try:
        return "" if isinstance(json.loads(path.read_text("utf-8")), dict) else "it is not a JSON object"
    except ValueError as error:
        return f"it is not JSON ({error})"


_JSON = Expected(check=_json_fault)
