"""Checks of glTF files before Blender reads them, so that broken and hostile files are refused.

Blender's importer trusts its input: it follows any path, allocates what an accessor claims, and recurses along node
cycles. This module checks the document against `objascale.gltf_schema`, and its numbers against the bytes of the file.

Source: the Khronos glTF 2.0 specification, sections 2.8 (URIs), 3.5 to 3.7 (nodes, buffers, meshes), 4.4 (GLB layout).
"""

from __future__ import annotations

import base64
import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from objascale.files import is_lfs_pointer
from objascale.gltf_plain import EXTENSIONS, is_fallback, simplify, write_glb
from objascale.gltf_schema import COMPONENT_TYPES, DOCUMENT, ELEMENT_TYPES, SchemaError, check
from objascale.references import inside
from objascale.refusal import Refusal

# Choices that keep a worker within the memory that `engine.local` plans for it.
MAX_FILE_BYTES = 2**30  # of an object file, and of all buffers of a glTF file together
MAX_TRIANGLES = 5_000_000  # of a file, all instances counted
_MAX_JSON_BYTES = 2**26
_MAX_ELEMENTS = 3 * MAX_TRIANGLES  # of one accessor: three indices a triangle
_MAX_DEPTH = 400  # of the node tree; Blender's importer recurses in Python, whose limit is 1000 frames


class PlainGltf(NamedTuple):
    """A checked glTF file that Blender can read."""

    document: dict[str, Any]
    file: Path
    missing_textures: list[str]
    """Names of missing pictures that the document no longer refers to."""


def check_gltf(path: Path) -> dict[str, Any]:
    """Check a .glb or .gltf file and return its JSON document, as `objascale.gltf_plain.simplify` rewrites it.

    Raises:
        Refusal: git-lfs, truncated, unreadable (not glTF, or inconsistent), gltf-1, missing-file, outside-reference,
            too-large, too-many-triangles or not-finite.
    """
    return _check(path)[0]


def plain_gltf(path: Path, scratch: Path) -> PlainGltf:
    """Check a .glb or .gltf file, and write it into `scratch` if it uses extensions that Blender does not read.

    Raises:
        Refusal: As `check_gltf` does.
    """
    document, buffers, missing = _check(path)
    if missing is None:
        return PlainGltf(document, path, [])
    target = scratch / "plain.glb"
    write_glb(target, path.parent, document, buffers)
    return PlainGltf(document, target, missing)


def _check(path: Path) -> tuple[dict[str, Any], list[bytes], list[str] | None]:
    """Return the checked document, its buffers, and the result of `simplify`, None if it has nothing to do."""
    missing = None
    try:
        document, binary = _read(path)
        if _is_version_1(document):
            raise _version_1(path)
        check(document, DOCUMENT)
        _check_triangles(path, document)
        file = _File(path, document, binary)
        file.check_references()
        buffers = file.buffers()
        if EXTENSIONS & {*document.get("extensionsUsed", []), *document.get("extensionsRequired", [])}:
            missing = simplify(path.parent, document, buffers)
        _check_tree(document)
        _check_ranges(document, buffers)
        _check_primitives(path, document, buffers)
    except SchemaError as error:
        raise Refusal("unreadable", f"{path} is not valid glTF: {error}") from error
    except (OSError, ValueError, RecursionError, struct.error) as error:
        raise Refusal("unreadable", f"{path} cannot be read as glTF", repr(error)) from error
    return document, buffers, missing


def _version_1(path: Path) -> Refusal:
    return Refusal("gltf-1", f"{path} is glTF 1.0; convert it to glTF 2.0, for example with gltf-pipeline")


def _is_version_1(document: Any) -> bool:
    """Return whether a document is glTF 1.0, whose arrays are objects with names."""
    if not isinstance(document, dict):
        return False
    asset = document.get("asset")
    version = asset.get("version") if isinstance(asset, dict) else None
    return str(version).startswith("1") or (version is None and isinstance(document.get("meshes"), dict))


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the JSON document and the binary chunk, which is empty for .gltf."""
    data = path.read_bytes()
    if data[:4] != b"glTF":
        return _parse(path, data), b""
    _, version, length = struct.unpack_from("<4sII", data)
    if length > len(data):
        raise Refusal("truncated", f"{path} is cut short: {len(data):,} of {length:,} bytes")
    if version == 1:
        raise _version_1(path)
    if version != 2 or length < len(data):
        raise SchemaError(f"its header says version {version}, {length:,} bytes; it has {len(data):,}")
    chunks: list[tuple[bytes, bytes]] = []
    offset = 12
    while offset < len(data) and len(chunks) < 2:
        size, kind = struct.unpack_from("<I4s", data, offset)
        if offset + 8 + size > len(data):
            raise Refusal(
                "truncated", f"{path} is cut short: a chunk ends {offset + 8 + size - len(data):,} bytes later"
            )
        chunks.append((kind, data[offset + 8 : offset + 8 + size]))
        offset += 8 + size
    if not chunks or chunks[0][0] != b"JSON":
        raise SchemaError("its first chunk is not JSON")
    binary = chunks[1][1] if len(chunks) == 2 and chunks[1][0] == b"BIN\0" else b""
    return _parse(path, chunks[0][1]), binary


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    if len(text) > _MAX_JSON_BYTES:
        raise Refusal("too-large", f"{path} has {len(text):,} bytes of JSON, the limit is {_MAX_JSON_BYTES:,}")

    def refuse_constant(name: str) -> None:
        raise SchemaError(f"its JSON contains {name}")

    return json.loads(str(text, "utf-8"), parse_constant=refuse_constant)


@dataclass(frozen=True)
class _File:
    path: Path
    document: dict[str, Any]
    binary: bytes

    def check_references(self) -> None:
        """Refuse references to files outside the folder of this file."""
        for item in (*self.document.get("buffers", []), *self.document.get("images", [])):
            uri = item.get("uri")
            if uri is None or (uri.startswith("data:") and ";base64," in uri):
                continue
            if re.match("[A-Za-z][A-Za-z0-9+.-]*:", uri) or not inside(self.path.parent, unquote(uri)):
                raise Refusal(
                    "outside-reference", f"{self.path} refers to {uri[:200]!r}, which is outside its own folder"
                )

    def buffers(self) -> list[bytes]:
        """Return the bytes of each buffer, and check that none is shorter than the document declares."""
        buffers, total = [], 0
        for i, item in enumerate(self.document.get("buffers", [])):
            data = self._buffer(i, item.get("uri"))
            total += len(data)
            if total > MAX_FILE_BYTES:
                raise Refusal("too-large", f"{self.path} has buffers of more than {MAX_FILE_BYTES:,} bytes")
            if len(data) < item["byteLength"] and not (is_fallback(item) and "uri" not in item):
                raise SchemaError(f"buffers/{i} has {len(data):,} of {item['byteLength']:,} bytes")
            buffers.append(data)
        return buffers

    def _buffer(self, index: int, uri: str | None) -> bytes:
        if uri is None:
            return self.binary if index == 0 else b""
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(";base64,")[2])
        file = self.path.parent / unquote(uri)
        if not file.is_file():
            raise Refusal("missing-file", f"{self.path} refers to {uri[:200]!r}, which is missing")
        if is_lfs_pointer(file):
            raise Refusal("git-lfs", f"{self.path} refers to {file.name}, which is a Git LFS pointer; run git lfs pull")
        if file.stat().st_size > MAX_FILE_BYTES:
            raise Refusal("too-large", f"{file} has {file.stat().st_size:,} bytes, the limit is {MAX_FILE_BYTES:,}")
        return file.read_bytes()


def _check_tree(document: dict[str, Any]) -> None:
    """Check that the nodes form trees, and that no tree is too deep."""
    nodes = document.get("nodes", [])
    children = [child for node in nodes for child in node.get("children", [])]
    if len(children) != len(set(children)):
        raise SchemaError("a node has two parents")
    level, reached, depth = sorted(set(range(len(nodes))) - set(children)), 0, 0
    while level:
        reached, depth = reached + len(level), depth + 1
        if depth > _MAX_DEPTH:
            raise SchemaError(f"its nodes are nested more than {_MAX_DEPTH} deep")
        level = [child for node in level for child in nodes[node].get("children", [])]
    if reached < len(nodes):
        raise SchemaError("its nodes form a cycle")


def _check_ranges(document: dict[str, Any], buffers: list[bytes]) -> None:
    """Check that each buffer view lies inside its buffer, and each accessor inside its view."""
    views = document.get("bufferViews", [])
    for i, view in enumerate(views):
        if view.get("byteOffset", 0) + view["byteLength"] > len(buffers[view["buffer"]]):
            raise SchemaError(f"bufferViews/{i} leaves its buffer")
    for i, accessor in enumerate(document.get("accessors", [])):
        _check_accessor(f"accessors/{i}", views, accessor)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            parts = {"indices": "SCALAR", "values": accessor["type"]}
            for part, kind in parts.items():
                whole = {"componentType": accessor["componentType"], **sparse[part]}
                _check_accessor(
                    f"accessors/{i}/sparse/{part}", views, {**whole, "count": sparse["count"], "type": kind}
                )


def _check_accessor(where: str, views: list[dict[str, Any]], accessor: dict[str, Any]) -> None:
    if not 1 <= accessor["count"] <= _MAX_ELEMENTS:
        raise SchemaError(f"{where} has {accessor['count']:,} elements, the limit is {_MAX_ELEMENTS:,}")
    if "bufferView" not in accessor:
        return
    view = views[accessor["bufferView"]]
    component = np.dtype(COMPONENT_TYPES[accessor["componentType"]]).itemsize
    element = component * ELEMENT_TYPES[accessor["type"]]
    stride = view.get("byteStride") or element
    if stride % component or stride < element:
        raise SchemaError(f"{where} has a stride of {stride} bytes for elements of {element}")
    if accessor.get("byteOffset", 0) + stride * (accessor["count"] - 1) + element > view["byteLength"]:
        raise SchemaError(f"{where} leaves its buffer view")


def _array(document: dict[str, Any], buffers: list[bytes], accessor: dict[str, Any]) -> NDArray[Any]:
    """Return a view (count, components) of the elements of an accessor that has a buffer view."""
    view = document["bufferViews"][accessor["bufferView"]]
    kind = np.dtype(COMPONENT_TYPES[accessor["componentType"]])
    shape = accessor["count"], ELEMENT_TYPES[accessor["type"]]
    strides = view.get("byteStride") or shape[1] * kind.itemsize, kind.itemsize
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    return np.ndarray(shape, kind, buffers[view["buffer"]], start, strides)


def _check_primitives(path: Path, document: dict[str, Any], buffers: list[bytes]) -> None:
    """Check that a primitive's attributes are equally long, its indices within them, and its positions finite."""
    accessors = document.get("accessors", [])
    for i, mesh in enumerate(document.get("meshes", [])):
        for j, primitive in enumerate(mesh["primitives"]):
            where = f"meshes/{i}/primitives/{j}"
            used = [*primitive["attributes"].values(), *(a for t in primitive.get("targets", []) for a in t.values())]
            counts = {accessors[accessor]["count"] for accessor in used}
            if len(counts) > 1:
                raise SchemaError(f"{where} has attributes of different lengths")
            positions = accessors[primitive["attributes"]["POSITION"]] if "POSITION" in primitive["attributes"] else {}
            if "bufferView" in positions and not np.isfinite(_array(document, buffers, positions)).all():
                raise Refusal("not-finite", f"{path} has vertices that are not finite")
            accessor = accessors[primitive["indices"]] if "indices" in primitive else {}
            if not counts or "bufferView" not in accessor:
                continue
            if accessor["type"] != "SCALAR" or accessor["componentType"] not in (5121, 5123, 5125):
                raise SchemaError(f"{where} has indices that are not unsigned integers")
            indices = _array(document, buffers, accessor)
            if int(indices.max()) >= max(counts):
                raise SchemaError(f"{where} has the index {indices.max():,} of {max(counts):,} vertices")


def _check_triangles(path: Path, document: dict[str, Any]) -> None:
    """Refuse a file with more than MAX_TRIANGLES triangles, instances included."""
    accessors = document.get("accessors", [])

    def triangles(primitive: dict[str, Any]) -> int:
        accessor = primitive.get("indices", primitive["attributes"].get("POSITION"))
        count = 0 if accessor is None else accessors[accessor]["count"]
        mode = primitive.get("mode", 4)
        return count // 3 if mode == 4 else max(count - 2, 0) if mode > 4 else 0

    of_mesh = [sum(map(triangles, mesh["primitives"])) for mesh in document.get("meshes", [])]
    total = 0
    for node in document.get("nodes", []):
        if "mesh" in node:
            copies = node.get("extensions", {}).get("EXT_mesh_gpu_instancing", {}).get("attributes", {})
            total += of_mesh[node["mesh"]] * max((accessors[a]["count"] for a in copies.values()), default=1)
    if total > MAX_TRIANGLES:
        raise Refusal("too-many-triangles", f"{path} has {total:,} triangles, the limit is {MAX_TRIANGLES:,}")
