"""MobileSAM (Zhang et al., arXiv 2306.14289) by ultralytics. Its input is SAM's, as its authors prepare it."""

from __future__ import annotations

from baselines.lazy import torch
from baselines.model import Files, Model
from baselines.sam import SAM_TRAINING, TorchSam
from baselines.segmenter import Options
from baselines.torch_loading import load_weights, network_card, random_weights, torch_device
from baselines.ultralytics_offline import sam_build
from flip.training_data import TrainingData
from flip.weights import WeightsFile, WeightsRecord


def load_mobilesam(files: Files | None, options: Options) -> TorchSam:
    """Load MobileSAM. Raises ModelUnavailable for broken weights."""
    device = torch_device(options)
    with random_weights():
        network = build_mobilesam()
    if files:
        load_weights(network, files[0])
    card = network_card("mobilesam", "MobileSAM", network, files[0] if files else None)
    return TorchSam(network, card, device=device, precision=options.precision)


def build_mobilesam() -> torch.nn.Module:
    """Build the network with random weights."""
    return sam_build.build_mobile_sam()


MOBILESAM = Model(
    name="mobilesam",
    family="MobileSAM",
    parameters=10_130_092,
    prompts=("box", "point", "clicks"),
    licence="Apache-2.0, AGPL-3.0 (ultralytics)",
    load=load_mobilesam,
    weights=WeightsRecord(
        name="mobilesam",
        files=(
            WeightsFile(
                "mobile_sam.pt",
                "https://raw.githubusercontent.com/ChaoningZhang/MobileSAM/"
                "34bbbfdface3c18e5221aa7de6032d7220c6c6a1/weights/mobile_sam.pt",
                git_blob="7ef2d090979fd9853adf17b7a99c8b94a1c5a6a7",
            ),
        ),
        licence="Apache-2.0",
        source="github.com/ChaoningZhang/MobileSAM",
    ),
    extra="fastsam",
    encodes_image=True,
    training=TrainingData(
        "arXiv 2306.14289, section 4: an encoder distilled from SAM's on 1 % of SA-1B, which 1 % is not published, "
        "with SAM's decoder",
        SAM_TRAINING.datasets,
    ),
)
