"""Promptable segmenters of `transformers`: known repositories of the Hugging Face hub, and any other by hf:NAME.

The table's repositories, licences and training data are taken from the sources that it names. No row has been run with
its published weights by this project.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from baselines.hf.hub import Repository
from baselines.hf.load import load_hf
from baselines.model import Files, Model
from baselines.sam import SAM_TRAINING
from baselines.sam2 import SAM2_TRAINING
from baselines.segmenter import ModelUnavailable, Options, Segmenter
from flip.training_data import UNKNOWN, TrainingData
from flip.weights import WeightsMissing

PREFIX = "hf:"

_NAME = re.compile(r"hf:[^@].*", re.DOTALL)
_CROP = re.compile(r"crop(=.*)?", re.DOTALL)

SAM_HQ_TRAINING = TrainingData(
    "arXiv 2306.01567 and train/README.md of github.com/SysCV/sam-hq: SAM with a mask decoder that learned from "
    "HQSeg-44K, which is made of parts of six data sets",
    (*SAM_TRAINING.datasets, "dis5k", "thinobject5k", "duts", "ecssd", "fss1000", "msra10k"),
)
SLIMSAM_TRAINING = TrainingData("arXiv 2312.05284: SAM, pruned and distilled on a part of SA-1B", SAM_TRAINING.datasets)
EDGETAM_TRAINING = TrainingData(
    "README.md of github.com/facebookresearch/EdgeTAM: a mix of its own, which it does not list", complete=False
)
SAM3_TRAINING = TrainingData(
    "README.md of github.com/facebookresearch/sam3: SA-Co; further training data are not stated there",
    ("sa-co",),
    complete=False,
)


def hf_model(name: str) -> Model:
    """Return the model hf:OWNER/NAME, hf:OWNER/NAME@REVISION or hf:FOLDER.

    Training data are known for repositories of the table.

    Args:
        name: The name, without a crop.
    """
    address = name.removeprefix(PREFIX)
    place = Repository(address)
    if place.folder is None:
        source, at, revision = address.partition("@")
        place = Repository(source, revision if at else None)
    known = next((row for row in HF_MODELS if row.repository == place), None)
    if known:
        return replace(known, name=name, load=partial(_load, name, place))
    licence = "stated in the folder" if place.folder else f"see huggingface.co/{place.source}"
    return _model(name, place, "transformers", licence, UNKNOWN)


def split_variant(name: str) -> tuple[str, str]:
    """Split the name of an `hf:` model from its crop. Both parts are empty if it names nothing.

    Example:
        >>> split_variant("hf:owner/name@main@crop=3")
        ('hf:owner/name@main', 'crop=3')
        >>> split_variant("hf:owner/name@main")
        ('hf:owner/name@main', '')
    """
    plain, _, variant = name.rpartition("@")
    if not _CROP.fullmatch(variant):
        plain, variant = name, ""
    return (plain, variant) if _NAME.fullmatch(plain) else ("", "")


def _load(name: str, place: Repository, files: Files | None, options: Options) -> Segmenter:
    """Load a model. Its files are never made up: a network with random weights needs its configuration."""
    try:
        return load_hf(name, files or place.find(name), options)
    except WeightsMissing as error:
        raise ModelUnavailable(str(error)) from error


def _model(name: str, place: Repository, family: str, licence: str, training: TrainingData) -> Model:
    return Model(
        name=name,
        family=family,
        parameters=None,
        prompts=("box", "point", "clicks"),
        licence=licence,
        load=partial(_load, name, place),
        extra="hf",
        encodes_image=True,
        training=training,
        repository=place,
    )


def _row(name: str, repository: str, family: str, training: TrainingData, licence: str = "Apache-2.0") -> Model:
    return _model(name, Repository(repository), f"{family} (transformers)", licence, training)


HF_MODELS = (
    _row("sam-hq-b", "syscv-community/sam-hq-vit-base", "SAM-HQ", SAM_HQ_TRAINING),
    _row("sam-hq-l", "syscv-community/sam-hq-vit-large", "SAM-HQ", SAM_HQ_TRAINING),
    _row("sam-hq-h", "syscv-community/sam-hq-vit-huge", "SAM-HQ", SAM_HQ_TRAINING),
    _row("slimsam-50", "Zigeng/SlimSAM-uniform-50", "SAM", SLIMSAM_TRAINING),
    _row("slimsam-77", "Zigeng/SlimSAM-uniform-77", "SAM", SLIMSAM_TRAINING),
    _row("sam2.1-hf-t", "facebook/sam2.1-hiera-tiny", "SAM 2", SAM2_TRAINING),
    _row("sam2.1-hf-s", "facebook/sam2.1-hiera-small", "SAM 2", SAM2_TRAINING),
    _row("sam2.1-hf-b+", "facebook/sam2.1-hiera-base-plus", "SAM 2", SAM2_TRAINING),
    _row("sam2.1-hf-l", "facebook/sam2.1-hiera-large", "SAM 2", SAM2_TRAINING),
    _row("edgetam", "yonigozlan/EdgeTAM-hf", "EdgeTAM", EDGETAM_TRAINING),
    _row("sam3-tracker", "facebook/sam3", "SAM 3 tracker", SAM3_TRAINING, "SAM License (gated)"),
)
