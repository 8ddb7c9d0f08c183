"""Load a promptable segmenter of `transformers` from a folder. Only safetensors are read, and no code of the folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from baselines.hf.architectures import ARCHITECTURES
from baselines.hf.folder import commit_of, read_config
from baselines.hf.segmenter import HfSam
from baselines.lazy import torch
from baselines.model import Files
from baselines.segmenter import ModelCard, ModelUnavailable, Options
from baselines.torch_loading import random_weights, torch_device
from baselines.torchvision_cpu import prepare_torchvision
from flip.weights import sha256
from objascale.validation import in_one_line


def load_hf(name: str, files: Files, options: Options) -> HfSam:
    """Load a model.

    Args:
        name: The name for the card.
        files: Weights files of `baselines.hf.folder.weights_files`.
        options: Device and precision.

    Raises:
        ModelUnavailable: The folder's files do not fit together.
        ImportError: A package is missing.
    """
    folder = files[0].parent
    architecture = ARCHITECTURES[read_config(folder)["model_type"]]
    device = torch_device(options)
    prepare_torchvision()
    import transformers

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _quiet(), random_weights():  # without a change of the caller's generator
            network, report = transformers.AutoModelForMaskGeneration.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **local
            )
            processor = getattr(transformers, architecture.processor).from_pretrained(folder, **local)
    except ImportError:
        raise
    except Exception as error:  # transformers, safetensors and torch raise many types for damaged files
        raise ModelUnavailable(
            f"transformers cannot load {folder}: {in_one_line(error)}; fetch its files again"
        ) from error
    if missing := sorted(report["missing_keys"]):  # transformers would leave them random
        raise ModelUnavailable(
            f"{folder} lacks {len(missing)} of the network's tensors, such as {missing[0]}; fetch its files again"
        )
    commit = commit_of(folder)
    card = ModelCard(
        name,
        architecture.family,
        sum(parameter.numel() for parameter in network.parameters()),
        weights=", ".join(file.name for file in files),
        weights_sha256=",".join(map(sha256, files)),
        settings={"revision": commit} if commit else {},
    )
    return HfSam(network, processor, architecture, card, device=device, precision=options.precision)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the log messages and progress bars of transformers inside the block. Errors are raised all the same."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
