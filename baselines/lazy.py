"""Libraries that are imported on first use, so that `bench models` does not wait for PyTorch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["LazyModule", "onnxruntime", "torch"]


class LazyModule:
    """A module that is imported when one of its attributes is first read.

    Args:
        name: The full name, such as "torch".
        importing: A context manager to import it in.
    """

    __slots__ = ("_importing", "_name")

    def __init__(self, name: str, importing: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self._name, self._importing = name, importing

    def __getattr__(self, attribute: str) -> Any:
        if self._name not in sys.modules:
            with self._importing():
                import_module(self._name)
        return getattr(import_module(self._name), attribute)


if TYPE_CHECKING:
    import onnxruntime
    import torch
else:
    onnxruntime = LazyModule("onnxruntime")
    torch = LazyModule("torch")
