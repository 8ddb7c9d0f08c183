"""Statements on collection, uses and limits, in the vocabulary of Croissant RAI, for metadata and data sheets."""

from __future__ import annotations

from typing import Any

import pandas as pd

_FLOATING = (
    "Objects float in front of photographs and cast no shadow on them, so they are easier to separate than objects of "
    "photographs. A ranking of models on these pictures need not be their ranking on photographs."
)
_SHADED = (
    "Objects stand in front of photographs. Their shadows fall on a flat ground and not on things in the photograph. "
    "A ranking of models on these pictures need not be their ranking on photographs."
)


def responsible_ai(annotations: pd.DataFrame) -> dict[str, Any]:
    """Return the properties of the vocabulary for responsible AI that hold for a dataset of `objascale render`.

    Source: "Croissant RAI Specification", version 1.0, of MLCommons.

    Args:
        annotations: The annotations of the dataset.
    """
    shaded = "difficulty_context" in annotations and (annotations["difficulty_context"] > 0).any()
    return {
        "rai:dataCollection": "Rendered with Blender's Cycles. A seeded random plan draws the objects, environment "
        "maps, cameras and sizes. Masks are computed from the geometry; no person drew or corrected them.",
        "rai:dataCollectionType": ["Software Collection"],
        "rai:dataAnnotationProtocol": "A pixel belongs to the mask if its centre shows a surface of the object with an "
        "alpha of 0.001 or more. Occluded parts are not part of the mask.",
        "rai:dataUseCases": [
            "Testing",
            "Training",
            "Measuring how promptable segmenters depend on the size of objects",
        ],
        "rai:dataLimitations": [
            _SHADED if shaded else _FLOATING,
            "Assets of public libraries may be part of the training data of a model.",
        ],
        "rai:dataBiases": [
            "Categories and styles are those of the libraries of 3D models. Sizes are uniform in their logarithm, "
            "which photographs are not."
        ],
        "rai:dataSocialImpact": "The objects are models of things, made by artists. Environment maps are photographs "
        "of places and may show people who are too small to be recognised.",
        "rai:personalSensitiveInformation": ["None is known"],
    }
