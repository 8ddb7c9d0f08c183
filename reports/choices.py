"""The names of figures and tables and what they show, apart from the modules that draw them.

This module imports nothing heavy, so that `--help` is fast. Numbers are those of the paper.
"""

from __future__ import annotations

FIGURE_TOPICS = {
    "1": "IoU against parameters and against time, with the Pareto front",
    "2": "how FLIP samples the patches of an object",
    "3": "patches and masks of several objects in an image",
    "6": "patches and masks of a tiny, a small and a large object",
    "7": "heat maps of IoU over relative and absolute mask size",
    "7-difference": "heat maps of the difference between FLIP and other networks",
    "8": "examples of the data set with magnified objects",
    "9": "IoU against the number of patches",
    "10": "IoU against relative mask size, with 95 % bands",
    "pixels": "IoU against mask size in pixels, with 95 % bands",
    "noise": "IoU against prompt noise",
    "difficulty": "IoU against each dial of the difficulty, and against size and difficulty",
    "category": "IoU by category",
    "cdf": "cumulative distribution of IoU",
}
"""All figures in the order of the page."""

FIGURE_FILES = {
    "1": ("iou-by-parameters", "iou-by-time"),
    "2": ("patch-sampling",),
    "3": ("patches-in-a-picture",),
    "6": ("patches-by-size",),
    "7": ("heat-maps",),
    "7-difference": ("heat-map-differences",),
    "8": ("examples",),
    "9": ("iou-by-tokens", "iou-by-tokens-and-size"),
    "10": ("iou-by-size",),
    "pixels": ("iou-by-pixels",),
    "noise": ("iou-by-noise", "iou-by-noise-and-size"),
    "difficulty": ("iou-by-difficulty", "heat-maps-of-difficulty"),
    "category": ("iou-by-category",),
    "cdf": ("iou-distribution",),
}
"""The names of the files of each figure, `reports.figures.Drawn.name`, which also name the figure."""

SUMMARY_TABLE_TOPICS = {"1": "IoU on every data set, parameters and time"}
"""Tables over all data sets."""

DATASET_TABLE_TOPICS = {
    "iou": "IoU, times by stage, errors",
    "size": "IoU by relative mask size",
    "pixels": "IoU by mask size in pixels",
    "measures": "IoU over objects and images, COCO's sizes, boundary IoU, tails",
    "clicks": "clicks to a good mask (`bench run --prompt clicks`)",
    "worst": "spread over plausible prompts (`bench run --prompt worst`)",
    "detector": "mIoU and mask AP (`bench run --prompt detector:FILE`)",
    "difficulty": "change of IoU with each dial of the difficulty",
    "ranks": "ranks on easier and on harder pictures",
    "category": "IoU by category",
    "paired": "paired differences to the best model and to the bare prompt",
    "claims": "which claims hold, as in `reports check`",
}
"""Tables of one data set, in the order of the page."""
