"""Where a file points: the folder that it must not leave, and OBJ and USDA files checked before Blender reads them."""

from __future__ import annotations

import re
from pathlib import Path

from objascale.refusal import Refusal


def inside(folder: Path, name: str) -> bool:
    """Whether the file that `name` means, relative to `folder`, lies in it, once links and `..` are followed."""
    try:
        return (folder / name.replace("\\", "/")).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):  # a name that no file can have
        return False


def check_obj(path: Path) -> None:
    """Refuse an OBJ file with vertices that are no numbers, or material libraries that lie outside its folder.

    Raises Refusal: not-finite (Blender would put such a vertex to 0); outside-reference, also for the library that
    bears the file's own name. The pictures that the materials name are looked at after the import.
    """
    data = path.read_bytes()
    if re.search(rb"^[ \t]*v[ \t][^\n]*(nan|inf)", data, re.MULTILINE | re.IGNORECASE):
        raise Refusal("not-finite", f"{path} has vertices at infinity or without a number")
    named = re.findall(rb"^[ \t]*mtllib[ \t]+(.+?)[ \t\r]*$", data, re.MULTILINE)
    _demand_inside(path, [*(name.strip(b'"') for name in named), path.with_suffix(".mtl").name.encode()])


def check_usd(path: Path) -> None:
    """Refuse a USD file in text form that names an asset outside its folder.

    Raises Refusal outside-reference. A binary layer is left to Blender's USD library, which follows its references.
    """
    data = path.read_bytes()
    if data.startswith(b"#usda"):
        _demand_inside(path, re.findall(rb"@([^@\n]+)@", data))


def _demand_inside(path: Path, names: list[bytes]) -> None:
    for name in (name.decode(errors="replace") for name in names):
        if not inside(path.parent, name):
            raise Refusal("outside-reference", f"{path} refers to {name[:200]!r}, which is outside its own folder")
