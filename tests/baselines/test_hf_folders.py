"""Folders of `transformers` from strangers: only safetensors are read, no code runs, and errors are one sentence."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from baselines import registry
from baselines.hf.folder import shards, weights_files
from baselines.hf.hub import Repository
from baselines.hf_models import HF_MODELS, hf_model, split_variant
from baselines.model import UnknownModel
from baselines.segmenter import ModelUnavailable, Options
from flip.weights import WeightsMissing


@pytest.fixture
def folder(tiny_hf: Callable[[str], Path], tmp_path: Path) -> Path:
    """A folder of a tiny SAM 2, which the test may change."""
    return shutil.copytree(tiny_hf("sam2"), tmp_path / "tiny")


def load(folder: Path) -> Any:
    model = registry.find_model(f"hf:{folder}")
    return registry.load(model, registry.find_all_weights([model], None)[model.name], Options("cpu"))


def change(folder: Path, **values: Any) -> None:
    """Change top-level values of config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# ---- names


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hf:owner/name", ("hf:owner/name", "")),
        ("hf:owner/name@crop", ("hf:owner/name", "crop")),
        ("hf:owner/name@v1.0@crop=3", ("hf:owner/name@v1.0", "crop=3")),
        ("hf:owner/name@refs/pr/1", ("hf:owner/name@refs/pr/1", "")),
        ("hf:/home/me@work/tiny@crop", ("hf:/home/me@work/tiny", "crop")),
        ("hf:", ("", "")),
        ("hf:@crop", ("", "")),
        ("hf:@main", ("", "")),
    ],
)
def test_a_name_is_split_from_its_crop(name: str, parts: tuple[str, str]) -> None:
    assert split_variant(name) == parts


def test_a_folder_is_a_model_by_name(folder: Path) -> None:
    model = load(folder)
    card = model.describe()
    assert (card.name, card.family, card.weights) == (f"hf:{folder}", "SAM 2 (transformers)", "model.safetensors")
    assert "revision" not in card.settings


def test_a_folder_whose_name_has_an_at_sign_is_a_model(folder: Path) -> None:
    at = folder.rename(folder.parent / "tiny@home")
    (model,) = registry.find_models([f"hf:{at}@crop=3"])
    assert model.name == f"hf:{at}@crop=3"
    assert registry.find_all_weights([model], None)[model.name] == (at / "model.safetensors",)
    assert registry.load(model, (at / "model.safetensors",), Options("cpu")).describe().settings["crop"] == 3


def test_a_model_travels_to_another_process(folder: Path) -> None:
    model = registry.find_model(f"hf:{folder}@crop")
    assert pickle.loads(pickle.dumps(model)).name == model.name


@pytest.mark.parametrize("name", ["hf:", "hf:@crop", "hf:@main"])
def test_a_name_without_repository_is_unknown(name: str) -> None:
    with pytest.raises(UnknownModel, match="names no repository and no folder; write hf:OWNER/NAME or hf:FOLDER"):
        registry.find_models([name])


def test_a_repository_of_the_table_has_its_licence_and_training_data() -> None:
    for row in HF_MODELS:
        assert row.repository is not None
        same = hf_model(f"hf:{row.repository}")
        assert (same.licence, same.training, same.family) == (row.licence, row.training, row.family)
    other = hf_model("hf:facebook/sam2.1-hiera-tiny@refs/pr/1")  # of which nobody knows what it learned from
    assert (other.training.complete, other.training.datasets) == (False, ())
    assert other.licence == "see huggingface.co/facebook/sam2.1-hiera-tiny"


# ---- files that are missing or damaged


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("config.json", r"tiny has no config\.json, so transformers cannot load it"),
        ("model.safetensors", r"tiny has no weights; save the model as model\.safetensors"),
        ("processor_config.json", r"tiny has no preprocessor_config\.json; save the processor"),
    ],
)
def test_the_error_names_a_missing_file(folder: Path, name: str, sentence: str) -> None:
    (folder / name).unlink()
    with pytest.raises(WeightsMissing, match=sentence):
        load(folder)


def test_the_error_names_a_missing_folder_and_a_revision_of_a_folder(folder: Path) -> None:
    with pytest.raises(WeightsMissing, match="there is no folder /nowhere/tiny"):
        Repository("/nowhere/tiny").find("x")
    with pytest.raises(WeightsMissing, match="is a folder, which has no revision v1; omit @REVISION"):
        registry.find_all_weights([registry.find_model(f"hf:{folder}@v1")], None)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b'"sam2"'])
def test_the_error_names_a_damaged_configuration(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(WeightsMissing, match=r"config\.json is damaged"):
        load(folder)


@pytest.mark.parametrize("kind", ["bert", None, ["sam"], "sam3_lite_text"])
def test_another_kind_of_model_is_refused(folder: Path, kind: Any) -> None:
    change(folder, model_type=kind)
    with pytest.raises(WeightsMissing, match=r"is no promptable segmenter: its model_type is .* not one of sam, "):
        load(folder)


@pytest.mark.parametrize("values", [{"vision_config": 3}, {"mask_decoder_config": {"hidden_size": "wide"}}])
def test_a_configuration_that_transformers_refuses_is_one_sentence(folder: Path, values: dict[str, Any]) -> None:
    change(folder, **values)
    with pytest.raises(ModelUnavailable, match=r"^transformers cannot load .*tiny: [^\n]*; fetch its files again$"):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff" * 100, b"version https://git-lfs.github.com/spec/v1"])
def test_damaged_weights_are_one_sentence(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"^transformers cannot load .*tiny: [^\n]*; fetch its files again$"):
        load(folder)


def test_a_network_with_missing_tensors_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    del state["mask_decoder.iou_token.weight"]
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"lacks 1 of the network's tensors, such as mask_decoder\.iou_token"):
        load(folder)


def test_tensors_of_another_shape_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    state["mask_decoder.iou_token.weight"] = torch.zeros(1, 31)
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"^transformers cannot load [^\n]*$"):
        load(folder)


# ---- files that run code, or read other files


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_pickled_weights_are_not_read(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"a": Evil(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsMissing, match=r"has only pytorch_model\.bin, which can run code when it is read; save"):
        load(folder)
    assert not (tmp_path / "ran").exists()


def test_python_files_of_the_folder_are_not_run(folder: Path, tmp_path: Path) -> None:
    code = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    (folder / "evil.py").write_text(code)
    change(folder, auto_map=dict.fromkeys(("AutoConfig", "AutoModel", "AutoModelForMaskGeneration"), "evil.Model"))
    processor = folder / "processor_config.json"
    processor.write_text(json.dumps(json.loads(processor.read_text()) | {"auto_map": {"AutoProcessor": "evil.P"}}))
    load(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("backbone", "sentence"),
    [
        ({"model_type": "timm_backbone", "backbone": "resnet18"}, "image encoder of the type 'timm_backbone'"),
        ({"model_type": "timm_wrapper", "architecture": "hf-hub:a/b"}, "image encoder that reads files of its own"),
        ({"model_type": "timm_wrapper", "architecture": "local-dir:/etc"}, "reads files of its own"),
        (
            {"model_type": "timm_wrapper", "architecture": "repvit_m1", "model_args": {"checkpoint_path": "/x.pth"}},
            "reads files of its own",
        ),
        ({"model_type": "timm_wrapper", "model_args": [1]}, "reads files of its own"),
    ],
)
def test_an_image_encoder_with_files_of_its_own_is_refused(folder: Path, backbone: Any, sentence: str) -> None:
    vision = json.loads((folder / "config.json").read_text())["vision_config"]
    change(folder, vision_config=vision | {"backbone_config": backbone})
    with pytest.raises(WeightsMissing, match=sentence):
        load(folder)


# ---- weights in several files


def test_weights_in_several_files_are_all_in_the_card(folder: Path) -> None:
    whole = folder / "model.safetensors"
    state = load_file(whole)
    names = [f"model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    places = {key: names[number % 2] for number, key in enumerate(sorted(state))}
    for name in names:
        part = {key: tensor for key, tensor in state.items() if places[key] == name}
        save_file(part, folder / name, metadata={"format": "pt"})
    whole.unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    card = load(folder).describe()
    assert card.weights == ", ".join(names)
    assert len(card.weights_sha256.split(",")) == 2
    (folder / names[1]).unlink()
    with pytest.raises(WeightsMissing, match=r"lacks model-00002-of-00002\.safetensors, which model\.safetensors\.ind"):
        weights_files(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"weight_map": {}}',
        b'{"weight_map": {"a": 3}}',
        b'{"weight_map": {"a": "../b.safetensors"}}',
        b'{"weight_map": {"a": "/etc/b.safetensors"}}',
        b'{"weight_map": {"a": "b.bin"}}',
    ],
)
def test_an_index_names_safetensors_of_its_folder_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors.index.json").write_bytes(content)
    with pytest.raises(WeightsMissing, match=r"model\.safetensors\.index\.json is damaged .*; fetch it again"):
        shards(tmp_path / "model.safetensors.index.json")


# ---- packages


def test_an_error_names_a_missing_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelUnavailable, match=r"pip install 'objascale-suite\[hf\]'"):
        load(folder)


def test_loading_leaves_random_numbers_and_logging_as_they_are(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    logging.set_verbosity_warning()
    state, bars = torch.random.get_rng_state(), logging.is_progress_bar_enabled()
    load(folder)
    assert torch.equal(state, torch.random.get_rng_state())
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (logging.WARNING, bars)
    assert capfd.readouterr() == ("", "")


def test_rows_of_the_table_say_how_to_get_their_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for row in HF_MODELS:
        command = re.escape(f"run `bench fetch {row.name}`")
        with pytest.raises(WeightsMissing, match=f"the cache of the Hugging Face hub has no .*{command}"):
            registry.find_all_weights([row], None)
        with pytest.raises(ModelUnavailable, match=command):
            registry.load(row, None, Options("cpu"))
