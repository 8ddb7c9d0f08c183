"""Assets from folders: DIR/CATEGORY/NAME.glb, and a flat folder of .hdr and .exr environment maps.

A catalogue, a CSV file directly in the objects' folder with the columns `category`, `file` (name without ending),
`title`, `creator`, `license` and `source`, gives the credits; without it they stay empty.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from objascale.files import file_sha256
from objascale.sources import Asset, SourceError

OBJECT_ENDINGS = (".glb", ".gltf", ".obj", ".fbx", ".usd", ".usda", ".usdc", ".usdz", ".ply", ".stl")
MAP_ENDINGS = (".exr", ".hdr")


def objects(folder: Path) -> list[Asset]:
    """Every object below the category folders of `folder`, sorted by id.

    Raises SourceError if the folder is missing or holds no object in any category folder.
    """
    if not folder.is_dir():
        raise SourceError(f"the objects folder {folder} does not exist")
    credits = _credits(folder)
    found = [
        Asset(f"{path.parent.name}/{path.stem}", path.parent.name, path, file_sha256(path), **credits.get(key, {}))
        for path in sorted(folder.glob("*/*"))
        if path.suffix.lower() in OBJECT_ENDINGS and path.is_file()
        for key in [(path.parent.name, path.stem)]
    ]
    if not found:
        raise SourceError(
            f"no objects in {folder}: expected {folder}/CATEGORY/NAME with an ending among {' '.join(OBJECT_ENDINGS)}"
        )
    ids = Counter(asset.id for asset in found)
    twins = {asset.id for asset in found if ids[asset.id] > 1}
    if twins:
        raise SourceError(f"two files in {folder} share the name {min(twins)}; rename one of them")
    return found


def environment_maps(folder: Path) -> list[Asset]:
    """Every .exr and .hdr file directly in `folder`, sorted by name. Raises SourceError if there is none."""
    if not folder.is_dir():
        raise SourceError(f"the environment maps' folder {folder} does not exist")
    found = [
        Asset(path.stem, "", path, file_sha256(path), title=path.stem)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in MAP_ENDINGS
    ]
    if not found:
        raise SourceError(f"no environment maps in {folder}: expected .exr or .hdr files")
    return found


def _credits(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for catalogue in sorted(folder.glob("*.csv")):
        try:
            table = pd.read_csv(catalogue, dtype=str).fillna("")
            for row in table.to_dict("records"):
                rows[(row["category"], Path(row["file"]).stem)] = {
                    "title": row["title"],
                    "author": row["creator"],
                    "licence": row["license"],
                    "url": row["source"],
                }
        except (ValueError, KeyError, pd.errors.ParserError) as error:
            raise SourceError(
                f"{catalogue} is no catalogue: expected the columns category, file, title, creator, license, source "
                f"({error})"
            ) from error
    return rows
