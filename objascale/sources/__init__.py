"""Where assets come from: each source yields Asset records, an object's or an environment map's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class SourceError(RuntimeError):
    """A source that cannot deliver: an empty folder, a missing catalogue."""


@dataclass(frozen=True)
class Asset:
    """An object or an environment map on disk, and whom to thank for it."""

    id: str  # category/name for an object, name for an environment map
    category: str  # empty for an environment map
    path: Path
    sha256: str
    title: str = ""
    author: str = ""
    licence: str = ""
    url: str = ""


STARTER_AUTHOR = "ObjaScale suite"
"""`Asset.author` of the objects that the starter source generates."""


def object_keys(sha256: str, asset_id: str, author: str) -> tuple[str, ...]:
    """The keys under which a record of training data may list an object.

    The first is the SHA-256 of the object's file. A starter object has a second one, `starter:ID`: its bytes depend on
    the processor, because NumPy's vector functions round differently with each instruction set, but its id does not.

    Args:
        sha256: Of the object's file; empty if it is not known.
        asset_id: `Asset.id`.
        author: `Asset.author`.
    """
    starter = (f"starter:{asset_id}",) if author == STARTER_AUTHOR else ()
    return (sha256, *starter) if sha256 else starter
