"""A source: the files of a folder are objects of one category."""

from __future__ import annotations

from objascale.files import file_sha256
from objascale.sources import Asset, SourceError


def objects(path, *, seed, offline):
    """Return the objects."""
    if path is None:
        raise SourceError("cubes needs --objects, a folder of GLB files")
    return [Asset(f"cube/{file.stem}", "cube", file, file_sha256(file)) for file in sorted(path.glob("*.glb"))]
