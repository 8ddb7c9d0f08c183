"""The list of figures."""

from __future__ import annotations

from reports.choices import FIGURE_FILES, FIGURE_TOPICS
from reports.figures import Drawn, FigureKind
from reports.figures.categories import categories
from reports.figures.curves import pixel_size_curves, relative_size_curves
from reports.figures.differences import size_differences
from reports.figures.difficulty import difficulties
from reports.figures.distribution import distributions
from reports.figures.examples import magnified_examples
from reports.figures.heatmaps import size_heat_maps
from reports.figures.patches import object_patches, sampling_stages, scene_patches
from reports.figures.performance import performances
from reports.figures.sweeps import noise_sweeps, token_sweeps
from reports.files import ReportError
from reports.naming import nearest
from reports.view import NothingToShow, ResultsView

FIGURES: dict[str, FigureKind] = {
    "1": FigureKind(FIGURE_TOPICS["1"], performances),
    "2": FigureKind(FIGURE_TOPICS["2"], sampling_stages),
    "3": FigureKind(FIGURE_TOPICS["3"], scene_patches),
    "6": FigureKind(FIGURE_TOPICS["6"], object_patches),
    "7": FigureKind(FIGURE_TOPICS["7"], size_heat_maps, has_bins=True),
    "7-difference": FigureKind(FIGURE_TOPICS["7-difference"], size_differences, has_bins=True),
    "8": FigureKind(FIGURE_TOPICS["8"], magnified_examples),
    "9": FigureKind(FIGURE_TOPICS["9"], token_sweeps),
    "10": FigureKind(FIGURE_TOPICS["10"], relative_size_curves, has_bins=True),
    "pixels": FigureKind(FIGURE_TOPICS["pixels"], pixel_size_curves, has_bins=True),
    "noise": FigureKind(FIGURE_TOPICS["noise"], noise_sweeps),
    "difficulty": FigureKind(FIGURE_TOPICS["difficulty"], difficulties),
    "category": FigureKind(FIGURE_TOPICS["category"], categories),
    "cdf": FigureKind(FIGURE_TOPICS["cdf"], distributions),
}
"""All figures in the order of the page. Numbers are those of the paper."""


def figure_number(name: str) -> str:
    """Return the key in FIGURES of a figure, which may be named by its number or by one of its files.

    Raises:
        ReportError: There is no such figure. The error names similar ones.
    """
    by_file = {file: number for number, files in FIGURE_FILES.items() for file in files}
    if name not in FIGURES and name not in by_file:
        raise ReportError(f"there is no figure {name}: {nearest(name, [*FIGURES, *by_file], FIGURES)}")
    return by_file.get(name, name)


def draw(name: str, view: ResultsView) -> list[Drawn]:
    """Draw the figures of one data set that a name stands for: all of a number, or the one of a file.

    Raises:
        ReportError: There is no such figure.
        NothingToShow: The results do not support it.
    """
    number = figure_number(name)
    drawn = FIGURES[number].draw(view)
    if name == number:
        return drawn
    chosen = [one for one in drawn if one.name == name]
    if not chosen:
        raise NothingToShow(f"the results support only {', '.join(one.name for one in drawn)}")
    return chosen
