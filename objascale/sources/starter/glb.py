"""Objects as binary glTF 2.0: positions, normals, texture coordinates and PBR materials with embedded PNGs.

Source: the Khronos glTF 2.0 specification, sections 3 (properties) and 4.4 (GLB layout).
"""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objascale.sources.starter.mesh import Mesh, join

Colour = tuple[int, int, int]

_FLOAT, _UINT = 5126, 5125
_VERTICES, _INDICES = 34962, 34963


@dataclass(frozen=True, eq=False)
class Material:
    """Material of a surface. Colours are sRGB 0…255. `colour` multiplies the `texture`, H×W×3 uint8 or None."""

    name: str
    colour: Colour = (255, 255, 255)
    texture: NDArray[np.uint8] | None = None
    metallic: float = 0.0
    roughness: float = 0.6
    emissive: Colour = (0, 0, 0)
    double_sided: bool = False


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh with its material."""

    mesh: Mesh
    material: Material


GlbScene = list[Part]


def encode_glb(name: str, scene: GlbScene) -> bytes:
    """Encode a scene as GLB: one node, one mesh, one primitive per material. Equal scenes give equal bytes."""
    binary = _Binary()
    materials = list(dict.fromkeys(part.material for part in scene))
    textured = [m for m in materials if m.texture is not None]
    primitives = [
        _primitive(binary, join(*(p.mesh for p in scene if p.material is m)), i) for i, m in enumerate(materials)
    ]
    images = [{"name": m.name, "mimeType": "image/png", "bufferView": binary.add(_png(m.texture))} for m in textured]
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "objascale starter objects"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [{"name": name, "primitives": primitives}],
        "materials": [_material(m, textured) for m in materials],
        "accessors": binary.accessors,
        "bufferViews": binary.views,
        "buffers": [{"byteLength": len(binary.data)}],
    }
    if images:
        document |= {"images": images, "textures": [{"source": i} for i in range(len(images))]}
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    size = 12 + 8 + len(text) + 8 + len(binary.data)
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, size),
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(binary.data), b"BIN\0"),
            bytes(binary.data),
        ]
    )


class _Binary:
    """Builder of the binary chunk, its buffer views and its accessors."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, data: bytes, **view: Any) -> int:
        """Append bytes, padded to a multiple of four. Returns the index of their buffer view."""
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data), **view})
        self.data += data + b"\0" * (-len(data) % 4)
        return len(self.views) - 1

    def accessor(self, array: NDArray[Any], kind: str, target: int) -> int:
        """Append an array. Returns the index of its accessor, which has the array's bounds."""
        index = kind == "SCALAR"
        flat = np.ascontiguousarray(array, "<u4" if index else "<f4")
        bounds = flat.reshape(len(flat), -1)
        self.accessors.append(
            {
                "bufferView": self.add(flat.tobytes(), target=target),
                "componentType": _UINT if index else _FLOAT,
                "count": len(flat),
                "type": kind,
                "min": bounds.min(axis=0).tolist(),
                "max": bounds.max(axis=0).tolist(),
            }
        )
        return len(self.accessors) - 1


def _primitive(binary: _Binary, mesh: Mesh, material: int) -> dict[str, Any]:
    return {
        "attributes": {
            "POSITION": binary.accessor(mesh.positions, "VEC3", _VERTICES),
            "NORMAL": binary.accessor(mesh.normals, "VEC3", _VERTICES),
            "TEXCOORD_0": binary.accessor(mesh.uvs, "VEC2", _VERTICES),
        },
        "indices": binary.accessor(mesh.triangles.ravel(), "SCALAR", _INDICES),
        "material": material,
    }


def _material(material: Material, textured: list[Material]) -> dict[str, Any]:
    surface: dict[str, Any] = {
        "baseColorFactor": [*_linear(material.colour), 1.0],
        "metallicFactor": material.metallic,
        "roughnessFactor": material.roughness,
    }
    if material.texture is not None:
        surface["baseColorTexture"] = {"index": textured.index(material)}
    return {
        "name": material.name,
        "pbrMetallicRoughness": surface,
        "emissiveFactor": _linear(material.emissive),
        "doubleSided": material.double_sided,
    }


def _linear(colour: Colour) -> list[float]:
    """Convert sRGB 0…255 to the linear 0…1 of glTF's factors."""
    s = np.asarray(colour, float) / 255
    return np.round(np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4), 5).tolist()


def _png(texture: NDArray[np.uint8] | None) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(texture)).save(stream, "PNG", compress_level=6)
    return stream.getvalue()
