"""The list of claims."""

from __future__ import annotations

from reports.claims import Claim
from reports.claims.models import FASTSAM, FLIP, SAM, SAM_ON_CROP, all_pairs
from reports.claims.ours import adds_to_prompt, ahead_of_crop, same_box
from reports.claims.paper import (
    BELOW_SMALL,
    BELOW_VANISHING,
    behind_flip,
    fastsam_vanishes,
    overall,
    pixels_not_fraction,
    plateau,
    small_objects,
)
from reports.claims.ranking import clean_agrees, difficulty_agrees_better
from reports.published import DATASETS

MEAN_DIFFERENCE = "difference of mean IoU"
AHEAD = "the interval of the difference, paired by object, lies above 0"

CLAIMS = (
    Claim(
        "FLIP ahead on small objects",
        "paper",
        "On ObjaScale, FLIP-L is ahead of SAM-H and of FastSAM-x on objects below 0.1 % of the image.",
        "section 4.2, Fig. 10",
        MEAN_DIFFERENCE,
        AHEAD,
        small_objects,
        objects=BELOW_SMALL,
        models=(("flip-l", "sam-h"), ("flip-l", "fastsam-x")),
        data_sets=("ObjaScale",),
    ),
    Claim(
        "FastSAM fails on tiny objects",
        "paper",
        "On ObjaScale, FastSAM-x has an IoU near 0 below 0.01 % of the image.",
        "section 4.3, Fig. 7",
        "mean IoU",
        "the interval of the mean lies below 0.05 (the paper's heat map has .000 to .016 there)",
        fastsam_vanishes,
        objects=BELOW_VANISHING,
        models=(("fastsam-x",),),
        data_sets=("ObjaScale",),
    ),
    Claim(
        "Pixels count, not the fraction",
        "paper",
        "On ObjaScale, the IoU of FLIP-L depends on the pixels of an object, not on its fraction of the image.",
        "section 4.3, Fig. 7",
        "gain of IoU from ten times the pixels − gain from ten times the fraction",
        "the interval lies above 0: pixels help at equal fraction, and help more than the fraction at equal pixels",
        pixels_not_fraction,
        models=(("flip-l",),),
        data_sets=("ObjaScale",),
    ),
    Claim(
        "100 patches suffice",
        "paper",
        "On OpenImages, FLIP-L's IoU with 100 patches is near its peak.",
        "section 4.5, Fig. 9",
        MEAN_DIFFERENCE,
        "with 64 to 128 patches, the interval of the difference to the best other number lies above -0.02",
        plateau,
        models=(("flip-l",),),
        data_sets=("OpenImages",),
        options=" --tokens 32,64,96,128,256,512,1024",
    ),
    Claim(
        "FLIP ahead of FastSAM",
        "paper",
        "On this data set, one of the paper's four, FLIP of every size is ahead of FastSAM of every size.",
        "abstract, section 4.4, Table 1",
        MEAN_DIFFERENCE,
        AHEAD,
        behind_flip,
        models=all_pairs(FLIP, FASTSAM),
        data_sets=DATASETS,
    ),
    Claim(
        "FLIP ahead on ObjaScale",
        "paper",
        "FLIP of every size is ahead of SAM of every size on ObjaScale as a whole.",
        "section 4.4, Table 1",
        MEAN_DIFFERENCE,
        AHEAD,
        overall,
        models=all_pairs(FLIP, SAM),
        data_sets=("ObjaScale",),
    ),
    Claim(
        "More than the prompt",
        "ours",
        "Over all objects, every measured model is better than the box or ellipse that was its prompt.",
        "a prompt made from the true mask contains much of the answer",
        MEAN_DIFFERENCE,
        f"{AHEAD}; the prompt (the box, or the ellipse of the Gaussian) is scored as a mask",
        adds_to_prompt,
    ),
    Claim(
        "FLIP ahead of SAM on a crop",
        "ours",
        "Over all objects, FLIP-S, -M and -L are ahead of SAM-B, -L and -H on a crop around the object.",
        "a crop is the simplest fovea",
        MEAN_DIFFERENCE,
        AHEAD,
        ahead_of_crop,
        models=all_pairs(FLIP, SAM_ON_CROP),
    ),
    Claim(
        "FLIP ahead with the same box",
        "ours",
        "Over all objects, FLIP-S, -M and -L are ahead of SAM-B, -L and -H with the same box as the prompt.",
        "in the paper, FLIP gets a Gaussian, which contains more information",
        MEAN_DIFFERENCE,
        AHEAD,
        same_box,
        models=all_pairs(FLIP, SAM),
        options=" --prompt box",
    ),
    Claim(
        "Clean renders rank as photographs",
        "ours",
        "Clean renders rank every measured model as photographs do.",
        "renders are of use only if they rank models as photographs do",
        "Kendall's τ between the orders of the models by mean IoU, from −1 (opposite) to 1 (equal)",
        "the interval of τ, by a bootstrap over clusters, lies above 0; the claim fails if it lies below 0",
        clean_agrees,
    ),
    Claim(
        "photo predicts better than clean",
        "ours",
        "Renders of the preset photo rank every measured model more as photographs do than clean renders.",
        "difficulty as cameras make it is what clean renders lack",
        "τ between renders of photo and photographs − τ between clean renders and photographs",
        "the interval of the difference, by a bootstrap over clusters, lies above 0",
        difficulty_agrees_better,
    ),
)
"""All claims in the order of tables."""
