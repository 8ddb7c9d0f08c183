"""Search for the image files that annotations name.

Annotations are often written on another system. Their file names may have backslashes, another case, another Unicode
form of accents (NFC or NFD), or the path of the folder where the images were.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from objascale.datasets import is_there

_SCHEME = re.compile(r"[A-Za-z]+:/")  # a drive or the scheme of an address


class ImageFiles:
    """The image files below a folder.

    Args:
        root: Folder of the data set, to which returned paths are relative.
        folder: Folder of the images, relative to `root`.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root, folder

    def find(self, names: Iterable[str]) -> str | None:
        """Return the path of the first file that exists, None if there is none.

        A file with exactly the name is preferred. Otherwise, backslashes, case and the Unicode form of accents are
        ignored, and of a path that is absolute or leaves the folder, the longest end that is a file below the folder
        counts. A name that fits several files fits none.
        """
        return next((found for name in names if (found := self._find(name)) is not None), None)

    def _find(self, name: str) -> str | None:
        if is_there(self.root / self.folder, name):
            return str(self.folder / name)
        parts = _plain(name).split("/")
        for start in range(len(parts) if leaves_folder(name) else 1):
            found = self._by_plain_name.get("/".join(parts[start:]))
            if found is not None:
                return str(self.folder / found)
        return None

    @cached_property
    def _by_plain_name(self) -> dict[str, str | None]:
        """Relative path of each file by its plain name, None if several files have the same one."""
        top = self.root / self.folder
        index: dict[str, str | None] = {}
        for folder, _, files in os.walk(top):
            for file in files:
                path = os.path.relpath(f"{folder}/{file}", top)
                plain = _plain(path)
                index[plain] = None if plain in index else path
        return index


def leaves_folder(name: str) -> bool:
    """Return whether a file name is an absolute path on any system, or leads out of its folder.

    Example:
        >>> leaves_folder("C:\\\\photos\\\\cat.jpg"), leaves_folder("../cat.jpg"), leaves_folder("photos/cat.jpg")
        (True, True, False)
    """
    path = posixpath.normpath(name.replace("\\", "/"))
    return path.startswith(("/", "../")) or path in (".", "..") or "\0" in name or bool(_SCHEME.match(path))


def _plain(name: str) -> str:
    path = posixpath.normpath(name.replace("\\", "/"))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
