"""PNG files of large pictures, compressed by bands on several threads (PNG, third edition, sections 5, 9 and 10).

Every row is stored as its difference from the one above (filter 2, Up), and deflated with run lengths and Huffman codes
only: fast, and for photographs no larger than zlib's fast levels. Bands end at byte boundaries (a full flush), so that
their streams can be made side by side and joined; the bytes do not depend on the number of threads.
"""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

_ROWS_PER_BAND = 256
_UP = 2
_BASE = 65521  # of Adler-32, RFC 1950


def encode_png(picture: NDArray[np.uint8], threads: int = 1) -> bytes:
    """The PNG file of an H×W×3 uint8 RGB picture."""
    height, width = picture.shape[:2]

    def deflated(first: int) -> tuple[bytes, int, int]:
        """A band's compressed bytes, and the checksum and number of the uncompressed."""
        last = min(first + _ROWS_PER_BAND, height)
        rows = np.ascontiguousarray(picture[first:last]).reshape(-1, 3 * width)
        above = picture[first - 1].reshape(-1) if first else np.zeros(3 * width, np.uint8)
        filtered = np.empty((last - first, 1 + 3 * width), np.uint8)
        filtered[:, 0] = _UP
        filtered[0, 1:] = rows[0] - above
        filtered[1:, 1:] = rows[1:] - rows[:-1]
        stream = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_RLE)
        data = stream.compress(filtered.data) + stream.flush(zlib.Z_FINISH if last == height else zlib.Z_FULL_FLUSH)
        return data, zlib.adler32(filtered.data), filtered.size

    with ThreadPoolExecutor(threads) as pool:
        bands = list(pool.map(deflated, range(0, height, _ROWS_PER_BAND)))
    checksum = 1
    for _, adler, size in bands:
        checksum = _joined(checksum, adler, size)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB, not interlaced
    streams = [b"\x78\x01", *(data for data, _, _ in bands), struct.pack(">I", checksum)]
    chunks = [(b"IHDR", header), *((b"IDAT", data) for data in streams), (b"IEND", b"")]
    return b"".join([b"\x89PNG\r\n\x1a\n", *(part for kind, data in chunks for part in _chunk(kind, data))])


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
    """Its parts; joined only once, with all the others, since data may be large."""
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind, data, struct.pack(">I", checksum)


def _joined(first: int, second: int, size: int) -> int:
    """Adler-32 of two pieces, from that of each and the number of bytes of the second."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + size * ((first & 0xFFFF) - 1)
    return low % _BASE | (high % _BASE) << 16
