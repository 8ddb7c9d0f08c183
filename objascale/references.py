"""Checks of OBJ and USDA files for references outside their own folder, before Blender reads them."""

from __future__ import annotations

import re
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

    The library with the file's own name is checked too, since Blender reads it unasked. Textures are checked after the
    import.

    Raises:
        Refusal: not-finite (Blender would set such a vertex to 0) or outside-reference.
    """
    data = path.read_bytes()
    if re.search(rb"^[ \t]*v[ \t][^\n]*(nan|inf)", data, re.MULTILINE | re.IGNORECASE):
        raise Refusal("not-finite", f"{path} has vertices that are not finite")
    named = re.findall(rb"^[ \t]*mtllib[ \t]+(.+?)[ \t\r]*$", data, re.MULTILINE)
    _require_inside(path, [*(name.strip(b'"') for name in named), path.with_suffix(".mtl").name.encode()])


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
