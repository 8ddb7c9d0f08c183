"""A Wavefront OBJ file checked before Blender reads it."""

from __future__ import annotations

import re
from pathlib import Path

from objascale.gltf import inside
from objascale.refusal import Refusal


def check_obj(path: Path) -> None:
    """Refuse an OBJ file with vertices that are no numbers, or material libraries that lie outside its folder.

    Raises Refusal: not-finite (Blender would put such a vertex to 0); outside-reference, also for the library that
    bears the file's own name. The pictures that the materials name are looked at after the import.
    """
    data = path.read_bytes()
    if re.search(rb"^[ \t]*v[ \t][^\n]*(nan|inf)", data, re.MULTILINE | re.IGNORECASE):
        raise Refusal("not-finite", f"{path} has vertices at infinity or without a number")
    named = re.findall(rb"^[ \t]*mtllib[ \t]+(.+?)[ \t\r]*$", data, re.MULTILINE)
    for library in [*(name.decode(errors="replace").strip('"') for name in named), path.with_suffix(".mtl").name]:
        if not inside(path.parent, library):
            raise Refusal("outside-reference", f"{path} refers to {library[:200]!r}, which is outside its own folder")
