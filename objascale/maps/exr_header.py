"""Headers of OpenEXR files (openexr.com, "OpenEXR File Layout").

The reader of the OpenEXR package ends the process on some headers, such as those with a preview picture. This one reads
the attributes that a map needs, and checks that the file is complete, without decoding a pixel.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from objascale.maps.opened import EnvironmentMapError

_MAGIC = 20000630
_MULTI_PART = 0x1000
_MAX_HEADER = 64 << 20  # bytes; a choice: previews and metadata take a few megabytes
_ENVIRONMENT_CUBE = 1


@dataclass(frozen=True)
class ExrPart:
    """One part of a file.

    Attributes:
        name: Name of the part; empty in most files of one part.
        kind: scanlineimage, tiledimage, deepscanline or deeptile.
        channels: Names of the channels that have a value at every pixel.
        window: First column, first row, last column and last row of the pixels.
        chromaticities: CIE xy of red, green, blue and white, or None.
        cube: Whether the part is marked as a cube map.
    """

    name: str
    kind: str
    channels: tuple[str, ...]
    window: tuple[int, int, int, int]
    chromaticities: tuple[float, ...] | None
    cube: bool


def read_parts(path: Path) -> list[ExrPart]:
    """Read the headers of an EXR file.

    Raises:
        EnvironmentMapError: The file cannot be read, is no EXR file, or is truncated.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read(path, file, size)
    except OSError as error:
        raise EnvironmentMapError(f"{path} cannot be read as an environment map ({error.strerror})") from error
    except (struct.error, ValueError, KeyError, IndexError) as error:
        if isinstance(error, EnvironmentMapError):
            raise
        raise EnvironmentMapError(f"{path} cannot be read as an environment map (its EXR header is damaged)") from error


def _read(path: Path, file: BinaryIO, size: int) -> list[ExrPart]:
    start = file.read(8)
    if start[:4] != struct.pack("<I", _MAGIC):
        raise EnvironmentMapError(f"{path} is no EXR file; environment maps are .hdr or .exr files")
    (version,) = struct.unpack("<I", start[4:])
    content = file.read(min(size, _MAX_HEADER))
    headers, at = [], 0
    while True:
        attributes, at = _attributes(content, at)
        if not attributes:
            break
        headers.append(attributes)
        if not version & _MULTI_PART:
            break
    if not headers:
        raise EnvironmentMapError(f"{path} is an EXR file without a picture")
    tiled = bool(version & 0x200)
    _check_complete(path, file, 8 + at, size, [_chunk_count(header, tiled) for header in headers])
    return [_part(header, tiled) for header in headers]


def _attributes(content: bytes, at: int) -> tuple[dict[str, bytes], int]:
    """Return name → value of one header, and the position after it. An empty header ends the list."""
    found: dict[str, bytes] = {}
    while content[at] != 0:
        end = content.index(b"\0", at)
        name = content[at:end].decode("latin-1")
        at = content.index(b"\0", end + 1) + 1
        (length,) = struct.unpack_from("<i", content, at)
        at += 4
        if length < 0 or at + length > len(content):
            raise ValueError("an attribute leaves the file")
        found[name] = content[at : at + length]
        at += length
    return found, at + 1


def _part(header: dict[str, bytes], tiled: bool) -> ExrPart:
    kind = header.get("type", b"tiledimage" if tiled else b"scanlineimage").rstrip(b"\0").decode("latin-1")
    chromaticities = header.get("chromaticities")
    return ExrPart(
        header.get("name", b"").rstrip(b"\0").decode("utf-8", "replace"),
        kind,
        _channels(header["channels"]),
        struct.unpack("<4i", header["dataWindow"]),
        None if chromaticities is None else struct.unpack("<8f", chromaticities),
        header.get("envmap", b"\0")[0] == _ENVIRONMENT_CUBE,
    )


def _channels(value: bytes) -> tuple[str, ...]:
    found, at = [], 0
    while value[at] != 0:
        end = value.index(b"\0", at)
        across, down = struct.unpack_from("<2i", value, end + 9)
        if across == down == 1:
            found.append(value[at:end].decode("utf-8", "replace"))
        at = end + 17
    return tuple(found)


def _chunk_count(header: dict[str, bytes], tiled: bool) -> int | None:
    """Return the number of chunks of a part, or None if it is not stored and not simple to derive."""
    if "chunkCount" in header:
        return struct.unpack("<i", header["chunkCount"])[0]
    rows_per_chunk = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}.get(header["compression"][0])
    if tiled or rows_per_chunk is None:
        return None
    _, top, _, bottom = struct.unpack("<4i", header["dataWindow"])
    return -(-(bottom + 1 - top) // rows_per_chunk)


def _check_complete(path: Path, file: BinaryIO, at: int, size: int, counts: list[int | None]) -> None:
    """Raise EnvironmentMapError if a chunk begins after the end of the file, or is missing."""
    if None in counts:
        return
    count = sum(each for each in counts if each is not None)
    if not 0 < 8 * count <= size - at:
        raise EnvironmentMapError(
            f"{path} is truncated or damaged: its EXR header declares more data than the file holds"
        )
    file.seek(at)
    offsets = struct.unpack(f"<{count}Q", file.read(8 * count))
    missing = sum(not at < offset < size for offset in offsets)
    if missing:
        raise EnvironmentMapError(f"{path} is truncated or damaged: {missing} of {count} blocks of rows are missing")
