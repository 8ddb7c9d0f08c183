"""Counts of triangles that STL, PLY and OBJ files declare, checked before Blender reads them.

glTF files are counted by `objascale.gltf`. FBX and USD files cannot be counted cheaply; the imported mesh is.

Sources: the STL specification of 3D Systems (a binary file has a header of 80 bytes, a count and 50 bytes per
triangle), and G. Turk, "The PLY Polygon File Format", 1994.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO

from objascale.gltf import MAX_TRIANGLES
from objascale.refusal import Refusal

_STL_HEADER_BYTES = 84
_STL_TRIANGLE_BYTES = 50
_MIN_TEXT_BYTES = 2  # of a triangle in an OBJ file: each corner of a polygon adds a digit and a space
_MAX_PLY_HEADER_BYTES = 1 << 16
_CHUNK_BYTES = 1 << 24
_PLY_BYTES = {"char": 1, "uchar": 1, "short": 2, "ushort": 2, "int": 4, "uint": 4, "float": 4, "double": 8}
_PLY_BYTES |= {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "float32": 4, "float64": 8}


def check_triangles(path: Path) -> None:
    """Refuse an STL, PLY or OBJ file with too many triangles, or with fewer than its header declares.

    Triangles of a binary file are read from its header. Files of other formats are accepted.

    Raises:
        Refusal: too-many-triangles, wrong-count or unreadable.
        OSError: The file cannot be read.
    """
    check = {".stl": _check_stl, ".ply": _check_ply, ".obj": _check_obj}.get(path.suffix.lower())
    if check is not None:
        with path.open("rb") as file:
            check(path, file, path.stat().st_size)


def _refuse_above_limit(path: Path, triangles: int) -> None:
    if triangles > MAX_TRIANGLES:
        raise Refusal("too-many-triangles", f"{path} has {triangles:,} triangles, the limit is {MAX_TRIANGLES:,}")


def _check_stl(path: Path, file: BinaryIO, size: int) -> None:
    """A file is binary if its size fits its count, as in Blender; else it must be text."""
    header = file.read(_STL_HEADER_BYTES)
    declared = struct.unpack_from("<I", header, 80)[0] if len(header) == _STL_HEADER_BYTES else 0
    expected = _STL_HEADER_BYTES + _STL_TRIANGLE_BYTES * declared
    if size == expected:
        _refuse_above_limit(path, declared)
    elif header.lstrip()[:5].lower() == b"solid" and b"\0" not in header:
        file.seek(0)
        _refuse_above_limit(path, _occurrences(file, b"endfacet"))
    elif len(header) < _STL_HEADER_BYTES:
        raise Refusal("unreadable", f"{path} is no STL file: it has {size:,} bytes and does not begin with solid")
    else:
        raise Refusal(
            "wrong-count",
            f"{path} declares {declared:,} triangles, which take {expected:,} bytes, but it has {size:,} bytes",
        )


def _occurrences(file: BinaryIO, word: bytes) -> int:
    """Count a word in the rest of a file, in upper or lower case."""
    total, tail = 0, b""
    while chunk := file.read(_CHUNK_BYTES):
        text = tail + chunk.lower()
        total += text.count(word)
        tail = text[len(text) - len(word) + 1 :]
    return total


def _check_ply(path: Path, file: BinaryIO, size: int) -> None:
    """A face has at least one triangle. An element takes a line of text, or the bytes of its values.

    A list takes at least the bytes of its length.
    """
    found = re.match(rb"ply\s.*?\nend_header\s*?\n", file.read(_MAX_PLY_HEADER_BYTES), re.DOTALL)
    if found is None:
        raise Refusal("unreadable", f"{path} is no PLY file: it has no header from ply to end_header")
    counts: dict[str, int] = {}
    needed = count = 0
    text = False
    for line in found[0].decode("latin-1").splitlines():
        match line.split():
            case ["format", kind, *_]:
                text = kind == "ascii"
            case ["element", name, number] if number.isdecimal():
                counts[name] = count = int(number)
            case ["property", "list", length, _, _] if length in _PLY_BYTES:
                needed += count * _PLY_BYTES[length]
            case ["property", kind, _] if kind in _PLY_BYTES:
                needed += count * _PLY_BYTES[kind]
    file.seek(found.end())
    short = _occurrences(file, b"\n") + 1 < sum(counts.values()) if text else size - found.end() < needed
    if short:
        declared = " and ".join(f"{number:,} × {name}" for name, number in counts.items())
        raise Refusal("wrong-count", f"{path} declares {declared}, but ends before them")
    _refuse_above_limit(path, counts.get("face", 0))


def _check_obj(path: Path, file: BinaryIO, size: int) -> None:
    """A face of n corners has n − 2 triangles."""
    if size <= _MIN_TEXT_BYTES * MAX_TRIANGLES:
        return
    triangles = 0
    for line in file:
        if line.lstrip().startswith((b"f ", b"f\t")):
            triangles += max(len(line.split()) - 3, 0)
            _refuse_above_limit(path, triangles)
