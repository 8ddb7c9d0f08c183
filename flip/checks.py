"""Checks of the machine for FLIP, which `objascale doctor` prints."""

from __future__ import annotations

from collections.abc import Iterator

from objascale.checks import Check, extra_check


def checks() -> Iterator[Check]:
    """Check PyTorch, its devices, and the packages for training."""
    try:
        import torch
    except (ImportError, OSError) as error:  # a missing package, or a missing library of one
        yield Check("PyTorch", False, f"does not load: {error}", "pip install torch")
        return
    yield Check("PyTorch", True, torch.__version__)
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        yield Check("GPU", True, names)
    elif torch.version.cuda is None:
        remedy = "for a GPU, install another build of PyTorch; make setup TORCH=auto does so"
        yield Check("GPU", False, "none that PyTorch can use: this is its CPU build", remedy, optional=True)
    else:
        yield Check("GPU", False, f"PyTorch for CUDA {torch.version.cuda} finds none", optional=True)
    yield extra_check("train", "training", "lightning_fabric", "tensorboard")
