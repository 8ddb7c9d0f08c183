"""Sources of assets. Each returns Asset records of objects or environment maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


class SourceError(RuntimeError):
    """A source has no assets, cannot be read, or cannot be reached."""


@dataclass(frozen=True)
class Asset:
    """An object or an environment map on disk, with its credits.

    Attributes:
        id: CATEGORY/NAME of an object, NAME of an environment map.
        category: Category of an object, empty for an environment map.
        path: The file.
        sha256: SHA-256 of the file, hexadecimal.
        title: Title.
        author: Author.
        licence: Licence, in the source's words.
        url: Address of the asset.
    """

    id: str
    category: str
    path: Path
    sha256: str
    title: str = ""
    author: str = ""
    licence: str = ""
    url: str = ""


StarterSplit = Literal["train", "test"]
"""Splits of the starter objects. Weights of this project have learned only from `train`."""

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
