"""Which sources of scenes the paths on a command line are, and several of them in turn."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from objascale.crops import CROPS_TABLE
from objascale.dataset import DatasetError
from objascale.datasets.formats import format_of
from objascale.scenes import Scene, Source
from objascale.scenes.compositions import Compositions
from objascale.scenes.sa1b import SA1B
from objascale.scenes.stored import Stored

MOST = 1000
"""The largest share that a path may have."""


class Mixed:
    """A Source of several in turn: of each Σ shares positions in a row, source i has shares[i], evenly spread.

    Each source's own positions follow each other. sources: (source, share), shares from 1 on.
    """

    def __init__(self, sources: Sequence[tuple[Source, int]]) -> None:
        self.sources = [source for source, _ in sources]
        self.shares = [share for _, share in sources]
        times = sorted(((k + 0.5) / share, i, k) for i, share in enumerate(self.shares) for k in range(share))
        self._turns = [(i, k) for _, i, k in times]

    def scene(self, position: int) -> Scene:
        """The scene at a position. Raises SceneError as the source whose turn it is."""
        period, place = divmod(position, len(self._turns))
        i, k = self._turns[place]
        return self.sources[i].scene(period * self.shares[i] + k)


def open_source(data: Sequence[str], backgrounds: Sequence[Path], seed: int, short_side: int | None = None) -> Source:
    """Scenes from what lies at each of `data`: crops, SA-1B's tars, or a data set that `bench run` reads.

    Each is a path, or PATH=SHARE with a whole number, 1 if there is none: of four scenes, a=3 has three and b one.
    Crops are pasted before `backgrounds`; all folders of them are one source, with their shares added up, and give its
    scenes' things in proportion to them. Pictures that are not made are
    shrunk to a shorter side of `short_side` px. Raises DatasetError for what is none of these, or cannot be read.
    """
    try:
        return _open(data, backgrounds, seed, short_side)
    except OSError as error:
        raise DatasetError(str(error)) from None


def _open(data: Sequence[str], backgrounds: Sequence[Path], seed: int, short_side: int | None) -> Source:
    shares: dict[Path, int] = defaultdict(int)
    for text in data:
        path, share = _told(text)
        shares[path] += share
    cropped = {path: share for path, share in shares.items() if holds_crops(path)}
    if backgrounds and not cropped:
        raise DatasetError("--backgrounds are for crops to be pasted on, but no --data is a folder of crops")
    sources: list[tuple[Source, int]] = [
        (SA1B(path, seed, short_side) if _holds_tars(path) else Stored(path, seed, short_side=short_side), share)
        for path, share in shares.items()
        if path not in cropped
    ]
    if cropped:
        sources.append((Compositions(cropped, backgrounds, seed), sum(cropped.values())))
    return sources[0][0] if len(sources) == 1 else Mixed(sources)


def _told(text: str) -> tuple[Path, int]:
    """Path and share."""
    path, equals, share = text.rpartition("=")
    if not equals or Path(text).exists():
        return Path(text), 1
    if not re.fullmatch("[0-9]{1,4}", share) or not 1 <= int(share) <= MOST:
        raise DatasetError(f"--data {text}: after = comes a share, a whole number from 1 to {MOST}")
    return Path(path), int(share)


def holds_crops(path: Path) -> bool:
    """Whether it is a folder that `objascale crops` made, or one of PNGs that is no other source of scenes."""
    if (path / CROPS_TABLE).is_file():
        return True
    return path.is_dir() and any(path.glob("*.png")) and not _holds_tars(path) and format_of(path) is None


def _holds_tars(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*.tar"))
