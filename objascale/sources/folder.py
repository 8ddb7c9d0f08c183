"""Assets from folders: objects, and a flat folder of .hdr and .exr environment maps.

An object is PATH/CATEGORY/NAME.glb, or PATH/CATEGORY/NAME/scene.gltf, if that is the only object file in the folder
NAME. Files and folders whose names begin with a dot are ignored.

A catalogue is a CSV file in the objects' folder. It gives credits, and the categories of objects that lie directly in
PATH. Its columns are `file` (relative to PATH or to the category's folder, with or without suffix), `category`, and
optionally `title`, `author`, `licence` and `url`. `creator`, `license` and `source` are other names of the last three.
Upper and lower case and the Unicode form of names may differ from the disk if that is not ambiguous.
"""

from __future__ import annotations

import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from objascale.files import file_sha256
from objascale.picture_kind import true_suffix
from objascale.sources import Asset, SourceError

OBJECT_SUFFIXES = (".glb", ".gltf", ".obj", ".fbx", ".usd", ".usda", ".usdc", ".usdz", ".ply", ".stl")
MAP_SUFFIXES = (".exr", ".hdr")
LDR_MAP_SUFFIXES = (".jpg", ".jpeg", ".png")

_logger = logging.getLogger(__name__)
_CREDITS = ("title", "author", "licence", "url")
_OTHER_NAMES = {"creator": "author", "license": "licence", "source": "url"}


def objects(folder: Path) -> list[Asset]:
    """Return the objects in the category folders of `folder` and in its catalogues, sorted by category and name.

    Ids are in Unicode's composed form (NFC). A file that cannot be read, or whose name is not UTF-8, is left out with a
    warning.

    Raises:
        SourceError: If the folder is missing or has no object, if two objects have the same name, or if a catalogue
            cannot be read, lists a missing file, a file twice, or a file under another category than its folder's.
    """
    if not folder.is_dir():
        raise SourceError(f"the objects folder {folder} does not exist")
    files = _object_files(folder)
    rows = _catalogued(folder, files)
    found = []
    for path, name in files.items():
        row = rows.get(path, {})
        if row or path.parent != folder:
            category = row.get("category") or _composed(path.relative_to(folder).parts[0])
            credits = {key: row.get(key, "") for key in _CREDITS}
            try:
                found.append(Asset(f"{category}/{name}", category, path, file_sha256(path), **credits))
            except OSError as error:
                _logger.warning("%s cannot be read (%s); it is left out", path, error.strerror)
    if not found:
        flat = sum(path.parent == folder for path in files)
        hint = f"; {flat} such files lie in {folder} itself, which takes a catalogue (a CSV file) that lists them"
        raise SourceError(
            f"no objects in {folder}: expected CATEGORY/NAME.glb or CATEGORY/NAME/scene.gltf in it, "
            f"with a suffix of {' '.join(OBJECT_SUFFIXES)}{hint if flat else ''}"
        )
    ids = Counter(asset.id for asset in found)
    twins = {asset.id for asset in found if ids[asset.id] > 1}
    if twins:
        raise SourceError(f"two files in {folder} share the name {min(twins)}; rename one of them")
    return sorted(found, key=lambda asset: (asset.category, asset.path.name))


def _object_files(folder: Path) -> dict[Path, str]:
    """Return object file → name of the object, for files in the folder and in two levels of subfolders."""
    files = []
    for path in sorted(path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern)):
        if path.suffix.lower() not in OBJECT_SUFFIXES or not path.is_file():
            continue
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") for part in parts):
            continue
        try:
            os.fspath(path).encode()
        except UnicodeEncodeError:
            shown = os.fsencode(path).decode(errors="backslashreplace")
            _logger.warning("the name %s is not UTF-8; rename it. The object is left out", shown)
            continue
        files.append(path)
    in_folder = Counter(path.parent for path in files)
    return {
        path: _composed(
            path.parent.name
            if path.parent.parent.parent == folder and in_folder[path.parent] == 1
            else "/".join((*path.relative_to(folder).parts[1:-1], path.stem))
        )
        for path in files
    }


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def environment_maps(path: Path, ldr: bool = False) -> list[Asset]:
    """Return the environment maps in a folder, or the one that `path` names, sorted by name.

    A map's id is the name of its file without suffix. Maps that differ only in the suffix keep it in their ids. A map
    that is damaged is left out with a warning.

    Args:
        path: Folder, or file.
        ldr: Whether to include panoramas of low dynamic range (LDR_MAP_SUFFIXES).

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
            if not ldr and true_suffix(file) in LDR_MAP_SUFFIXES:
                raise EnvironmentMapError(f"{file} holds a picture of low dynamic range; give --ldr-maps to take it")
            check_map(file)
        except EnvironmentMapError as error:
            reason = str(error)
            _logger.warning("%s; it is left out", reason)
            continue
        name = file.stem if stems[file.stem] == 1 else file.name
        found.append(Asset(name, "", file, file_sha256(file), title=name))
    if not found:
        raise SourceError(f"no usable environment map in {path}; the last reason: {reason}")
    return found


def _catalogued(folder: Path, files: dict[Path, str]) -> dict[Path, dict[str, str]]:
    """Return object file → row, for all catalogues.

    Args:
        folder: The folder.
        files: Object file → name of the object.
    """
    exact = {each: path for path, name in files.items() for each in _names(path.relative_to(folder), name)}
    alike: dict[str, set[Path]] = {}
    for name, file_of_name in exact.items():
        alike.setdefault(_folded(name), set()).add(file_of_name)

    def find(name: str) -> Path | None:
        candidates = alike.get(_folded(name), set())
        return exact.get(name) or (next(iter(candidates)) if len(candidates) == 1 else None)

    rows: dict[Path, dict[str, str]] = {}
    for where, row in _rows(folder):
        file, category = PurePosixPath(row["file"]).as_posix(), row["category"]
        path = find(f"{category}/{file}") or find(file)
        if path is None:
            raise SourceError(f"{where}: there is no object {file!r} in {folder / category}; correct the line")
        top = path.relative_to(folder).parts[0]
        if not category or (path.parent != folder and _folded(top) != _folded(category)):
            raise SourceError(f"{where}: {path} is not in the category {category!r}; correct the line or move the file")
        if path in rows:
            raise SourceError(f"{where}: {path} is listed twice; delete one of the lines")
        rows[path] = row
    return rows


def _names(path: Path, name: str) -> list[str]:
    """Return the names that a catalogue may give a file: with and without suffix, and that of its folder."""
    own_folder = [path.parent.as_posix()] if _composed(path.parent.name) == name else []
    return [*own_folder, path.with_suffix("").as_posix(), path.as_posix()]


def _folded(name: str) -> str:
    return _composed(name).casefold()


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
