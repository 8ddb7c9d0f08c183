"""The list of figures."""

from __future__ import annotations

from reports.choices import FIGURE_TOPICS
from reports.figures import FigureKind
from reports.figures.categories import categories
from reports.figures.curves import pixel_size_curves, relative_size_curves
from reports.figures.differences import size_differences
from reports.figures.distribution import distributions
from reports.figures.examples import magnified_examples
from reports.figures.heatmaps import size_heat_maps
from reports.figures.patches import object_patches, sampling_stages, scene_patches
from reports.figures.performance import performances
from reports.figures.sweeps import noise_sweeps, token_sweeps

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
    "category": FigureKind(FIGURE_TOPICS["category"], categories),
    "cdf": FigureKind(FIGURE_TOPICS["cdf"], distributions),
}
"""All figures in the order of the page. Numbers are those of the paper."""
