"""Schema of the parts of a glTF 2.0 document that Blender's importer relies on, and its check.

Source: the Khronos glTF 2.0 specification, section 5 (properties reference), and the extensions' own pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COMPONENT_TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
"""glTF component type → NumPy dtype."""

ELEMENT_TYPES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
"""glTF element type → number of components."""

_MAX_FLOAT32 = 3.4e38


class SchemaError(ValueError):
    """A document violates the schema. The message names the place and the rule."""


@dataclass(frozen=True)
class Index:
    """An index into one of the document's arrays."""

    array: str


@dataclass(frozen=True)
class Among:
    """One of several values."""

    values: tuple[Any, ...]


Shape = Any
"""A type, an Index, an Among, `[shape]` for an array, `(shape, n)` for an array of length n, or a dictionary.

The keys of a dictionary are the property names of an object. A name that ends in `!` is required. `*Texture` stands
for all names with that ending, and `*` for all other names.
"""

_TEXTURE = {
    "index!": Index("textures"),
    "texCoord": int,
    "scale": float,
    "strength": float,
    "extensions": {
        "KHR_texture_transform": {"offset": (float, 2), "rotation": float, "scale": (float, 2), "texCoord": int}
    },
}

_ATTRIBUTES = {"*": Index("accessors")}

_NODE = {
    "name": str,
    "children": [Index("nodes")],
    "mesh": Index("meshes"),
    "skin": Index("skins"),
    "camera": Index("cameras"),
    "matrix": (float, 16),
    "translation": (float, 3),
    "rotation": (float, 4),
    "scale": (float, 3),
    "weights": [float],
    "extensions": {
        "EXT_mesh_gpu_instancing": {"attributes!": _ATTRIBUTES},
        "KHR_lights_punctual": {"light!": int},
        "KHR_node_visibility": {"visible": bool},
        "*": object,
    },
}

_PRIMITIVE = {
    "attributes!": _ATTRIBUTES,
    "indices": Index("accessors"),
    "material": Index("materials"),
    "mode": Among((0, 1, 2, 3, 4, 5, 6)),
    "targets": [_ATTRIBUTES],
    "extensions": {
        "KHR_draco_mesh_compression": {"bufferView!": Index("bufferViews"), "attributes!": {"*": int}},
        "*": object,
    },
}

_MATERIAL = {
    "name": str,
    "doubleSided": bool,
    "alphaMode": Among(("OPAQUE", "MASK", "BLEND")),
    "alphaCutoff": float,
    "emissiveFactor": (float, 3),
    "pbrMetallicRoughness": {
        "baseColorFactor": (float, 4),
        "metallicFactor": float,
        "roughnessFactor": float,
        "*Texture": _TEXTURE,
    },
    "*Texture": _TEXTURE,
    "extensions": {"*": {"*Texture": _TEXTURE, "*": object}},
}

_SPARSE_PART = {"bufferView!": Index("bufferViews"), "byteOffset": int}

_ACCESSOR = {
    "bufferView": Index("bufferViews"),
    "byteOffset": int,
    "componentType!": Among(tuple(COMPONENT_TYPES)),
    "count!": int,
    "type!": Among(tuple(ELEMENT_TYPES)),
    "normalized": bool,
    "sparse": {
        "count!": int,
        "indices!": {**_SPARSE_PART, "componentType!": Among((5121, 5123, 5125))},
        "values!": _SPARSE_PART,
    },
}

_MESHOPT = {
    "buffer!": Index("buffers"),
    "byteOffset": int,
    "byteLength!": int,
    "byteStride!": int,
    "count!": int,
    "mode!": Among(("ATTRIBUTES", "TRIANGLES", "INDICES")),
    "filter": Among(("NONE", "OCTAHEDRAL", "QUATERNION", "EXPONENTIAL", "COLOR")),
}

_BUFFER_VIEW = {
    "buffer!": Index("buffers"),
    "byteOffset": int,
    "byteLength!": int,
    "byteStride": int,
    "extensions": {"EXT_meshopt_compression": _MESHOPT, "KHR_meshopt_compression": _MESHOPT, "*": object},
}

_ANIMATION = {
    "name": str,
    "channels!": [{"sampler!": int, "target!": {"node": Index("nodes"), "path!": str}}],
    "samplers!": [{"input!": Index("accessors"), "output!": Index("accessors"), "interpolation": str}],
}

DOCUMENT: Shape = {
    "asset!": {"version!": Among(("2.0",))},
    "extensionsUsed": [str],
    "extensionsRequired": [str],
    "scene": Index("scenes"),
    "scenes": [{"name": str, "nodes": [Index("nodes")]}],
    "nodes": [_NODE],
    "meshes": [{"name": str, "primitives!": [_PRIMITIVE], "weights": [float]}],
    "materials": [_MATERIAL],
    "textures": [
        {
            "name": str,
            "sampler": Index("samplers"),
            "source": Index("images"),
            "extensions": {
                "EXT_texture_webp": {"source!": Index("images")},
                "KHR_texture_basisu": {"source!": Index("images")},
                "*": object,
            },
        }
    ],
    "images": [{"name": str, "uri": str, "mimeType": str, "bufferView": Index("bufferViews")}],
    "samplers": [{"wrapS": int, "wrapT": int, "magFilter": int, "minFilter": int}],
    "accessors": [_ACCESSOR],
    "bufferViews": [_BUFFER_VIEW],
    "buffers": [{"byteLength!": int, "uri": str, "extensions": {"*": object}}],
    "skins": [
        {
            "name": str,
            "inverseBindMatrices": Index("accessors"),
            "skeleton": Index("nodes"),
            "joints!": [Index("nodes")],
        }
    ],
    "animations": [_ANIMATION],
    "cameras": [{"name": str, "type!": Among(("perspective", "orthographic"))}],
}


def check(document: Any, shape: Shape) -> None:
    """Check a parsed JSON document against a shape.

    Integers must not be negative, and numbers must fit a 32-bit float. Properties that the shape does not name are
    ignored.

    Raises:
        SchemaError: Where the document violates the shape.
    """
    if not isinstance(document, dict):
        raise SchemaError("it is not a JSON object")
    _check(document, shape, "", document)


def _check(value: Any, shape: Shape, where: str, document: dict[str, Any]) -> None:
    match shape:
        case dict():
            _require(isinstance(value, dict), where, "is not an object")
            for key in shape:
                _require(key[-1] != "!" or key[:-1] in value, where, f"has no {key[:-1]}")
            for key, item in value.items():
                _check(item, _shape_of(key, shape), f"{where}/{key}".lstrip("/"), document)
        case list():
            _require(isinstance(value, list), where, "is not an array")
            for i, item in enumerate(value):
                _check(item, shape[0], f"{where}/{i}", document)
        case (item, length):
            _require(isinstance(value, list) and len(value) == length, where, f"is not an array of {length}")
            _check(value, [item], where, document)
        case Index(array):
            there = document.get(array, [])
            size = len(there) if isinstance(there, list) else 0
            _require(
                _whole(value) and value < size, where, f"is {value!r:.40}, which is not an index into {size} {array}"
            )
        case Among(values):
            _require(
                any(value == v and type(value) is type(v) for v in values),
                where,
                f"is {value!r:.40}, which is not allowed",
            )
        case _ if shape is float:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            _require(number and abs(value) <= _MAX_FLOAT32, where, "is not a finite number")
        case _ if shape is int:
            _require(_whole(value), where, "is not a whole number from 0")
        case _:
            _require(isinstance(value, shape), where, f"is not a {shape.__name__}")


def _shape_of(key: str, shapes: dict[str, Shape]) -> Shape:
    for name in (key, f"{key}!", "*Texture" if key.endswith("Texture") else "*", "*"):
        if name in shapes:
            return shapes[name]
    return object


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _require(satisfied: bool, where: str, complaint: str) -> None:
    if not satisfied:
        raise SchemaError(f"{where or 'the document'} {complaint}")
