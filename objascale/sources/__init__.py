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
