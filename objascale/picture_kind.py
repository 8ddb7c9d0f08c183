"""The kind of a picture file. The content counts, because the suffix is often wrong."""

from __future__ import annotations

from pathlib import Path

_SUFFIXES = {
    b"\x76\x2f\x31\x01": ".exr",
    b"#?": ".hdr",
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
}


def true_suffix(path: Path) -> str:
    """Return the suffix that fits the content of a file: .exr, .hdr, .jpg or .png.

    The suffix of its name, in lower case, is returned for other contents and for a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError:
        start = b""
    return next((suffix for magic, suffix in _SUFFIXES.items() if start.startswith(magic)), path.suffix.lower())
