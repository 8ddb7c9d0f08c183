"""Materials that importers read wrongly: transparency factors and vertex colours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import bpy
import numpy as np

from objascale.references import material_libraries

_INVISIBLE_ALPHA = 0.001  # as in scene.py: below it, masks have a hole
_GLASS = ("4", "6", "7", "9")  # illumination models of MTL with transmitted light


def fully_transparent(material: bpy.types.Material | None) -> bool:
    """Return whether a material has a constant alpha of 0."""
    shader = _principled(material)
    return shader is not None and _is_zero(shader.inputs["Alpha"])


def is_opaque(material: bpy.types.Material | None) -> bool:
    """Return whether a material hides all that is behind it: a constant alpha of 1 and no transmission."""
    if material is None:
        return True
    shader = _principled(material)
    if shader is None:
        return False
    alpha, transmission = shader.inputs["Alpha"], shader.inputs["Transmission Weight"]
    return not alpha.links and alpha.default_value >= 1 and not transmission.links and not transmission.default_value


def _principled(material: bpy.types.Material | None) -> bpy.types.Node | None:
    """Return the Principled BSDF that alone gives the material its surface."""
    tree = material.node_tree if material else None
    output = tree.get_output_node("CYCLES") if tree else None
    links = output.inputs["Surface"].links if output else ()
    return links[0].from_node if links and links[0].from_node.type == "BSDF_PRINCIPLED" else None


def _is_zero(socket: bpy.types.NodeSocket) -> bool:
    """Return whether an alpha socket is 0, also as a product with the factor 0."""
    if not socket.links:
        return socket.default_value < _INVISIBLE_ALPHA
    node = socket.links[0].from_node
    return node.type == "MATH" and node.operation == "MULTIPLY" and any(_is_zero(item) for item in node.inputs[:2])


def undo_wrong_transparency(path: Path, things: Iterable[bpy.types.Object]) -> None:
    """Make materials opaque that only a wrong transparency factor hides.

    OBJ: `Tf 1 1 1` is what 3ds Max writes for opaque materials, and Tf has no meaning in illumination models without
    transmission; Blender makes glass of it. OBJ and FBX: exporters disagree whether the factor is opacity or
    transparency, so if all materials are invisible, the factor is taken the other way round.
    """
    shaders = {
        slot.material: shader
        for thing in things
        for slot in thing.material_slots
        if (shader := _principled(slot.material)) is not None
    }
    if path.suffix.lower() == ".obj":
        opaque = _opaque_by_filter(path)
        for material, shader in shaders.items():
            if material.name in opaque or re.sub(r"\.\d{3}$", "", material.name) in opaque:
                shader.inputs["Transmission Weight"].default_value = 0
    if shaders and all(fully_transparent(material) for material in shaders):
        for shader in shaders.values():
            for link in shader.inputs["Alpha"].links:
                shader.id_data.links.remove(link)
            shader.inputs["Alpha"].default_value = 1


def _opaque_by_filter(path: Path) -> set[str]:
    """Return the names of MTL materials whose Tf does not make them glass."""
    opaque = set()
    for library in material_libraries(path):
        for block in re.split(r"(?m)^[ \t]*newmtl[ \t]+", library.read_text("utf-8", errors="replace"))[1:]:
            name, _, body = block.partition("\n")
            model = re.search(r"(?m)^[ \t]*illum[ \t]+(\d+)", body)
            factor = re.search(r"(?m)^[ \t]*Tf[ \t]+([-+.\deE \t]+)", body)
            if factor is None:
                continue
            white = all(float(value) >= 1 for value in factor[1].split() if re.fullmatch(r"[\d.eE+-]*\d", value))
            if white or (model and model[1] not in _GLASS):
                opaque.add(name.strip())
    return opaque


def show_vertex_colours(things: Iterable[bpy.types.Object]) -> None:
    """Multiply the base colour of materials without texture by the mesh's colours, and drop colours that are NaN."""
    for thing in things:
        if thing.type != "MESH" or not thing.data.color_attributes:
            continue
        colours = thing.data.color_attributes[0]
        values = np.empty(4 * len(colours.data), np.float32)
        colours.data.foreach_get("color", values)
        if not np.isfinite(values).all():
            thing.data.color_attributes.remove(colours)
            continue
        if not thing.material_slots or all(slot.material is None for slot in thing.material_slots):
            material = bpy.data.materials.new("vertex colours")
            material.use_nodes = True
            thing.data.materials.clear()
            thing.data.materials.append(material)
        for material in {slot.material for slot in thing.material_slots if slot.material}:
            shader = _principled(material)
            if shader and not shader.inputs["Base Color"].links:
                node = material.node_tree.nodes.new("ShaderNodeVertexColor")
                node.layer_name = colours.name
                material.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
