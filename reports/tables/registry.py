"""The list of tables."""

from __future__ import annotations

from functools import partial

from reports.claims.table import claims_table
from reports.tables import SummaryTableKind, TableKind
from reports.tables.category import category_table
from reports.tables.iou import iou_table
from reports.tables.paired import paired_table
from reports.tables.size import IN_PIXELS, size_table
from reports.tables.table1 import table_1

SUMMARY_TABLES: dict[str, SummaryTableKind] = {
    "1": SummaryTableKind("IoU on every data set, parameters and time", table_1),
}
"""Tables over all data sets. Numbers are those of the paper."""

DATASET_TABLES: dict[str, TableKind] = {
    "iou": TableKind("IoU, times by stage, errors", iou_table),
    "size": TableKind("IoU by relative mask size", size_table),
    "pixels": TableKind("IoU by mask size in pixels", partial(size_table, sizes=IN_PIXELS)),
    "category": TableKind("IoU by category", category_table),
    "paired": TableKind("paired differences to the best model and to the bare prompt", paired_table),
    "claims": TableKind("which claims hold, as in `reports check`", claims_table),
}
"""Tables of one data set, in the order of the page."""
