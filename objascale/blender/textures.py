"""The pictures that imported materials use: which are not there, and what a surface looks like without them.

A picture that lies outside the object's folder counts as not there and is never decoded. Without its picture a surface
has the colour, roughness and so on that its material's factors give alone, no relief, and does not glow.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path

import bpy
from PIL import Image

from objascale.references import find_inside, inside
from objascale.refusal import Refusal

MAX_PIXELS = 2**28
"""Of all pictures of one object together. Pillow refuses to open a single one of more than 178,956,970."""

_NEUTRAL_WHEN_UNLINKED = ("Normal", "Coat Normal", "Emission Color")


def mend_textures(path: Path, things: Iterable[bpy.types.Object]) -> list[str]:
    """Replace what cannot be shown in the materials of `things`, which came from `path`; returns its names, sorted.

    Raises Refusal too-large if the pictures have more than MAX_PIXELS pixels together.
    """
    slots = [slot for thing in things for slot in thing.material_slots]
    trees = {slot.material.node_tree for slot in slots if slot.material and slot.material.node_tree}
    nodes = [node for tree in trees for node in tree.nodes if node.type == "TEX_IMAGE"]
    images = {node.image for node in nodes if node.image}
    for image in images:
        _find(path.parent, image)
    sizes = {image: _pixels(path, image) for image in images}
    total = sum(sizes.values())
    if total > MAX_PIXELS:
        raise Refusal("too-large", f"{path} has textures of {total:,} px, the limit is {MAX_PIXELS:,}")
    broken = {image for image in images if sizes[image] == 0 or image.size[0] == 0}
    names = {_name(image) for image in broken}
    missing = [node for node in nodes if node.image is None or node.image in broken]
    if missing:
        white = bpy.data.images.new("missing", 1, 1)
        white.generated_color = (1, 1, 1, 1)
        for tree in trees:
            _mend(tree, missing)
        for node in missing:
            names.add(_name(node.image) if node.image else node.label or node.name)
            node.image = white
    return sorted(names)


def _find(folder: Path, image: bpy.types.Image) -> None:
    """Let an image whose path has backslashes, another case or a foreign folder point to the file that is meant."""
    file = bpy.path.abspath(image.filepath, library=image.library)
    if image.packed_file or not file or Path(file).is_file():
        return
    wanted = file.replace("\\", "/")
    relative = os.path.relpath(wanted, folder)
    found = find_inside(folder, relative) or find_inside(folder, Path(wanted).name)
    if found:
        image.filepath = str(found)
        image.reload()


def _pixels(path: Path, image: bpy.types.Image) -> int:
    """Width × height, 0 if the picture is not there, damaged, or not in the object's folder."""
    if image.packed_file:
        source: io.BytesIO | Path = io.BytesIO(image.packed_file.data)
    else:
        source = Path(bpy.path.abspath(image.filepath, library=image.library))
        if not inside(path.parent, str(source)):
            return 0
    try:
        with Image.open(source) as picture:
            width, height = picture.size
            if width * height <= MAX_PIXELS:
                picture.draft(picture.mode, (width // 8, height // 8))  # a JPEG is read to its end, not computed
                picture.load()
    except Image.DecompressionBombError:
        return MAX_PIXELS + 1
    except (OSError, ValueError, SyntaxError):
        return 0
    return width * height


def _name(image: bpy.types.Image) -> str:
    return bpy.path.basename(image.filepath) or image.name


def _mend(tree: bpy.types.NodeTree, missing: list[bpy.types.Node]) -> None:
    """Unlink missing pictures where white would be wrong: relief and glow."""
    lost = {node for node in missing if node.id_data == tree}
    for node in tree.nodes:
        for name in _NEUTRAL_WHEN_UNLINKED:
            socket = node.inputs.get(name)
            if socket and socket.links and _upstream(socket) & lost:
                tree.links.remove(socket.links[0])
                if name == "Emission Color":
                    node.inputs["Emission Strength"].default_value = 0


def _upstream(socket: bpy.types.NodeSocket) -> set[bpy.types.Node]:
    """All nodes that a socket depends on."""
    seen: set[bpy.types.Node] = set()
    waiting = [link.from_node for link in socket.links]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += [link.from_node for source in node.inputs for link in source.links]
    return seen
