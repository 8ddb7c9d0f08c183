"""Tensors from a file of torch.save, without running anything in it: Lightning's checkpoints, whole pickled modules.

Such a file is a zip archive: `NAME/data.pkl` is a pickle of the whole object, in which each tensor is a call of
torch._utils._rebuild_tensor_v2 with a storage's key, offset, shape and strides; `NAME/data/KEY` are a storage's bytes.
A pickle may name any function of any module. Here nothing is imported: what describes tensors is known, and every
other name, of trainers, optimisers and settings, becomes a placeholder that does nothing but keep the attributes it is
given, among which are the tensors of a module. Storages are read only for tensors that are asked for, so the
optimiser's, often three times the network's, stay where they are.
Source: torch/serialization.py, torch/_utils.py and torch/nn/modules/module.py of PyTorch 1.6 to 2.13.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}
_GARBLED = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, EOFError, MemoryError, ImportError),
    *(ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
)
"""What unpickling arbitrary bytes may raise, and rebuilding tensors from what came out."""


class CheckpointBroken(ValueError):
    """A checkpoint that is no whole file of torch.save, or has no state_dict of plain tensors."""


def read_state_dict(path: Path, prefix: str = "", keys: tuple[str, ...] = ("state_dict",)) -> dict[str, Tensor]:
    """Those tensors of a checkpoint whose names begin with `prefix`, by the rest of the name.

    The tensors are a dict's, or a pickled module's, which get the names that its state_dict() would give them: that of
    the first of `keys` that the checkpoint has anything under, or the whole file's if there are no `keys`. On the CPU,
    in the type they were saved in. Raises CheckpointBroken, OSError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root = next(name for name in archive.namelist() if name.endswith("data.pkl")).removesuffix("data.pkl")
            found = _Unpickler(io.BytesIO(_read(archive, f"{root}data.pkl"))).load()
            if keys:
                found = _first(found, keys)
            named = _module_tensors(found) if isinstance(found, _Placeholder) else found.items()
            tensors = {
                name.removeprefix(prefix): tensor.read(archive, root)
                for name, tensor in named
                if name.startswith(prefix) and isinstance(tensor, _Stored)
            }
    except StopIteration:
        raise CheckpointBroken(f"{path} is a zip archive, but none of torch.save") from None
    except _GARBLED as error:
        raise CheckpointBroken(
            f"{path} is no whole checkpoint of torch.save ({type(error).__name__}: {error}); fetch it again"
        ) from None
    return tensors


@dataclass(frozen=True)
class _Stored:
    """A tensor in the archive: `count` numbers under `key`, looked at with an offset and strides, all in elements."""

    dtype: torch.dtype
    key: str
    count: int
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, archive: zipfile.ZipFile, root: str) -> Tensor:
        data = _read(archive, f"{root}data/{self.key}")
        flat = torch.frombuffer(bytearray(data), dtype=self.dtype, count=self.count)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        smallest = min(self.offset, *self.shape, *self.strides, 0)
        if smallest < 0 or last >= self.count or math.prod(self.shape) > self.count:
            raise ValueError(f"a tensor of {self.shape} does not fit the {self.count} numbers of its storage")
        return flat.as_strided(self.shape, self.strides, self.offset).clone()


class _Placeholder:
    """Stands for any class, function or what they make; takes all that a pickle may do to it, and does nothing."""

    attributes: object = None

    def __init__(self, *_: object) -> None: ...

    def __call__(self, *_: object) -> _Placeholder:
        return self

    def __setstate__(self, attributes: object) -> None:
        self.attributes = attributes

    def _ignore(self, *_: object) -> None: ...

    __setitem__ = append = extend = add = _ignore


def _first(found: dict, keys: tuple[str, ...]) -> Any:
    """What lies under the first key that has anything."""
    for key in keys:
        if found.get(key) is not None:
            return found[key]
    raise ValueError(f"it holds no {' or '.join(keys)}")


def _module_tensors(module: _Placeholder, prefix: str = "") -> Iterator[tuple[str, object]]:
    """What state_dict() of a pickled torch.nn.Module would hold, from the dicts among its attributes."""
    parts: Any = module.attributes
    for name, tensor in (*parts["_parameters"].items(), *parts["_buffers"].items()):
        if name not in parts["_non_persistent_buffers_set"]:
            yield prefix + name, tensor
    for name, child in parts["_modules"].items():
        if child is not None:
            yield from _module_tensors(child, f"{prefix}{name}.")


class _Unpickler(pickle.Unpickler):
    """Never imports: `find_class`, through which a pickle gets at everything it may call, knows only tensors."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("builtins", "set"): set,
            ("__builtin__", "set"): set,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
        }
        return known.get((module, name), _Placeholder)

    def persistent_load(self, pid: Any) -> Any:
        """("storage", its type, key, device, number of elements) → what `_tensor` gets as its storage."""
        _, dtype, key, _, count = pid
        return dtype, key, count

    def _tensor(self, storage: Any, offset: int, shape: Any, strides: Any, *_: object) -> object:
        dtype, key, count = storage
        return _Stored(dtype, key, count, offset, tuple(shape), tuple(strides))

    def _parameter(self, data: object, *_: object) -> object:
        return data


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member's bytes. torch.save compresses nothing, so what is larger than its place in the file is a trap."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed, which torch.save never does")
    return archive.read(info)
