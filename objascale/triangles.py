"""Checks of STL, PLY and OBJ files before Blender reads them: the triangles that they declare, and the header of PLY.

glTF files are counted by `objascale.gltf`. FBX and USD files cannot be counted cheaply; the imported mesh is.

Sources: the STL specification of 3D Systems (a binary file has a header of 80 bytes, a count and 50 bytes per
triangle), and G. Turk, "The PLY Polygon File Format", 1994.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from objascale.gltf import MAX_TRIANGLES
from objascale.refusal import Refusal

_STL_HEADER_BYTES = 84
_STL_TRIANGLE_BYTES = 50
_MIN_TEXT_BYTES = 2  # of a triangle in an OBJ file: each corner of a polygon adds a digit and a space
_MAX_PLY_HEADER_BYTES = 1 << 16
_MAX_PLY_LINE_BYTES = (1 << 16) - 1  # without the line's end; Blender's buffer has one more
_MAX_PLY_COUNT_DIGITS = 9  # Blender's counts have 32 bits
_MAX_SHOWN_BYTES = 60  # of a damaged line in a message
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

    A list takes at least the bytes of its length. Blender crashes if a header contradicts the format, or if a line of
    text is longer than its buffer.
    """
    found = re.match(rb"ply\s.*?\nend_header\s*?\n", file.read(_MAX_PLY_HEADER_BYTES), re.DOTALL)
    if found is None:
        raise Refusal("unreadable", f"{path} is no PLY file: it has no header from ply to end_header")
    header = _ply_header(path, found[0].split(b"\n")[1:-2])
    file.seek(found.end())
    if header.text:
        lines, longest = _text_lines(file)
        if longest > _MAX_PLY_LINE_BYTES:
            message = f"{path} has a line of {longest:,} bytes, and Blender reads at most {_MAX_PLY_LINE_BYTES:,}"
            raise Refusal("unreadable", message)
        short = lines < sum(header.counts.values())
    else:
        short = size - found.end() < header.needed
    if short:
        declared = " and ".join(f"{number:,} × {name}" for name, number in header.counts.items())
        raise Refusal("wrong-count", f"{path} declares {declared}, but ends before them")
    _refuse_above_limit(path, header.counts.get("face", 0))


@dataclass
class _PlyHeader:
    """The header of a PLY file.

    Attributes:
        text: Whether the elements are text.
        counts: Number of elements by name.
        needed: Smallest size of the elements in binary form, bytes.
    """

    text: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    needed: int = 0


def _ply_header(path: Path, lines: list[bytes]) -> _PlyHeader:
    """Read the lines between `ply` and `end_header`. Raises Refusal if one of them is not of the format."""
    header = _PlyHeader()
    element, count, axes = "", 0, set()
    for number, line in enumerate(lines, 2):
        match [] if line[:1].isspace() else [word.decode("latin-1") for word in line.split()]:
            case ["comment" | "obj_info", *_]:
                pass
            case ["format", "ascii" | "binary_little_endian" | "binary_big_endian" as kind, _]:
                header.text = kind == "ascii"
            case ["element", element, digits] if digits.isdecimal() and len(digits) <= _MAX_PLY_COUNT_DIGITS:
                count = int(digits)
                header.counts[element] = header.counts.get(element, 0) + count
            case ["property", "list", length, kind, _, *_] if element and length in _PLY_BYTES and kind in _PLY_BYTES:
                header.needed += count * _PLY_BYTES[length]
            case ["property", kind, name, *_] if element and kind in _PLY_BYTES:
                header.needed += count * _PLY_BYTES[kind]
                axes |= {name} if element == "vertex" else set()
            case _:
                shown = line[:_MAX_SHOWN_BYTES].decode("latin-1")
                raise Refusal("unreadable", f"{path} has a damaged header: line {number} is {shown!r}")
    if not axes >= {"x", "y", "z"}:
        raise Refusal("unreadable", f"{path} has a damaged header: it has no element vertex with x, y and z")
    return header


def _text_lines(file: BinaryIO) -> tuple[int, int]:
    """Return the number of lines in the rest of a file and the length of the longest, bytes without the line's end."""
    lines, longest, start, end = 1, 0, 0, 0
    while chunk := file.read(_CHUNK_BYTES):
        ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n")) + end
        if len(ends):
            longest = max(longest, int(np.diff(ends, prepend=start - 1).max()) - 1)
            lines, start = lines + len(ends), int(ends[-1]) + 1
        end += len(chunk)
    return lines, max(longest, end - start)


def _check_obj(path: Path, file: BinaryIO, size: int) -> None:
    """A face of n corners has n − 2 triangles."""
    if size <= _MIN_TEXT_BYTES * MAX_TRIANGLES:
        return
    triangles = 0
    for line in file:
        if line.lstrip().startswith((b"f ", b"f\t")):
            triangles += max(len(line.split()) - 3, 0)
            _refuse_above_limit(path, triangles)
