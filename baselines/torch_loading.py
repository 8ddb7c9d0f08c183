"""Helpers that load PyTorch networks: device, random weights, weights files and the model card."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.lazy import torch
from baselines.segmenter import ModelCard, ModelUnavailable, Options
from objascale.files import file_sha256

if TYPE_CHECKING:
    from torch import nn


def torch_device(options: Options) -> str:
    """Return "cpu" or "cuda", and set the precision of cuDNN's convolutions. Raises ModelUnavailable without a GPU."""
    cuda = torch.cuda.is_available()
    if options.device == "cuda" and not cuda:
        raise ModelUnavailable("PyTorch detects no CUDA GPU; install its CUDA build, or use the device cpu or auto")
    torch.backends.cudnn.allow_tf32 = options.precision != "fp32"  # the default, TF32, has 10 bits of mantissa
    return "cuda" if cuda and options.device != "cpu" else "cpu"


@contextmanager
def random_weights() -> Iterator[None]:
    """Seed PyTorch's generator inside the block, and restore it afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def load_weights(network: nn.Module, path: Path, keys: tuple[str, ...] = ()) -> None:
    """Copy the tensors of a checkpoint into a network without running code from the file.

    Args:
        network: A module whose `state_dict()` has the same names and shapes.
        path: A file of `torch.save`.
        keys: Keys of the checkpoint that may hold the tensors; none if it is a plain state dict.

    Raises:
        ModelUnavailable: The file is broken, or a tensor is missing, unknown or of another shape.
    """
    from flip.checkpoint import WeightsBroken, load_state_dict_checked
    from flip.lightning import CheckpointBroken, read_state_dict

    try:
        load_state_dict_checked(network, read_state_dict(path, keys=keys), path)
    except (CheckpointBroken, WeightsBroken) as error:
        raise ModelUnavailable(str(error)) from None


def network_card(name: str, family: str, network: nn.Module, weights: Path | None, **settings: Any) -> ModelCard:
    """Return the card of a network with one weights file, or with random weights if `weights` is None."""
    return ModelCard(
        name,
        family,
        sum(parameter.numel() for parameter in network.parameters()),
        weights=weights.name if weights else None,
        weights_sha256=file_sha256(weights) if weights else None,
        settings=settings,
        untrained=weights is None,
    )
