"""Decoding of pictures, with EXIF orientation, to eight bits.

A PNG, JPEG or WebP may carry an EXIF orientation from 1 to 8 (EXIF 2.32, tag 0x0112). Viewers turn the picture by it.
`decode` returns the pixels as they are stored, and `turned` turns them.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objascale.files import LFS_HELP, is_lfs_pointer

DEPTHS = (8, 10, 12, 14, 16)
"""Bits per channel that cameras and scanners deliver."""

PILLOW_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError),
    *(struct.error, Image.DecompressionBombError),
)
"""Exceptions of Pillow for damaged files."""

_ORIENTATION = 0x0112
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class PictureError(ValueError):
    """The bytes cannot be decoded as a picture."""


def decode(content: bytes) -> NDArray[np.uint8]:
    """Decode a picture, H×W×3 RGB uint8, without turning it by its EXIF orientation.

    Grey and palette pictures become RGB, and transparency is dropped. A TIFF is turned by its own orientation, which
    OpenCV always follows.

    Raises:
        PictureError: The bytes are no picture that OpenCV reads, or a channel has neither 8 nor 16 bits.
    """
    # OpenCV decodes into one array; Pillow holds three copies, 600 MB at 8192².
    pixels = _opencv(content, cv2.IMREAD_COLOR_RGB)
    if pixels.dtype == np.uint16:  # OpenCV 4.11 garbles a TIFF of 16 bits in this order of the channels
        pixels = cv2.cvtColor(_opencv(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise PictureError(f"has {pixels.dtype} pixels, whose range is unknown; save it with 8 or 16 bits per channel")
    return eight_bits(pixels)


def _opencv(content: bytes, flags: int) -> NDArray[Any]:
    """Decode a picture at its own depth, without turning it. Raises PictureError."""
    flags |= cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    except cv2.error:  # raised for more than 2^30 pixels
        pixels = None
    if pixels is None and is_lfs_pointer(content):
        raise PictureError(LFS_HELP)
    if pixels is None:
        raise PictureError("is not an image that OpenCV can decode; save it as PNG or JPEG")
    return pixels


def eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Reduce uint16 pixels to their highest eight bits. uint8 pixels are returned as they are.

    Cameras store 10, 12 or 14 bits per channel in files of 16, often without scaling. The bit depth is therefore the
    smallest of `DEPTHS` that holds the largest value of the picture.
    """
    if pixels.dtype == np.uint8:
        return pixels
    largest = int(pixels.max(initial=0))
    depth = next(bits for bits in DEPTHS if largest < 1 << bits)
    return (pixels >> (depth - 8)).astype(np.uint8)


def orientation(content: bytes) -> int:
    """Return the EXIF orientation of a JPEG, PNG or WebP, from 1 to 8; 1 if there is none. No pixel is decoded."""
    exif = _exif_block(content).removeprefix(b"Exif\0\0")
    try:
        found = _orientation_tag(exif)
    except (struct.error, KeyError):  # a damaged block; viewers ignore it
        return 1
    return found if 1 <= found <= 8 else 1


def turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn or mirror stored pixels, H×W×3, into the picture that a viewer shows. W×H×3 for orientations 5 to 8."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _orientation_tag(exif: bytes) -> int:
    """Return the orientation in an EXIF block, a TIFF header and a table of 12-byte entries; 1 if it is missing."""
    order = {b"II": "<", b"MM": ">"}[exif[:2]]
    (table,) = struct.unpack_from(f"{order}I", exif, 4)
    (entries,) = struct.unpack_from(f"{order}H", exif, table)
    for entry in range(entries):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, table + 2 + 12 * entry)
        if tag == _ORIENTATION:
            return value
    return 1


def _exif_block(content: bytes) -> bytes:
    """Return the EXIF data of a picture, empty if there is none."""
    if content.startswith(PNG_SIGNATURE):
        return _png_exif(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp_exif(content)
    if content.startswith(b"\xff\xd8"):
        return _jpeg_exif(content)
    return b""


def _png_exif(content: bytes) -> bytes:
    """Return the eXIf chunk, which may follow the pixels. A chunk is length, name, data, checksum."""
    at = len(PNG_SIGNATURE)
    while at < len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == b"eXIf":
            return content[at + 8 : end]
        at = end + 4
    return b""


def _jpeg_exif(content: bytes) -> bytes:
    """Return the APP1 segment with EXIF. A segment is 0xff, marker, length with its own two bytes, data."""
    at = 2
    while at < len(content) and content[at] == 0xFF:
        marker, end = content[at + 1 : at + 2], at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == b"\xe1" and content[at + 4 : at + 10] == b"Exif\0\0":
            return content[at + 10 : end]
        if marker == b"\xda":  # the pixels begin
            break
        at = at + 1 if marker == b"\xff" else end
    return b""


def _webp_exif(content: bytes) -> bytes:
    """Return the EXIF chunk. A chunk is name, length, data, and is padded to an even length."""
    at = 12
    while at < len(content):
        end = at + 8 + int.from_bytes(content[at + 4 : at + 8], "little")
        if content[at : at + 4] == b"EXIF":
            return content[at + 8 : end]
        at = end + end % 2
    return b""
