"""Environment maps of Poly Haven, through its public API. They are CC0; their authors are credited all the same.

Fetched as EXR: its half floats keep the colours of dark and saturated places, which the shared exponent of Radiance HDR
rounds; at 4k it is of about the same size (20 to 30 MB), decodes faster and takes half the memory doing so.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
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
"""Where the lists are, unless the environment variable POLYHAVEN_API names another place."""

Resolution = Literal["1k", "2k", "4k", "8k", "16k"]
RESOLUTIONS: tuple[str, ...] = get_args(Resolution)

_AGENT = {"User-Agent": "objascale-suite"}  # its terms ask for one that is ours alone


def environment_maps(
    count: int, resolution: str, *, seed: int, offline: bool = False, progress: ProgressCallback | None = None
) -> list[Asset]:
    """`count` maps of RESOLUTIONS, fetched into the user's cache, in an order that depends on seed and slugs alone.

    A map that cannot be had is logged and gives way to the next. The list of maps is kept too, in
    CACHE/polyhaven/assets.json, and used until it is deleted, so that the same call gives the same maps. `offline`
    takes only what the cache holds. Raises SourceError for an unknown resolution, for more maps than there are or can
    be had, and if the host cannot be reached; what was fetched until then is kept.
    """
    if resolution not in RESOLUTIONS:
        raise SourceError(f"Poly Haven has no maps of {resolution!r}; choose among {', '.join(RESOLUTIONS)}")
    haven = _PolyHaven(resolution, offline, Digests())
    try:
        listing = haven.listing()
        slugs = sorted(listing, key=lambda slug: hashlib.sha256(f"{seed}/{slug}".encode()).digest())
        if len(slugs) < count:
            raise SourceError(f"Poly Haven lists {len(slugs)} maps of {resolution}, fewer than the {count} asked for")
        found: dict[str, Asset] = {}
        failure: DownloadFailed | None = None
        candidates = iter(slugs)
        while batch := list(islice(candidates, count - len(found))):
            for index, result in download_many([partial(haven.fetch, slug, listing[slug]) for slug in batch]):
                if isinstance(result, DownloadFailed):
                    failure = result
                    logging.getLogger(__name__).warning("%s; another map takes its place", result)
                else:
                    found[batch[index]] = result
                    if progress:
                        progress("environment maps", len(found), count)
    except HostUnavailable as error:
        raise SourceError(f"{error}; what came is kept, and the same command goes on from there") from error
    finally:
        haven.digests.save()
    if len(found) < count:
        raise SourceError(
            f"only {len(found)} of {count} maps of {resolution} could be had; the last failure: {failure}"
        )
    return [found[slug] for slug in slugs if slug in found]


@dataclass(frozen=True)
class _PolyHaven:
    """The API and the cache: assets.json, files/SLUG.json as the API gave them, and the maps as RESOLUTION/SLUG.exr."""

    resolution: str
    offline: bool
    digests: Digests

    def listing(self) -> dict[str, dict[str, Any]]:
        """slug → what the API says of the map, of those that there are in this resolution. Raises SourceError."""
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
        """The map with its credits. Raises DownloadFailed."""
        files = self._ensure(f"{_api()}/files/{slug}", self._path(f"files/{slug}.json"), _JSON)
        try:
            record = json.loads(files.read_text("utf-8"))["hdri"][self.resolution]["exr"]
            url, expected = record["url"], Expected(md5=str(record["md5"]), size=int(record["size"]))
        except (KeyError, TypeError, ValueError) as error:
            message = f"Poly Haven has no EXR of {slug} in {self.resolution} (says {files})"
            raise DownloadFailed(message, "not-listed") from error
        path = self._path(f"{self.resolution}/{slug}.exr")
        try:
            if not self.digests.knows(path):
                self._ensure(url, path, expected)
        except DownloadFailed as failure:
            if failure.reason == "wrong-content":  # the map may have been renewed: ask again the next time
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
            raise DownloadFailed(f"{path} is not there, or damaged, and may not be fetched offline", "not-cached")
        return path

    @staticmethod
    def _path(relative: str) -> Path:
        return cache_folder() / "polyhaven" / relative


def _api() -> str:
    return (os.environ.get("POLYHAVEN_API") or API).rstrip("/")


def _width(entry: Any) -> int:
    """Largest width in px, 0 if the entry says nothing."""
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
