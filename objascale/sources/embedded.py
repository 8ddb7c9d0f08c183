"""The default source, which needs no network: generated objects, and the environment maps that Blender ships."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from objascale.color import blender_datafiles
from objascale.files import cache_folder, file_sha256
from objascale.sources import STARTER_AUTHOR, Asset, StarterSplit, folder, starter
from objascale.sources.starter import CATEGORIES, STARTER_LICENCE, write_object

VARIANTS: dict[StarterSplit, range] = {"train": range(6), "test": range(6, 12)}
"""The variants of each category in each split. No weights that this project ships have learned from those of `test`."""


def objects(split: StarterSplit = "train") -> list[Asset]:
    """Return every starter object of a split. Missing ones are generated in the user's cache."""
    cache = cache_folder() / f"starter-{_version()}"
    found = []
    for category in sorted(CATEGORIES):
        for variant in VARIANTS[split]:
            name = f"{category}-{variant}"
            path = cache / category / f"{name}.glb"
            if not path.exists():
                write_object(category, variant, path)
            title = f"{category.replace('_', ' ')} {variant}"
            found.append(
                Asset(f"{category}/{name}", category, path, file_sha256(path), title, STARTER_AUTHOR, STARTER_LICENCE)
            )
    return found


def _version() -> str:
    """Return a hash of the code that generates the objects, so that new code gets a new cache folder."""
    code = Path(starter.__file__).parent
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(code.glob("*.py")))).hexdigest()[:12]


def environment_maps() -> list[Asset]:
    """Return Blender's eight 1k studio lights, by Greg Zaal (Poly Haven), CC0."""
    maps = folder.environment_maps(blender_datafiles() / "studiolights" / "world")
    return [replace(asset, author="Greg Zaal", licence="CC0-1.0", url="https://polyhaven.com") for asset in maps]
