"""Which claims there are."""

from __future__ import annotations

from reports.claims import Claim
from reports.claims.ours import adds_to_prompt, ahead_of_crop, same_box
from reports.claims.paper import (
    behind_flip,
    fastsam_vanishes,
    overall,
    pixels_not_fraction,
    plateau,
    small_objects,
)

DIFFERENCE = "difference of mean IoU"
AHEAD = "the interval of the difference, paired by object, lies above 0"

CLAIMS = (
    Claim(
        "FLIP ahead on small objects",
        "paper",
        "FLIP is ahead of SAM on objects below 0.1 % of the image.",
        "section 4.2, Fig. 10",
        DIFFERENCE,
        AHEAD,
        small_objects,
    ),
    Claim(
        "FastSAM fails on tiny objects",
        "paper",
        "FastSAM finds next to nothing below 0.01 % of the image.",
        "section 4.3, Fig. 7",
        "mean IoU",
        "the interval of the mean lies below 0.05 (the paper's heat map has .000 to .016 there)",
        fastsam_vanishes,
    ),
    Claim(
        "Pixels count, not the fraction",
        "paper",
        "What FLIP achieves depends on how many pixels an object has, not on its share of the image.",
        "section 4.3, Fig. 7",
        "IoU gained by ten times the pixels, less that by ten times the fraction",
        "the interval lies above 0: pixels gain at the same fraction, and more than the fraction at the same pixels",
        pixels_not_fraction,
    ),
    Claim(
        "100 patches suffice",
        "paper",
        "With 100 patches, FLIP's IoU is near its peak.",
        "section 4.5, Fig. 9",
        DIFFERENCE,
        "with 64 to 128 patches the interval lies above -0.02, against the best of all other numbers",
        plateau,
    ),
    Claim(
        "FLIP ahead of FastSAM",
        "paper",
        "FLIP surpasses FastSAM.",
        "abstract, section 4.4, Table 1",
        DIFFERENCE,
        AHEAD,
        behind_flip,
    ),
    Claim(
        "FLIP ahead on ObjaScale",
        "paper",
        "FLIP of every size is ahead of SAM of every size on ObjaScale as a whole.",
        "section 4.4, Table 1",
        DIFFERENCE,
        AHEAD,
        overall,
    ),
    Claim(
        "More than the prompt",
        "ours",
        "A model adds something to the box or ellipse that it was given.",
        "a prompt made from the truth tells much of it",
        DIFFERENCE,
        f"{AHEAD}, in which the prompt itself counts as a mask: the box, or the ellipse of the Gaussian",
        adds_to_prompt,
    ),
    Claim(
        "FLIP ahead of SAM on a crop",
        "ours",
        "FLIP is ahead of a SAM that is shown nothing but the object's surroundings.",
        "cutting out the box is the simplest fovea",
        DIFFERENCE,
        AHEAD,
        ahead_of_crop,
    ),
    Claim(
        "FLIP ahead from the same box",
        "ours",
        "FLIP is ahead of SAM where both are told the same box.",
        "in the paper FLIP is told a Gaussian, which says more",
        DIFFERENCE,
        AHEAD,
        same_box,
    ),
)
"""In the order of tables."""
