"""Tones of folders of pictures: whether renders are as dark, bright, colourful and sharp as photographs.

    python tests/benchmarks/tones.py FOLDER [FOLDER ...] [--n 100]

Each picture is resized to a longer side of 512 px, and its values are those of the file, from 0 to 1. `dark`, `middle`
and `bright` are the 1st, 50th and 99th percentile of luma, `deviation` is its standard deviation, `colour` the mean of
maximum minus minimum of the three channels, `detail` the mean absolute difference of horizontal neighbours. The table
has the quartiles over the pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

SIDE = 512
LUMA = (0.2126, 0.7152, 0.0722)
SUFFIXES = {".jpg", ".jpeg", ".png"}


def tones(path: Path) -> dict[str, float]:
    """Return the tones of one picture."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    picture.thumbnail((SIDE, SIDE))
    values = np.asarray(picture, float) / 255
    luma = values @ LUMA
    dark, middle, bright = np.percentile(luma, [1, 50, 99])
    return {
        "dark": dark,
        "middle": middle,
        "bright": bright,
        "deviation": luma.std(),
        "colour": np.ptp(values, axis=2).mean(),
        "detail": np.abs(np.diff(luma, axis=1)).mean(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--n", type=int, default=100, help="number of pictures of a folder")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[: arguments.n]
        if not paths:
            parser.error(f"{folder} has no JPEG or PNG")
        print(f"{folder}: {len(paths)} pictures")
        print(pd.DataFrame(map(tones, paths)).quantile([0.25, 0.5, 0.75]).round(3).to_string(), end="\n\n")


if __name__ == "__main__":
    main()
