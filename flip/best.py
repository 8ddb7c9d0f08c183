"""The choice of a model where the user names none."""

from __future__ import annotations

from pathlib import Path

from flip.weights import WEIGHTS, WeightsMissing, find_files

MODELS_BEST_FIRST = ("flip-large", "flip-middle", "flip-small", "flip-tiny", "flip-s", "flip-l", "flip-m")
"""All FLIP models, the best first.

The authors' released models, trained on the photographs of SA-1B, come before the paper's sizes, which this project has
trained on far less. Of these, the smallest comes first: flip-l gains 0.003 on photographs and nothing on renders and is
several times slower, and flip-m is slightly worse; see the cards in flip/shipped.
"""


def best_model(folder: Path | None = None) -> str:
    """Return the name of the first model of MODELS_BEST_FIRST whose weights are on this machine.

    Args:
        folder: Folder that is searched first; see `flip.weights.search_path`.

    Raises:
        WeightsMissing: No model has weights, not even the one of this package.
    """
    for name in MODELS_BEST_FIRST:
        try:
            find_files(WEIGHTS[name], folder)
        except WeightsMissing:
            continue
        return name
    raise WeightsMissing("no FLIP model has its weights on this machine; run `flip fetch flip-tiny`")
