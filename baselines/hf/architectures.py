"""The kinds of promptable segmenters in `transformers`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """A kind of promptable segmenter in `transformers`.

    Attributes:
        family: The family, for the model card.
        processor: Name of the class of the processor.
        padded: Whether the image keeps its aspect ratio and is padded to a square. Otherwise it is resized to one.
    """

    family: str
    processor: str
    padded: bool = False


_SAM2 = Architecture("SAM 2 (transformers)", "Sam2Processor")
_EDGETAM = Architecture("EdgeTAM (transformers)", "Sam2Processor")
_SAM3 = Architecture("SAM 3 tracker (transformers)", "Sam3TrackerProcessor")

ARCHITECTURES = {
    "sam": Architecture("SAM (transformers)", "SamProcessor", padded=True),
    "sam_hq": Architecture("SAM-HQ (transformers)", "SamHQProcessor", padded=True),
    "sam2": _SAM2,
    "sam2_video": _SAM2,
    "edgetam": _EDGETAM,
    "edgetam_video": _EDGETAM,
    "sam3_tracker": _SAM3,
    "sam3_video": _SAM3,
}
"""Promptable segmenters by `model_type` of config.json. A model of videos runs without its memory."""
