"""Make torchvision importable beside a PyTorch that cannot load its compiled operators.

Package registries offer torchvision built for CUDA. Its library does not load beside the CPU build of PyTorch, and its
import fails because it registers fake kernels for two missing operators. The models here never call these operators,
so declaring their schemas is enough. Source: torchvision/extension.py and _meta_registrations.py, 0.28.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from baselines.lazy import torch

OPERATOR_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def prepare_torchvision() -> torch.library.Library | None:
    """Declare torchvision's missing operators. Call it before the first import of torchvision or of its users.

    Returns:
        The declarations, which PyTorch drops with this object; None if torchvision needs none.

    Raises:
        ImportError: torchvision is not installed.
    """
    if "torchvision" in sys.modules:
        return None
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ImportError("No module named 'torchvision'")
    libraries = sorted(Path(spec.origin).parent.glob("_C*.so"))
    try:
        for library in libraries:
            torch.ops.load_library(library)
        if libraries:
            return None
    except OSError:  # built for another PyTorch
        pass
    declared = torch.library.Library("torchvision", "FRAGMENT")
    for schema in OPERATOR_SCHEMAS:
        declared.define(schema)
    return declared
