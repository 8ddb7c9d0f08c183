"""glTF extensions that Blender does not read, rewritten as glTF without them.

`simplify` decodes EXT_meshopt_compression and KHR_texture_basisu, removes the meshes that KHR_node_visibility
hides, and removes missing pictures of KHR_materials_pbrSpecularGlossiness, which make the importer fail.

Source: the extensions' pages in Khronos' registry of glTF extensions.
"""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import opengl_basisu
from meshopt import decode_gltf_buffer
from PIL import Image

from objascale.gltf_schema import SchemaError

_MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
_BASISU = "KHR_texture_basisu"
_VISIBILITY = "KHR_node_visibility"
_GLOSSINESS = "KHR_materials_pbrSpecularGlossiness"
_REMOVED = {*_MESHOPT, _BASISU, _VISIBILITY}
EXTENSIONS = _REMOVED | {_GLOSSINESS}
"""The extensions that `simplify` rewrites."""
_MAX_DECODED_BYTES = 2**30  # of all buffers and pictures of a file together; a choice, as the limit of files


def simplify(folder: Path, document: dict[str, Any], buffers: list[bytes]) -> list[str]:
    """Rewrite a document, in place, so that Blender reads it; new data is appended to `buffers`.

    A compressed picture that cannot be decoded stays as it is.

    Args:
        folder: The folder of the file; all references were checked to lie in it.
        document: A document that satisfies `gltf_schema.DOCUMENT`.
        buffers: The bytes of each buffer.

    Returns:
        The names of missing pictures that were removed.

    Raises:
        SchemaError: If compressed data is damaged, or larger than a file may be.
    """
    _decode_views(document, buffers)
    _decode_textures(folder, document, buffers)
    _remove_hidden(document)
    for key in ("extensionsUsed", "extensionsRequired"):
        document[key] = [name for name in document.get(key, []) if name not in _REMOVED]
    return _remove_missing_gloss(folder, document)


def is_fallback(buffer: dict[str, Any]) -> bool:
    """Return whether a buffer is a placeholder for decompressed data."""
    extensions = buffer.get("extensions", {})
    return any(isinstance(extensions.get(name), dict) and extensions[name].get("fallback") is True for name in _MESHOPT)


def write_glb(target: Path, folder: Path, document: dict[str, Any], buffers: list[bytes]) -> None:
    """Write a document and its buffers as one GLB file that refers to the pictures in `folder`."""
    starts, data = [], bytearray()
    for buffer in buffers:
        starts.append(len(data))
        data += buffer + bytes(-len(buffer) % 4)
    views = [
        {**view, "buffer": 0, "byteOffset": starts[view["buffer"]] + view.get("byteOffset", 0)}
        for view in document.get("bufferViews", [])
    ]
    images = [
        {**image, "uri": quote(str(folder.resolve() / unquote(image["uri"])))} if _is_file(image) else image
        for image in document.get("images", [])
    ]
    whole = {**document, "bufferViews": views, "images": images, "buffers": [{"byteLength": len(data)}]}
    whole = {key: value for key, value in whole.items() if value != []}  # glTF has no empty arrays
    text = json.dumps(whole).encode()
    text += b" " * (-len(text) % 4)
    with target.open("wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(data)))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", len(data), b"BIN\0") + data)


def _decode_views(document: dict[str, Any], buffers: list[bytes]) -> None:
    total = 0
    for i, view in enumerate(document.get("bufferViews", [])):
        extensions = view.pop("extensions", {})
        packed = next((extensions[name] for name in _MESHOPT if name in extensions), None)
        if packed is None:
            continue
        start = packed.get("byteOffset", 0)
        source = buffers[packed["buffer"]][start : start + packed["byteLength"]]
        total += packed["count"] * packed["byteStride"]
        if len(source) < packed["byteLength"]:
            raise SchemaError(f"bufferViews/{i} leaves its buffer")
        if total > _MAX_DECODED_BYTES:
            raise SchemaError(f"it has compressed buffers of more than {_MAX_DECODED_BYTES:,} bytes")
        try:
            rows = decode_gltf_buffer(
                source, packed["count"], packed["byteStride"], packed["mode"], packed.get("filter")
            )
        except (ValueError, RuntimeError) as error:
            raise SchemaError(f"bufferViews/{i} is damaged: {error}") from error
        view |= {"buffer": len(buffers), "byteOffset": 0, "byteLength": rows.nbytes}
        buffers.append(rows.tobytes())


def _decode_textures(folder: Path, document: dict[str, Any], buffers: list[bytes]) -> None:
    images, decoded, total = document.get("images", []), set(), 0
    for texture in document.get("textures", []):
        source = texture.get("extensions", {}).pop(_BASISU, {}).get("source")
        if source is None:
            continue
        texture["source"] = source
        if source in decoded:
            continue
        decoded.add(source)
        try:
            picture = opengl_basisu.open(_image_bytes(folder, document, buffers, images[source]))
            total += 4 * picture.width * picture.height
            if total > _MAX_DECODED_BYTES:
                raise SchemaError(f"it has compressed pictures of more than {_MAX_DECODED_BYTES:,} bytes")
            pixels = picture.transcode("rgba8").data
        except (OSError, opengl_basisu.BasisuError):
            continue
        png = io.BytesIO()
        Image.fromarray(pixels if picture.has_alpha else pixels[..., :3]).save(png, "PNG", compress_level=1)
        view = {"buffer": len(buffers), "byteLength": png.tell()}
        buffers.append(png.getvalue())
        document.setdefault("bufferViews", []).append(view)
        images[source] = {
            "name": images[source].get("name", f"image {source}"),
            "mimeType": "image/png",
            "bufferView": len(document["bufferViews"]) - 1,
        }


def _image_bytes(folder: Path, document: dict[str, Any], buffers: list[bytes], image: dict[str, Any]) -> bytes:
    if _is_file(image):
        return (folder / unquote(image["uri"])).read_bytes()
    if "bufferView" not in image:
        return b""
    view = document["bufferViews"][image["bufferView"]]
    start = view.get("byteOffset", 0)
    return buffers[view["buffer"]][start : start + view["byteLength"]]


def _is_file(image: dict[str, Any]) -> bool:
    return "uri" in image and not image["uri"].startswith("data:")


def _remove_hidden(document: dict[str, Any]) -> None:
    """Remove the meshes of nodes that are not visible, and of all below them."""
    nodes = document.get("nodes", [])
    waiting = [node for node in nodes if not node.get("extensions", {}).pop(_VISIBILITY, {}).get("visible", True)]
    while waiting:
        node = waiting.pop()
        node.pop("mesh", None)
        node.pop("skin", None)
        waiting += [nodes[child] for child in node.get("children", [])]


def _remove_missing_gloss(folder: Path, document: dict[str, Any]) -> list[str]:
    names = []
    for material in document.get("materials", []):
        gloss = material.get("extensions", {}).get(_GLOSSINESS, {})
        index = gloss.get("specularGlossinessTexture", {}).get("index")
        source = None if index is None else document["textures"][index].get("source")
        if source is None:
            continue
        image = document["images"][source]
        if _is_file(image) and not (folder / unquote(image["uri"])).is_file():
            del gloss["specularGlossinessTexture"]
            names.append(Path(unquote(image["uri"])).name)
    return names
