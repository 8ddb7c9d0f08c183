"""Which figures there are."""

from __future__ import annotations

from reports.figures import Kind
from reports.figures.curves import size_curves
from reports.figures.heatmaps import size_heat_maps

FIGURES: dict[str, Kind] = {
    "7": Kind("heat maps of IoU over relative and absolute mask size", size_heat_maps),
    "10": Kind("IoU against relative mask size, with 95 % bands", size_curves),
}
"""In the order of the page. Numbers are the paper's."""
