"""The checkpoint reader reads all tensors and executes no code."""

from __future__ import annotations

import argparse
import collections
import contextlib
import enum
import functools
import io
import os
import pickle
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flip.lightning import CheckpointBroken, read_state_dict


class Colour(enum.Enum):
    RED = 1


class Options(dict):
    pass


class Items(list):
    pass


class Names(set):
    pass


class Call:
    """An object that is pickled as a call of `function`."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def saved(path: Path, state: object, **extras: object) -> Path:
    torch.save({"state_dict": state} | extras, path)
    return path


def repacked(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Copy an archive with each member changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, change(name, content))
    return path


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), max_size=4),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]),
    view=st.sampled_from(["whole", "transposed", "part"]),
    protocol=st.integers(2, 5),
)
def test_saved_tensors_are_read(
    shape: list[int], dtype: torch.dtype, view: str, protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tensor = (torch.arange(2 * int(np.prod(shape))).reshape(2, *shape) % 7).to(dtype)
    tensor = {"whole": tensor, "transposed": tensor.mT if tensor.ndim > 1 else tensor, "part": tensor[1]}[view]
    path = tmp_path_factory.getbasetemp() / "law.ckpt"
    state = {"a": tensor, "same": tensor, "learned": torch.nn.Parameter(torch.ones(3)), "note": "no tensor"}
    torch.save({"state_dict": state}, path, pickle_protocol=protocol)
    found = read_state_dict(path)
    assert found.keys() == {"a", "same", "learned"}
    assert found["a"].dtype == dtype
    assert torch.equal(found["a"], tensor)
    assert torch.equal(found["same"], tensor)
    assert torch.equal(found["learned"], torch.ones(3))


def test_other_objects_in_the_file_are_ignored(tmp_path: Path) -> None:
    extras = [
        argparse.Namespace(a=1),
        collections.defaultdict(list, a=[1]),
        collections.Counter("abc"),
        *(Options(a=1), Items([1, 2]), Names({1, 2}), {Colour.RED: 1}, frozenset({1})),
        *(np.float64(1.5), np.arange(3), np.dtype("f4"), np.random.default_rng(0)),
        *(tmp_path, functools.partial(print, 1), len, "abc".upper, collections.OrderedDict(a=1), 10**30, b"x"),
        torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1),
    ]
    for number, extra in enumerate(extras):
        path = saved(tmp_path / f"{number}.ckpt", {"w": torch.ones(2)}, hyper_parameters=extra)
        assert torch.equal(read_state_dict(path)["w"], torch.ones(2)), extra


def test_only_requested_tensors_are_read(tmp_path: Path) -> None:
    others = {"empty": torch.zeros(0), "bytes": torch.zeros(3, dtype=torch.uint8), "sparse": torch.eye(2).to_sparse()}
    path = saved(tmp_path / "mixed.ckpt", others | {"net.w": torch.ones(2)})
    assert read_state_dict(path, "net.").keys() == {"w"}


def test_objects_of_unknown_classes_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("authors_config")
    kind = type("Configuration", (), {"__module__": "authors_config"})
    module.Configuration = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "authors_config", module)
    path = saved(tmp_path / "m.ckpt", {"w": torch.ones(2)}, cfg=kind())
    monkeypatch.delitem(sys.modules, "authors_config")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    assert torch.equal(read_state_dict(path)["w"], torch.ones(2))


@pytest.mark.parametrize("where", ["beside", "inside", "instead"])
@pytest.mark.parametrize("how", ["os.system", "subprocess", "exec", "getattr"])
def test_no_code_of_a_checkpoint_is_executed(where: str, how: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    attack = {
        "os.system": Call(os.system, f"touch {marker}"),
        "subprocess": Call(subprocess.call, ["touch", str(marker)]),
        "exec": Call(exec, f"open({str(marker)!r}, 'w').close()"),
        "getattr": Call(marker.touch),  # pickled as a call of getattr
    }[how]
    good = {"w": torch.ones(2)}
    path = tmp_path / "evil.ckpt"
    torch.save(
        {
            "beside": {"callbacks": attack, "state_dict": good},
            "inside": {"state_dict": good | {"evil": attack}},
            "instead": attack,
        }[where],
        path,
    )
    torch.load(path, weights_only=False)
    assert marker.exists()  # the attack is a real one
    marker.unlink()
    if where == "instead":
        with pytest.raises(CheckpointBroken, match=r"evil\.ckpt"):
            read_state_dict(path)
    else:
        assert read_state_dict(path).keys() == {"w"}
    assert not marker.exists()


class Block(torch.nn.Module):
    def __init__(self, evil: object = None) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(3)
        self.act = torch.nn.SiLU()
        self.absent = None
        self.steps = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1, bias=False), torch.nn.Linear(2, 2))
        self.register_buffer("scratch", torch.ones(5), persistent=False)
        self.register_parameter("missing", None)
        self.evil = evil


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("half", [False, True])
def test_a_pickled_module_is_read(tmp_path: Path, protocol: int, half: bool) -> None:
    module = Block().half() if half else Block()
    path = tmp_path / "m.pt"
    torch.save({"ema": None, "model": module, "optimizer": None}, path, pickle_protocol=protocol)
    found = read_state_dict(path, keys=("ema", "model"))
    assert found.keys() == module.state_dict().keys()
    for name, tensor in module.state_dict().items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    torch.save(module, path, pickle_protocol=protocol)
    assert read_state_dict(path, "steps.", keys=()).keys() == {"0.weight", "1.weight", "1.bias"}


def test_no_code_of_a_pickled_module_is_executed(tmp_path: Path) -> None:
    marker, path = tmp_path / "marker", tmp_path / "evil.pt"
    torch.save({"model": Block(Call(os.system, f"touch {marker}"))}, path)
    torch.load(path, weights_only=False)
    assert marker.exists()  # the attack is a real one
    marker.unlink()
    assert read_state_dict(path, keys=("model",)).keys() == Block().state_dict().keys()
    assert not marker.exists()


def test_a_checkpoint_without_the_keys_is_an_error(tmp_path: Path) -> None:
    torch.save({"model": None, "epoch": 3}, tmp_path / "none.pt")
    with pytest.raises(CheckpointBroken, match=r"none\.pt .*it holds no ema or model"):
        read_state_dict(tmp_path / "none.pt", keys=("ema", "model"))
    torch.save({"model": argparse.Namespace(a=1)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointBroken, match=r"other\.pt"):
        read_state_dict(tmp_path / "other.pt", keys=("model",))


def test_attributes_of_known_objects_cannot_be_set(tmp_path: Path) -> None:
    """The opcode BUILD is applied to the classes and functions themselves."""
    names = ["collections\nOrderedDict", "torch._utils\n_rebuild_tensor_v2", "torch\nFloatStorage", "any\nthing"]
    path = tmp_path / "build.ckpt"
    for name in names:
        for state in (b"}X\x05\x00\x00\x00callsK\x01s", b"N}X\x05\x00\x00\x00callsK\x01s\x86"):
            saved(path, {"w": torch.ones(2)})
            prelude = b"\x80\x02c" + name.encode() + b"\n" + state + b"b0"
            repacked(path, lambda member, old, prelude=prelude: prelude + old[2:] if member.endswith("pkl") else old)
            with contextlib.suppress(CheckpointBroken):
                read_state_dict(path)
            assert torch.equal(read_state_dict(saved(path, {"w": torch.ones(2)}))["w"], torch.ones(2))
    assert not hasattr(collections.OrderedDict, "calls")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_an_error_names_a_damaged_pickle(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = saved(tmp_path_factory.getbasetemp() / "spoilt.ckpt", {"w": torch.ones(2, 3)}, lr=0.5, options=Options(a=1))

    def spoil(name: str, content: bytes) -> bytes:
        if not name.endswith("data.pkl"):
            return content
        place = data.draw(st.integers(0, len(content) - 1))
        return content[:place] + data.draw(st.binary(max_size=3)) + content[place + data.draw(st.integers(0, 2)) :]

    repacked(path, spoil)
    before = set(sys.modules)
    with contextlib.suppress(CheckpointBroken):
        assert all(isinstance(tensor, torch.Tensor) for tensor in read_state_dict(path).values())
    assert set(sys.modules) == before


def test_files_that_would_exhaust_the_memory_are_refused(tmp_path: Path) -> None:
    wide = saved(tmp_path / "wide.ckpt", {"w": torch.zeros(1).expand(10**12)})
    with pytest.raises(CheckpointBroken, match="does not fit the 1 numbers"):
        read_state_dict(wide)
    packed = repacked(saved(tmp_path / "packed.ckpt", {"w": torch.zeros(9)}), lambda _, old: old, zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointBroken, match="compressed"):
        read_state_dict(packed)


def test_a_tensor_beyond_its_storage_is_an_error(tmp_path: Path) -> None:
    path = saved(tmp_path / "short.ckpt", {"w": torch.zeros(9)})
    repacked(path, lambda name, old: old[:-4] if "/data/" in name else old)
    with pytest.raises(CheckpointBroken, match=r"short\.ckpt"):
        read_state_dict(path)


def test_other_archives_are_an_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.ckpt", "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(CheckpointBroken, match=r"z\.ckpt is a zip archive, but not one of torch\.save"):
        read_state_dict(tmp_path / "z.ckpt")
    torch.save([torch.zeros(1)], tmp_path / "list.ckpt")
    with pytest.raises(CheckpointBroken, match=r"list\.ckpt is not a complete file of torch"):
        read_state_dict(tmp_path / "list.ckpt")
    buffer = io.BytesIO()
    torch.save({"state_dict": {}}, buffer, _use_new_zipfile_serialization=False)
    (tmp_path / "old.ckpt").write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointBroken, match=r"old\.ckpt is not a complete file of torch"):
        read_state_dict(tmp_path / "old.ckpt")
