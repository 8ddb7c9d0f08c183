"""Read tensors from files of torch.save without executing code: Lightning checkpoints and pickled modules.

Such a file is a zip archive. `NAME/data.pkl` is a pickle of the object, in which each tensor is a call of
torch._utils._rebuild_tensor_v2 with a storage's key, offset, shape and strides. `NAME/data/KEY` has a storage's bytes.
A pickle may call any function of any module. This reader imports nothing: it knows the names that describe tensors.
Every other name, of trainers, optimisers and settings, becomes a placeholder, which only keeps its attributes. The
tensors of a pickled module are among them. Storages are read for the requested tensors only, so the optimiser's, often
three times the network's, are not.

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

from objascale.validation import in_one_line

# torch.load(weights_only=True) with placeholders as safe globals does not read all of these files: it refuses pickle
# protocol 4 ("Unsupported operand 149") and subclasses of list and dict.

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}
_READ_ERRORS = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, EOFError, MemoryError, ImportError, OSError),
    *(ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
)
"""Errors of unpickling arbitrary bytes, and of rebuilding tensors from the result."""


class CheckpointBroken(ValueError):
    """A file is not a complete file of torch.save, or has no state_dict of plain tensors."""


def read_state_dict(path: Path, prefix: str = "", keys: tuple[str, ...] = ("state_dict",)) -> dict[str, Tensor]:
    """Read tensors of a checkpoint by name.

    Args:
        path: A file of torch.save.
        prefix: Only tensors with this prefix are read. It is removed from their names.
        keys: Keys of the checkpoint. The first one with a value is read: a dict of tensors, or a pickled module. The
            whole file is read if `keys` is empty.

    Returns:
        Tensors on the CPU, in their own dtypes, by the names in the dict, or by those of the module's state_dict().

    Raises:
        CheckpointBroken: The file is not a complete file of torch.save, or holds none of `keys`.
        OSError: The file cannot be read.
    """
    path.stat()  # raises OSError for a missing file; below, one comes from a place outside the file
    try:
        with zipfile.ZipFile(path) as archive:
            root = next(name for name in archive.namelist() if name.endswith("data.pkl")).removesuffix("data.pkl")
            content = _Unpickler(io.BytesIO(_read(archive, f"{root}data.pkl"))).load()
            if keys:
                content = _first(content, keys)
            named = _module_tensors(content) if isinstance(content, _Placeholder) else content.items()
            tensors = {
                name.removeprefix(prefix): tensor.read(archive, root)
                for name, tensor in named
                if name.startswith(prefix) and isinstance(tensor, _Stored)
            }
    except StopIteration:
        raise CheckpointBroken(f"{path} is a zip archive, but not one of torch.save") from None
    except _READ_ERRORS as error:
        raise CheckpointBroken(
            f"{path} is not a complete file of torch.save ({in_one_line(error)}); fetch it again"
        ) from None
    return tensors


@dataclass(frozen=True)
class _Stored:
    """A tensor in the archive: a view of the `count` numbers of storage `key`; offset and strides are in elements."""

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
    """Stands for any class, function or instance. It accepts every operation of a pickle and does nothing."""

    attributes: object = None

    def __init__(self, *_: object) -> None: ...

    def __call__(self, *_: object) -> _Placeholder:
        return self

    def __setstate__(self, attributes: object) -> None:
        self.attributes = attributes

    def _ignore(self, *_: object) -> None: ...

    __setitem__ = append = extend = add = _ignore


def _first(content: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """Return the value of the first key that has one."""
    for key in keys:
        if content.get(key) is not None:
            return content[key]
    raise ValueError(f"it holds no {' or '.join(keys)}")


def _module_tensors(module: _Placeholder, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield the entries of a pickled torch.nn.Module's state_dict(), from its attributes."""
    parts: Any = module.attributes
    for name, tensor in (*parts["_parameters"].items(), *parts["_buffers"].items()):
        if name not in parts["_non_persistent_buffers_set"]:
            yield prefix + name, tensor
    for name, child in parts["_modules"].items():
        if child is not None:
            yield from _module_tensors(child, f"{prefix}{name}.")


class _Unpickler(pickle.Unpickler):
    """Imports nothing: `find_class`, which returns all that a pickle can call, knows only tensors."""

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
        """("storage", type, key, device, number of elements) → the `storage` of `_tensor`."""
        _, dtype, key, _, count = pid
        return dtype, key, count

    def _tensor(self, storage: Any, offset: int, shape: Any, strides: Any, *_: object) -> object:
        dtype, key, count = storage
        return _Stored(dtype, key, count, offset, tuple(shape), tuple(strides))

    def _parameter(self, data: object, *_: object) -> object:
        return data


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member's bytes. torch.save compresses nothing, and a compressed member could exhaust the memory."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed, which torch.save never does")
    return archive.read(info)
