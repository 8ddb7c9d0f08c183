"""The list of tables."""

from __future__ import annotations

from functools import partial

from reports.choices import DATASET_TABLE_TOPICS, SUMMARY_TABLE_TOPICS
from reports.claims.table import claims_table
from reports.tables import SummaryTableKind, TableKind
from reports.tables.category import category_table
from reports.tables.difficulty import difficulty_table, ranks_table
from reports.tables.iou import iou_table
from reports.tables.measures import measures_table
from reports.tables.paired import paired_table
from reports.tables.protocols import clicks_table, detector_table, worst_table
from reports.tables.size import IN_PIXELS, size_table
from reports.tables.table1 import table_1

SUMMARY_TABLES: dict[str, SummaryTableKind] = {
    "1": SummaryTableKind(SUMMARY_TABLE_TOPICS["1"], table_1),
}
"""Tables over all data sets. Numbers are those of the paper."""

DATASET_TABLES: dict[str, TableKind] = {
    "iou": TableKind(DATASET_TABLE_TOPICS["iou"], iou_table),
    "size": TableKind(DATASET_TABLE_TOPICS["size"], size_table),
    "pixels": TableKind(DATASET_TABLE_TOPICS["pixels"], partial(size_table, sizes=IN_PIXELS)),
    "measures": TableKind(DATASET_TABLE_TOPICS["measures"], measures_table),
    "clicks": TableKind(DATASET_TABLE_TOPICS["clicks"], clicks_table),
    "worst": TableKind(DATASET_TABLE_TOPICS["worst"], worst_table),
    "detector": TableKind(DATASET_TABLE_TOPICS["detector"], detector_table),
    "difficulty": TableKind(DATASET_TABLE_TOPICS["difficulty"], difficulty_table),
    "ranks": TableKind(DATASET_TABLE_TOPICS["ranks"], ranks_table),
    "category": TableKind(DATASET_TABLE_TOPICS["category"], category_table),
    "paired": TableKind(DATASET_TABLE_TOPICS["paired"], paired_table),
    "claims": TableKind(DATASET_TABLE_TOPICS["claims"], claims_table),
}
"""Tables of one data set, in the order of the page."""
