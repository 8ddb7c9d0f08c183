"""Open the scene sources named on the command line."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from objascale.crops import CROPS_TABLE
from objascale.dataset import DatasetError
from objascale.datasets.formats import format_of
from objascale.scenes import Contents, ListedSource, Scene
from objascale.scenes.augment import AugmentedSource
from objascale.scenes.compositions import Compositions
from objascale.scenes.exclusions import NO_EXCLUSIONS, Exclusions
from objascale.scenes.sa1b import SA1B
from objascale.scenes.stored import StoredSource

MAX_SHARE = 1000
"""Maximum share of a path. `MixedSource` keeps a list as long as the sum of the shares."""


class MixedSource:
    """A `SceneSource` that alternates between sources.

    Of every Σ shares positions, source i gets shares[i] at regular intervals. Each source is read in its own order.

    Args:
        sources: Pairs of a source and its share, at least 1.
    """

    def __init__(self, sources: Sequence[tuple[ListedSource, int]]) -> None:
        self.sources = [source for source, _ in sources]
        self.shares = [share for _, share in sources]
        times = sorted(((k + 0.5) / share, i, k) for i, share in enumerate(self.shares) for k in range(share))
        self._turns = [(i, k) for _, i, k in times]

    def contents(self) -> Contents:
        """Return the contents of all sources."""
        found = Contents()
        for source in self.sources:
            found |= source.contents()
        return found

    def scene(self, position: int) -> Scene:
        """Return the scene at a position. Raises SceneError if it cannot be used."""
        period, place = divmod(position, len(self._turns))
        i, k = self._turns[place]
        return self.sources[i].scene(period * self.shares[i] + k)


@contextmanager
def _os_errors() -> Iterator[None]:
    """Convert an OSError to a DatasetError, as of a path whose name is too long."""
    try:
        yield
    except OSError as error:
        raise DatasetError(str(error)) from None


@_os_errors()
def open_source(
    data: Sequence[str],
    backgrounds: Sequence[Path],
    seed: int,
    short_side: int | None = None,
    exclusions: Exclusions = NO_EXCLUSIONS,
    augment: float = 0,
) -> ListedSource:
    """Open crops, SA-1B's tars and data sets that `bench run` reads, as one source.

    All folders of crops form one source of compositions. Its share is the sum of theirs, and it draws objects from
    them in proportion to their shares.

    Args:
        data: PATH or PATH=SHARE, where SHARE is an integer, 1 by default. With a=3 and b=1, three scenes in four are
            from a.
        backgrounds: Photographs or environment maps to paste crops on.
        seed: Seed of the scenes.
        short_side: Resize images with a longer short side to this, in px. Compositions keep their size.
        exclusions: Pictures, objects and maps to leave out.
        augment: Fraction of annotated pictures that are changed at random, see `objascale.scenes.augment`.

    Raises:
        DatasetError: A path is none of these, or cannot be read, or all of its data are excluded.
    """
    shares: dict[Path, int] = defaultdict(int)
    for text in data:
        path, share = parse_share(text)
        shares[path] += share
    cropped = {path: share for path, share in shares.items() if holds_crops(path)}
    if backgrounds and not cropped:
        raise DatasetError("backgrounds are given, but no data path is a folder of crops to paste on them")
    sources: list[tuple[ListedSource, int]] = []
    for path, share in shares.items():
        if path not in cropped:
            pictures = (SA1B if _holds_tars(path) else StoredSource)(path, seed, short_side, exclusions)
            sources.append((AugmentedSource(pictures, augment, seed) if augment else pictures, share))
    if cropped:
        compositions = Compositions(cropped, backgrounds, seed, exclusions=exclusions)
        sources.append((compositions, sum(cropped.values())))
    return sources[0][0] if len(sources) == 1 else MixedSource(sources)


def parse_share(text: str) -> tuple[Path, int]:
    """Parse PATH or PATH=SHARE; an existing path may contain an equals sign."""
    path, equals, share = text.rpartition("=")
    if not equals or Path(text).exists():
        return Path(text), 1
    if not re.fullmatch("[0-9]{1,4}", share) or not 1 <= int(share) <= MAX_SHARE:
        raise DatasetError(f"{text}: the share after = must be an integer from 1 to {MAX_SHARE}")
    return Path(path), int(share)


def holds_crops(path: Path) -> bool:
    """Return whether a folder was made by `objascale crops`, or holds PNGs and is no other source of scenes."""
    if (path / CROPS_TABLE).is_file():
        return True
    return path.is_dir() and any(path.glob("*.png")) and not _holds_tars(path) and format_of(path) is None


def _holds_tars(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*.tar"))
