"""Assets from folders: objects as PATH/CATEGORY/NAME.glb, and a flat folder of .hdr and .exr environment maps.

A catalogue is a CSV file in the objects' folder. It gives credits, and the categories of objects that lie directly in
PATH. Its columns are `file` (relative to PATH or to the category's folder, with or without suffix), `category`, and
optionally `title`, `author`, `licence` and `url`. `creator`, `license` and `source` are other names of the last three.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from objascale.files import file_sha256
from objascale.sources import Asset, SourceError

OBJECT_SUFFIXES = (".glb", ".gltf", ".obj", ".fbx", ".usd", ".usda", ".usdc", ".usdz", ".ply", ".stl")
MAP_SUFFIXES = (".exr", ".hdr")
LDR_MAP_SUFFIXES = (".jpg", ".jpeg", ".png")

_CREDITS = ("title", "author", "licence", "url")
_OTHER_NAMES = {"creator": "author", "license": "licence", "source": "url"}


def objects(folder: Path) -> list[Asset]:
    """Return the objects in the category folders of `folder` and in its catalogues, sorted by category and name.

    Raises:
        SourceError: If the folder is missing or has no object, if two objects have the same name, or if a catalogue
            cannot be read, lists a missing file, a file twice, or a file under another category than its folder's.
    """
    if not folder.is_dir():
        raise SourceError(f"the objects folder {folder} does not exist")
    files = [
        path
        for path in sorted([*folder.glob("*"), *folder.glob("*/*")])
        if path.suffix.lower() in OBJECT_SUFFIXES and path.is_file()
    ]
    rows = _catalogued(folder, files)
    found = []
    for path in files:
        row = rows.get(path, {})
        if row or path.parent != folder:
            category = row.get("category", path.parent.name)
            credits = {name: row.get(name, "") for name in _CREDITS}
            found.append(Asset(f"{category}/{path.stem}", category, path, file_sha256(path), **credits))
    if not found:
        raise SourceError(
            f"no objects in {folder}: expected {folder}/CATEGORY/NAME with a suffix of {' '.join(OBJECT_SUFFIXES)}"
        )
    ids = Counter(asset.id for asset in found)
    twins = {asset.id for asset in found if ids[asset.id] > 1}
    if twins:
        raise SourceError(f"two files in {folder} share the name {min(twins)}; rename one of them")
    return sorted(found, key=lambda asset: (asset.category, asset.path.name))


def environment_maps(path: Path, ldr: bool = False) -> list[Asset]:
    """Return the environment maps in a folder, or the one that `path` names, sorted by name.

    A map's id is the name of its file without suffix. Maps that differ only in the suffix keep it in their ids. A map
    that is damaged is left out with a warning.

    Args:
        path: Folder, or file.
        ldr: Whether to take panoramas of low dynamic range (LDR_MAP_SUFFIXES) too.

    Raises:
        SourceError: There is no usable map.
    """
    from objascale.maps import EnvironmentMapError, check_map  # here, because it loads OpenCV and Numba

    suffixes = MAP_SUFFIXES + LDR_MAP_SUFFIXES if ldr else MAP_SUFFIXES
    wanted = " ".join(suffixes) + ("" if ldr else ", and .jpg .png with --ldr-maps")
    if not path.exists():
        raise SourceError(f"the file or folder of environment maps {path} does not exist")
    files = [path] if path.is_file() else sorted(path.iterdir())
    files = [file for file in files if file.suffix.lower() in suffixes and not file.name.startswith(".")]
    if not files:
        raise SourceError(f"no environment maps in {path}: expected files with a suffix of {wanted}")
    stems = Counter(file.stem for file in files)
    found, reason = [], ""
    for file in files:
        try:
            check_map(file)
        except EnvironmentMapError as error:
            reason = str(error)
            logging.getLogger(__name__).warning("%s; it is left out", reason)
            continue
        name = file.stem if stems[file.stem] == 1 else file.name
        found.append(Asset(name, "", file, file_sha256(file), title=name))
    if not found:
        raise SourceError(f"no usable environment map in {path}; the last reason: {reason}")
    return found


def _catalogued(folder: Path, files: list[Path]) -> dict[Path, dict[str, str]]:
    """Object file → row, for all catalogues."""
    names = {name: path for path in files for name in _names(path.relative_to(folder))}
    rows: dict[Path, dict[str, str]] = {}
    for where, row in _rows(folder):
        file, category = PurePosixPath(row["file"]).as_posix(), row["category"]
        path = names.get(f"{category}/{file}") or names.get(file)
        if path is None:
            raise SourceError(f"{where}: there is no object {file!r} in {folder / category}; correct the line")
        if not category or path.parent not in (folder, folder / category):
            raise SourceError(f"{where}: {path} is not in the category {category!r}; correct the line or move the file")
        if path in rows:
            raise SourceError(f"{where}: {path} is listed twice; delete one of the lines")
        rows[path] = row
    return rows


def _names(path: Path) -> tuple[str, str]:
    """The names of a file in a catalogue: with and without its suffix."""
    return path.as_posix(), path.with_suffix("").as_posix()


def _rows(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (place, row) for each line of each catalogue in the folder."""
    for catalogue in sorted(folder.glob("*.csv")):
        try:
            table = pd.read_csv(catalogue, dtype=str).fillna("")
        except (ValueError, pd.errors.ParserError) as error:
            raise SourceError(f"{catalogue} is not a catalogue: it cannot be read as CSV ({error})") from error
        table = table.rename(columns={old: new for old, new in _OTHER_NAMES.items() if new not in table})
        if missing := {"file", "category"} - set(table):
            raise SourceError(
                f"{catalogue} is not a catalogue: it has no column {' and no column '.join(sorted(missing))}"
            )
        for line, row in enumerate(table.to_dict("records"), 2):
            yield f"{catalogue}, line {line}", {str(name): str(value) for name, value in row.items()}
