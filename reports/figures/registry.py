"""Which figures there are."""

from __future__ import annotations

from reports.figures import Kind
from reports.figures.categories import categories
from reports.figures.curves import pixel_size_curves, relative_size_curves
from reports.figures.differences import size_differences
from reports.figures.distribution import distributions
from reports.figures.examples import magnified_examples
from reports.figures.heatmaps import size_heat_maps
from reports.figures.patches import object_patches, sampling_stages, scene_patches
from reports.figures.performance import performances
from reports.figures.sweeps import noise_sweeps, token_sweeps

FIGURES: dict[str, Kind] = {
    "1": Kind("IoU against parameters and against time, with the Pareto front", performances),
    "2": Kind("how FLIP samples patches of an object", sampling_stages),
    "3": Kind("patches and masks of several objects in a picture", scene_patches),
    "6": Kind("patches and masks of a tiny, a small and a large object", object_patches),
    "7": Kind("heat maps of IoU over relative and absolute mask size", size_heat_maps),
    "7-difference": Kind("such maps of the difference between FLIP and each other network", size_differences),
    "8": Kind("examples of the data set under a magnifier", magnified_examples),
    "9": Kind("IoU against the number of patches", token_sweeps),
    "10": Kind("IoU against relative mask size, with 95 % bands", relative_size_curves),
    "pixels": Kind("IoU against mask size in pixels, with 95 % bands", pixel_size_curves),
    "noise": Kind("IoU against prompt noise", noise_sweeps),
    "category": Kind("IoU by category", categories),
    "cdf": Kind("cumulative distribution of IoU", distributions),
}
"""In the order of the page. Numbers are the paper's."""
