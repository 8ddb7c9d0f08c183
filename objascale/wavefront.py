"""What a Wavefront OBJ file refers to, checked before Blender follows it."""

from __future__ import annotations

import re
from pathlib import Path

from objascale.gltf import inside
from objascale.refusal import Refusal


def check_obj(path: Path) -> None:
    """Refuse an OBJ file whose material libraries, or the library that bears its own name, lie outside its folder.

    Raises Refusal outside-reference. The pictures that the materials name are looked at after the import.
    """
    named = re.findall(rb"^[ \t]*mtllib[ \t]+(.+?)[ \t\r]*$", path.read_bytes(), re.MULTILINE)
    for library in [*(name.decode(errors="replace").strip('"') for name in named), path.with_suffix(".mtl").name]:
        if not inside(path.parent, library):
            raise Refusal(
                "outside-reference", f"{path} refers to {library[:200]!r}, which is outside its own folder"
            )
