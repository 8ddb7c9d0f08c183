"""Which figures there are."""

from __future__ import annotations

from reports.figures import Kind
from reports.figures.curves import size_curves
from reports.figures.examples import magnified_examples
from reports.figures.heatmaps import size_heat_maps
from reports.figures.patches import object_patches, sampling_stages, scene_patches

FIGURES: dict[str, Kind] = {
    "2": Kind("how FLIP samples patches of an object", sampling_stages),
    "3": Kind("patches and masks of several objects in a picture", scene_patches),
    "6": Kind("patches and masks of a tiny, a small and a large object", object_patches),
    "7": Kind("heat maps of IoU over relative and absolute mask size", size_heat_maps),
    "8": Kind("examples of the data set under a magnifier", magnified_examples),
    "10": Kind("IoU against relative mask size, with 95 % bands", size_curves),
}
"""In the order of the page. Numbers are the paper's."""
