"""torchvision beside a PyTorch that cannot load its compiled operators.

Package registries offer torchvision built for CUDA; beside the CPU build of PyTorch its library does not load. It then
stumbles, at import, over two operators that it wants to describe and that do not exist. Nothing here ever calls them,
so it is enough that they have names. Source: torchvision/extension.py and _meta_registrations.py, 0.28.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def prepare_torchvision() -> torch.library.Library | None:
    """Call before the first import of torchvision, or of what imports it; does nothing where that works by itself.

    Returns the declarations, which last as long as they are referred to; None if none were needed. Raises ImportError
    if there is no torchvision.
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
    for schema in SCHEMAS:
        declared.define(schema)
    return declared
