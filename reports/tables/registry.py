"""Which tables there are."""

from __future__ import annotations

from functools import partial

from reports.claims.table import claims_table
from reports.tables import Kind, KindOfAll
from reports.tables.category import category_table
from reports.tables.iou import iou_table
from reports.tables.paired import paired_table
from reports.tables.size import IN_PIXELS, size_table
from reports.tables.table1 import table_1

OF_ALL: dict[str, KindOfAll] = {
    "1": KindOfAll("IoU on every data set, parameters and time", table_1),
}
"""Over all data sets. Numbers are the paper's."""

OF_EACH: dict[str, Kind] = {
    "iou": Kind("IoU, stages of the time, errors", iou_table),
    "size": Kind("IoU by relative mask size", size_table),
    "pixels": Kind("IoU by mask size in pixels", partial(size_table, sizes=IN_PIXELS)),
    "category": Kind("IoU by category", category_table),
    "paired": Kind("paired differences: against the best model, and against the bare prompt", paired_table),
    "claims": Kind("which claims hold, as `reports check` says", claims_table),
}
"""Of one data set, in the order of the page."""
