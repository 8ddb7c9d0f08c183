"""Checks of OBJ and USDA files for references outside their own folder, before Blender reads them."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from objascale.refusal import Refusal


def inside(folder: Path, name: str) -> bool:
    """Return whether `name`, relative to `folder`, lies in it after links and `..` are resolved."""
    try:
        return (folder / name.replace("\\", "/")).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # not a valid file name
        return False


def check_obj(path: Path) -> None:
    """Refuse an OBJ file with vertices that are not finite, or with material libraries outside its folder.

    The library with the file's own name is also checked: Blender always reads it. Textures are checked after the
    import.

    Raises:
        Refusal: not-finite (Blender would set such a vertex to 0) or outside-reference.
    """
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:64]:
        raise Refusal("unreadable", f"{path} is not UTF-8 text (UTF-16?); save it as UTF-8")
    if re.search(rb"^[ \t]*v(?:[ \t]+\S+){0,2}[ \t]+[-+]?(?:nan|inf)", data, re.MULTILINE | re.IGNORECASE):
        raise Refusal("not-finite", f"{path} has vertices that are not finite")
    _require_inside(path, _library_names(path, data))


def material_libraries(path: Path) -> list[Path]:
    """Return the material libraries of an OBJ file that exist in its folder."""
    names = [name.decode(errors="replace").replace("\\", "/") for name in _library_names(path, path.read_bytes())]
    found = [find_inside(path.parent, name) for name in names]
    return [file for file in dict.fromkeys(found) if file is not None]


def _library_names(path: Path, data: bytes) -> list[bytes]:
    named = re.findall(rb"^[ \t]*mtllib[ \t]+(.+?)[ \t\r]*$", data, re.MULTILINE)
    return [*(name.strip(b'"') for name in named), path.with_suffix(".mtl").name.encode()]


def find_inside(folder: Path, name: str) -> Path | None:
    """Return the file that a reference names, or None if `folder` does not contain it.

    Backslashes separate folders. If no name matches exactly, upper and lower case and the Unicode form are ignored.
    """
    if not inside(folder, name):
        return None
    place = folder
    parts = Path(name.replace("\\", "/")).parts
    try:
        for part in parts:
            exact = place / part
            if exact.exists():
                place = exact
                continue
            same = [entry for entry in sorted(place.iterdir()) if _folded(entry.name) == _folded(part)]
            if not same:
                return None
            place = same[0]
        return place if place.is_file() and inside(folder, str(place.resolve())) else None
    except (OSError, ValueError):
        return None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def check_usd(path: Path) -> None:
    """Refuse a USD file in text form that refers to an asset outside its folder.

    Binary layers are not checked: Blender's USD library follows their references.

    Raises:
        Refusal: outside-reference.
    """
    data = path.read_bytes()
    if data.startswith(b"#usda"):
        _require_inside(path, re.findall(rb"@([^@\n]+)@", data))


def _require_inside(path: Path, names: list[bytes]) -> None:
    for name in (name.decode(errors="replace") for name in names):
        if not inside(path.parent, name):
            raise Refusal("outside-reference", f"{path} refers to {name[:200]!r}, which is outside its own folder")
