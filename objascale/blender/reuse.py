"""The scene of the last picture, used again for the next one before the same map.

Cycles samples a map in up to a second of CPU time, longer than it traces a small object. As long as Blender's scene and
its world stay, this is done once.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from objascale.blender import scene
from objascale.maps import EnvironmentMap
from objascale.settings import RenderSettings

_SETTINGS = ("", "render", "unit_settings", "view_settings")  # of the scene, which importers may change


@dataclass(frozen=True)
class _Kept:
    """A scene without objects.

    Attributes:
        environment: Its map. A strong reference would keep the map in memory while the next one is read.
        settings: What else it was made for: settings of the renderer, device and threads.
        blocks: Its data-blocks.
        world: Its world.
        values: The scene's settings, by group and name.
    """

    environment: weakref.ref[EnvironmentMap]
    settings: tuple[RenderSettings, str, int]
    blocks: set[bpy.types.ID]
    world: bpy.types.World
    values: dict[tuple[str, str], Any]


_latest: _Kept | None = None


@contextmanager
def empty_scene(
    environment: EnvironmentMap, settings: RenderSettings, device: str, threads: int, scratch: Path
) -> Iterator[None]:
    """Open a scene with a world and a camera, but without objects.

    The last scene is emptied and used again if it was made for the same map and settings and no error occurred in it.
    The picture is the same either way.

    Args:
        environment: The map.
        settings: Settings of the renderer.
        device: The device, as in `scene.choose_device`.
        threads: Threads of Cycles.
        scratch: Folder for temporary files.
    """
    global _latest
    kept, _latest = _latest, None
    made_for = settings, device, threads
    if kept and kept.environment() is environment and kept.settings == made_for:
        _remove_objects(kept, scratch)
    else:
        scene.clear()
        scene.choose_device(device)
        scene.prepare(settings, device != "cpu", threads)
        scene.surround(environment.light)
        blocks = set(bpy.data.user_map())
        kept = _Kept(weakref.ref(environment), made_for, blocks, bpy.context.scene.world, _values())
    yield
    _latest = kept


def forget() -> None:
    """Let the next picture have a new scene. To be called before other code changes the scene."""
    global _latest
    _latest = None


def _remove_objects(kept: _Kept, scratch: Path) -> None:
    """Remove all that was added to a scene.

    Cycles never forgets a material, so its textures would stay in memory. A render frees them after the material has
    lost its nodes.
    """
    added = [block for block in bpy.data.user_map() if block not in kept.blocks]
    for block in added:
        if isinstance(block, bpy.types.Material) and block.node_tree:
            block.node_tree.nodes.clear()
    scene.show_changes(scratch)
    bpy.data.batch_remove(added)
    bpy.context.scene.world = kept.world
    for (group, name), value in kept.values.items():
        if _value(group, name) != value:
            setattr(_group(group), name, value)


def _values() -> dict[tuple[str, str], Any]:
    return {
        (group, setting.identifier): _value(group, setting.identifier)
        for group in _SETTINGS
        for setting in _group(group).bl_rna.properties
        if not setting.is_readonly and setting.type not in ("POINTER", "COLLECTION")
    }


def _value(group: str, name: str) -> Any:
    value = getattr(_group(group), name)
    return tuple(value) if hasattr(value, "__len__") and not isinstance(value, (str, set)) else value


def _group(name: str) -> bpy.types.bpy_struct:
    return getattr(bpy.context.scene, name) if name else bpy.context.scene
