"""The list of figures."""

from __future__ import annotations

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
    "1": FigureKind("IoU against parameters and against time, with the Pareto front", performances),
    "2": FigureKind("how FLIP samples the patches of an object", sampling_stages),
    "3": FigureKind("patches and masks of several objects in an image", scene_patches),
    "6": FigureKind("patches and masks of a tiny, a small and a large object", object_patches),
    "7": FigureKind("heat maps of IoU over relative and absolute mask size", size_heat_maps),
    "7-difference": FigureKind("heat maps of the difference between FLIP and other networks", size_differences),
    "8": FigureKind("examples of the data set with magnified objects", magnified_examples),
    "9": FigureKind("IoU against the number of patches", token_sweeps),
    "10": FigureKind("IoU against relative mask size, with 95 % bands", relative_size_curves),
    "pixels": FigureKind("IoU against mask size in pixels, with 95 % bands", pixel_size_curves),
    "noise": FigureKind("IoU against prompt noise", noise_sweeps),
    "category": FigureKind("IoU by category", categories),
    "cdf": FigureKind("cumulative distribution of IoU", distributions),
}
"""All figures in the order of the page. Numbers are those of the paper."""
