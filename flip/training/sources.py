"""Which source of scenes a path on the command line is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flip.training.compositions import Compositions
from flip.training.config import TrainingError
from flip.training.scenes import Source
from objascale.dataset import DatasetError


def open_source(data: Sequence[Path], backgrounds: Sequence[Path], seed: int) -> Source:
    """Scenes from folders of crops, pasted before `backgrounds`.

    Raises TrainingError for a path that is none of these.
    """
    try:
        return Compositions(data, backgrounds, seed)
    except DatasetError as error:
        raise TrainingError(str(error)) from None
