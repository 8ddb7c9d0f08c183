"""Statistics of a dataset: summaries of its quantities, and one figure of their distributions."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from objascale.dataset import DatasetError
from objascale.exposure import is_dark
from objascale.palette import BLUE, ORANGE
from objascale.sheet import read_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_FIGURE_SUFFIXES = ("png", "pdf", "svg")
QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)
_READING_THREADS = 4  # a choice: a picture of 8192 px takes 200 MB
_NARROW_TICKS = 3  # as many labels as fit below the narrowest panel
_GREY, _PALE_BLUE = "#8a8f98", "#cce3f0"
_MAX_NAMED_CATEGORIES = 100  # with more categories, names would overlap, and the bars have none
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "svg.hashsalt": "objascale",
}


@dataclass(frozen=True)
class Summary:
    """Summary of one quantity, over the images or over the objects.

    Attributes:
        name: Name of the quantity.
        unit: Its unit; empty for a number.
        quantiles: Its QUANTILES.
        mean: Its mean.
    """

    name: str
    unit: str
    quantiles: tuple[float, ...]
    mean: float


def summaries(table: pd.DataFrame) -> list[Summary]:
    """Summarise the annotations.

    Args:
        table: annotations.parquet.

    Returns:
        Of images: side, number of objects, and the seconds of each stage and of all. Of objects: fraction and area.
    """
    seconds = stage_seconds(table)
    quantities: list[tuple[str, str, NDArray[Any]]] = [
        ("picture's side", "px", _side(images_of(table))),
        ("objects in it", "", objects_per_image(table)),
        ("mask / picture", "", table["fraction"].to_numpy()),
        ("mask", "px", table["area"].to_numpy()),
        *((str(stage), "s", values.to_numpy()) for stage, values in seconds.items()),
    ]
    return [
        Summary(name, unit, tuple(float(v) for v in np.quantile(values, QUANTILES)), float(values.mean()))
        for name, unit, values in quantities
    ]


def _side(table: pd.DataFrame) -> NDArray[np.float64]:
    return np.sqrt(table["width"].to_numpy(float) * table["height"].to_numpy(float))


def images_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per image. Only the columns that all objects of an image share are meaningful."""
    return table.drop_duplicates("image_id")


def objects_per_image(table: pd.DataFrame) -> NDArray[Any]:
    """Return the number of objects of each image."""
    return table["image_id"].value_counts().to_numpy()


def stage_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per image, with a column per stage, in the order of rendering, and their sum `all`."""
    stages = images_of(table).filter(like="seconds_").rename(columns=lambda name: name.removeprefix("seconds_"))
    return stages.assign(all=stages.sum(axis=1))


def brightness(folder: Path, table: pd.DataFrame) -> Iterator[tuple[str, bool | None]]:
    """Measure whether each picture of a dataset is almost black.

    Args:
        folder: The dataset.
        table: Its annotations.

    Yields:
        The id of the picture's environment map, and whether the picture is almost black (`exposure.is_dark`); None if
        it cannot be read.
    """

    def measure(row: Any) -> tuple[str, bool | None]:
        try:
            return row.hdri_id, is_dark(read_picture(folder / row.file))
        except DatasetError:
            return row.hdri_id, None

    with ThreadPoolExecutor(_READING_THREADS) as pool:
        yield from pool.map(measure, images_of(table)[["hdri_id", "file"]].itertuples())


def draw(table: pd.DataFrame) -> Figure:
    """Draw the distributions.

    The rows of the figure are: side, fraction and area; fraction against side, objects per picture and seconds per
    stage; categories.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(11, 9.5), layout="constrained")
        layout: list[Any] = [
            ["side"] * 2 + ["fraction"] * 2 + ["area"] * 2,
            ["both"] * 2 + ["number"] + ["seconds"] * 3,
            ["category"] * 6,
        ]
        axes = figure.subplot_mosaic(layout, height_ratios=[1, 1, 0.6])
        _histogram(axes["side"], _side(images_of(table)), "side of the picture, px", "images", base=2)
        _histogram(axes["fraction"], table["fraction"].to_numpy(), "mask / picture", "objects")
        _histogram(axes["area"], table["area"].to_numpy(), "mask, px", "objects")
        _scatter(axes["both"], _side(table), table["fraction"].to_numpy())
        _numbers(axes["number"], objects_per_image(table))
        _seconds(axes["seconds"], stage_seconds(table))
        _categories(axes["category"], table["category"].value_counts())
        categories = table["category"].nunique()
        figure.suptitle(f"{table['image_id'].nunique():,} images, {len(table):,} objects, {categories} categories")
    return figure


def save(figure: Figure, folder: Path, name: str = "stats") -> list[Path]:
    """Write NAME.png, NAME.pdf and NAME.svg into `folder`. Equal figures give equal bytes."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{suffix}" for suffix in _FIGURE_SUFFIXES]
    metadata = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
    with matplotlib.rc_context(_STYLE):
        for path in paths:
            figure.savefig(path, dpi=160, metadata=metadata[path.suffix[1:]])
    return paths


def _histogram(axes: Axes, values: NDArray[Any], label: str, counted: str, base: int = 10) -> None:
    from matplotlib.ticker import MaxNLocator

    margin = 1.001 if values.min() < values.max() else 1.1
    low, high = values.min() / margin, values.max() * margin
    axes.hist(values, np.geomspace(low, high, 21).tolist(), color=BLUE, edgecolor="white", linewidth=0.5)
    axes.set_xscale("log", base=base)
    axes.set(xlabel=label, ylabel=counted, xlim=(low, high))
    _log_ticks(axes.xaxis, base)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(False, axis="x")


def _numbers(axes: Axes, numbers: NDArray[Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    values, counts = np.unique(numbers, return_counts=True)
    axes.bar(values, counts, color=BLUE, width=0.8)
    axes.set(xlabel="objects in a picture", ylabel="images", xlim=(0.4, max(values[-1], 3) + 0.6))
    axes.xaxis.set_major_locator(MaxNLocator(_NARROW_TICKS, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(False, axis="x")


def _scatter(axes: Axes, side: NDArray[Any], fraction: NDArray[Any]) -> None:
    axes.scatter(side, fraction, s=9, color=BLUE, alpha=min(1.0, max(0.1, 150 / len(side))), linewidths=0)
    across = np.array([side.min(), side.max()])
    for area in (10, 1000, 100_000):
        axes.plot(across, area / across**2, color=ORANGE, linewidth=0.8)
        if fraction.min() < area / across[1] ** 2 < fraction.max():
            axes.annotate(
                f"{area:,} px", (across[1], area / across[1] ** 2), (2, 0), textcoords="offset points", fontsize=7
            )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set(xlim=(side.min() / 1.1, side.max() * 1.1), ylim=(fraction.min() / 1.5, fraction.max() * 1.5))
    axes.set(xlabel="side of the picture, px", ylabel="mask / picture")
    _log_ticks(axes.xaxis, 2)
    _log_ticks(axes.yaxis)


def _seconds(axes: Axes, seconds: pd.DataFrame) -> None:
    axes.boxplot(
        [values.to_numpy() for _, values in seconds.items()],
        tick_labels=[str(stage) for stage in seconds.columns],
        patch_artist=True,
        widths=0.6,
        boxprops={"facecolor": _PALE_BLUE, "edgecolor": BLUE},
        medianprops={"color": ORANGE, "linewidth": 2},
        whiskerprops={"color": BLUE},
        capprops={"color": BLUE},
        flierprops={"marker": ".", "markersize": 3, "markerfacecolor": _GREY, "markeredgecolor": "none"},
    )
    axes.set_yscale("log")
    axes.set(ylabel="seconds an image")
    _log_ticks(axes.yaxis)
    axes.grid(False, axis="x")


def _categories(axes: Axes, counts: pd.Series) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.bar(range(len(counts)), counts.to_numpy(), color=BLUE, width=0.8)
    if len(counts) <= _MAX_NAMED_CATEGORIES:
        names = [name.replace("_", " ") for name in counts.index]
        axes.set_xticks(range(len(counts)), names, rotation=90, fontsize=9 if len(counts) <= 60 else 7)
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(counts)} categories")
    axes.set(ylabel="objects")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    axes.grid(False, axis="x")


def _log_ticks(axis: Axis, base: int = 10) -> None:
    """Label the powers of `base` on a logarithmic axis, and on one that spans less than two of them, values between."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    narrow = high < base**2 * low
    if high < 5 * low:
        axis.set_major_locator(MaxNLocator(_NARROW_TICKS))
    elif narrow and base == 10:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    if narrow or base == 2:
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())
