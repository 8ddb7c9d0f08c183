"""Surfaces that lie in each other, which a path tracer renders black.

A path that leaves one of two coincident surfaces hits the other at once, so no light arrives. Duplicate faces are
removed. For all other overlaps, a surface lets paths pass that start closer to it than the renderer can resolve.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bmesh
import bpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from objascale.blender.surfaces import fully_transparent, is_opaque

# Lengths where the object's radius is 1.
_SAME_POINT = 1e-6  # distance of corners that are one point; a few float32 steps
_TOUCHING = 2e-5  # length of paths that pass; rounding errors are below a tenth of it


def remove_duplicate_faces(things: Iterable[bpy.types.Object]) -> None:
    """Remove all but the last of the faces that have the same corners, in either winding.

    Faces of different objects are compared too, unless their meshes are deformed, shared or instanced. Where a material
    is transparent, only duplicates of that material are removed. Fully transparent faces are removed as well: a path
    that passes one misses another surface at the same place.

    Args:
        things: The objects of one file, of radius 1. Their meshes are changed.
    """
    visible = {thing.data: thing for thing in things if thing.type == "MESH" and not thing.hide_render}
    hashes = [_face_hashes(thing, number) for number, thing in enumerate(visible.values())]
    if not hashes:
        return
    from_last = np.concatenate(hashes)[::-1]
    kept = np.zeros(len(from_last), bool)
    kept[np.unique(from_last, return_index=True)[1]] = True
    ends = np.cumsum([len(part) for part in hashes])[:-1]
    for (mesh, thing), last in zip(visible.items(), np.split(kept[::-1], ends), strict=True):
        transparent = _by_face(thing, [fully_transparent(slot.material) for slot in thing.material_slots] or [False])
        removed = np.flatnonzero(~last | transparent)
        if len(removed):
            _delete_faces(mesh, removed)


def let_touching_paths_pass(things: Iterable[bpy.types.Object]) -> None:
    """Make each surface transparent for paths that start on another surface at the same place.

    Args:
        things: The objects of one file, of radius 1. Meshes without material get one that looks the same.
    """
    materials = set()
    for thing in things:
        if thing.type == "MESH":
            _fill_empty_slots(thing)
            materials |= {slot.material for slot in thing.material_slots if slot.material.node_tree}
    for tree in (material.node_tree for material in materials):
        output = tree.get_output_node("CYCLES")
        if output is None or not output.inputs["Surface"].links:
            continue
        path = tree.nodes.new("ShaderNodeLightPath")
        touching = tree.nodes.new("ShaderNodeMath")
        touching.operation = "LESS_THAN"
        touching.inputs[1].default_value = _TOUCHING
        transparent = tree.nodes.new("ShaderNodeBsdfTransparent")
        mix = tree.nodes.new("ShaderNodeMixShader")
        tree.links.new(path.outputs["Ray Length"], touching.inputs[0])
        tree.links.new(touching.outputs[0], mix.inputs[0])
        tree.links.new(output.inputs["Surface"].links[0].from_socket, mix.inputs[1])
        tree.links.new(transparent.outputs[0], mix.inputs[2])
        tree.links.new(mix.outputs[0], output.inputs["Surface"])


def _face_hashes(thing: bpy.types.Object, number: int) -> NDArray[np.uint64]:
    """Return a hash (faces,) of each face's set of corners; it is equal for duplicates that can be removed."""
    mesh = thing.data
    positions = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", positions)
    places = positions.reshape(-1, 3).astype(np.float64)
    placed = thing.name in bpy.context.view_layer.objects  # not only as an instance
    comparable = placed and mesh.users == 1 and not thing.modifiers and not mesh.shape_keys
    if comparable:
        matrix = np.array(thing.matrix_world)
        places = places @ matrix[:3, :3].T + matrix[:3, 3]
    else:
        places /= max(np.abs(places).max(initial=0), 1e-30)
    with np.errstate(invalid="ignore"):
        steps = np.rint(places / _SAME_POINT).astype(np.int64).view(np.uint64)
    points = _mixed(_mixed(_mixed(steps[:, 0]) ^ steps[:, 1]) ^ steps[:, 2])

    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    starts = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_start", starts)
    hashes = np.add.reduceat(points[corners], starts) if len(starts) else np.empty(0, np.uint64)

    own = (number + 1) << 32  # what differs from object to object
    opaque = 0 if comparable else own
    materials = [slot.material for slot in thing.material_slots] or [None]
    salts = [opaque if is_opaque(material) else own + 1 + slot for slot, material in enumerate(materials)]
    return _mixed(hashes ^ _mixed(_by_face(thing, np.array(salts, np.uint64))))


def _by_face(thing: bpy.types.Object, values: ArrayLike) -> NDArray[Any]:
    """Return for each face of an object the value (slots,) of its material slot."""
    slots = np.empty(len(thing.data.polygons), np.int32)
    thing.data.polygons.foreach_get("material_index", slots)
    values = np.asarray(values)
    return values[np.clip(slots, 0, len(values) - 1)]


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return pseudo-random numbers, equal for equal values. Source: the finaliser of SplitMix64."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _delete_faces(mesh: bpy.types.Mesh, faces: NDArray[np.int64]) -> None:
    """Delete faces by index; the others keep their corner normals."""
    normals = np.empty(3 * len(mesh.loops), np.float32)
    mesh.corner_normals.foreach_get("vector", normals)
    lengths = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_total", lengths)
    kept = ~np.isin(np.repeat(np.arange(len(lengths)), lengths), faces)
    work = bmesh.new()
    work.from_mesh(mesh)
    work.faces.ensure_lookup_table()
    bmesh.ops.delete(work, geom=[work.faces[face] for face in faces.tolist()], context="FACES_ONLY")
    work.to_mesh(mesh)
    work.free()
    if mesh.has_custom_normals:
        mesh.normals_split_custom_set(normals.reshape(-1, 3)[kept].tolist())


def _fill_empty_slots(thing: bpy.types.Object) -> None:
    """Give an object the material of Cycles for meshes without one: 80 % grey, matt."""
    if not thing.material_slots:
        thing.data.materials.append(None)
    empty = [slot for slot in thing.material_slots if slot.material is None]
    if not empty:
        return
    material = bpy.data.materials.new("default")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    surface, output = tree.nodes.new("ShaderNodeBsdfDiffuse"), tree.nodes.new("ShaderNodeOutputMaterial")
    surface.inputs["Color"].default_value = (0.8, 0.8, 0.8, 1)
    tree.links.new(surface.outputs[0], output.inputs["Surface"])
    for slot in empty:
        slot.material = material
