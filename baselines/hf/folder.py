"""Folders of `transformers`: config.json, weights in safetensors and the settings of a processor.

A folder comes from a stranger. Its pickled weights, its Python files and backbones that read other files are not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from baselines.hf.architectures import ARCHITECTURES
from flip.weights import WeightsMissing
from objascale.validation import in_one_line, parse_json

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = "model-*-of-*.safetensors"
PROCESSORS = ("preprocessor_config.json", "processor_config.json")

BACKBONES = frozenset(
    {
        *("sam_vision_model", "sam_hq_vision_model", "sam2_vision_model", "sam2_hiera_det_model"),
        *("edgetam_vision_model", "timm_wrapper", "sam3_vision_model", "sam3_vit_model"),
    }
)
"""Values of `model_type` of image encoders. `transformers` builds these from config.json alone."""


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json of a promptable segmenter.

    Raises:
        WeightsMissing: The file is missing or damaged, describes another kind of model, or a backbone that reads
            files of its own.
    """
    path = folder / CONFIG
    try:
        config = parse_json(path.read_bytes())
        kind = config.get("model_type")
    except FileNotFoundError:
        raise WeightsMissing(
            f"{folder} has no {CONFIG}, so transformers cannot load it; give a folder of `save_pretrained`"
        ) from None
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsMissing(f"{path} is damaged ({in_one_line(error)}); fetch it again") from error
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        raise WeightsMissing(
            f"{folder} is no promptable segmenter: its model_type is {kind!r}, not one of {', '.join(ARCHITECTURES)}"
        )
    for encoder in _encoders(config):
        if fault := _fault(encoder):
            raise WeightsMissing(f"{path} {fault}; such a model is not loaded")
    return config


def weights_files(folder: Path) -> tuple[Path, ...]:
    """Return the weights files of a folder, whose config.json and processor are there too.

    Raises:
        WeightsMissing: `read_config` fails, a file is missing, or the weights are not in safetensors.
    """
    read_config(folder)
    names = shards(folder / INDEX) if (folder / INDEX).is_file() else [WEIGHTS]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing == [WEIGHTS]:
        pickled = next((path.name for path in sorted(folder.glob("*.bin"))), None)
        found = f"only {pickled}, which can run code when it is read" if pickled else "no weights"
        raise WeightsMissing(f"{folder} has {found}; save the model as {WEIGHTS} with `save_pretrained`")
    if missing:
        raise WeightsMissing(f"{folder} lacks {missing[0]}, which {INDEX} names; fetch it again")
    if not any((folder / name).is_file() for name in PROCESSORS):
        raise WeightsMissing(f"{folder} has no {PROCESSORS[0]}; save the processor with `save_pretrained` too")
    return tuple(folder / name for name in names)


def shards(index: Path) -> list[str]:
    """Return the names of the weights files that an index lists. Raises WeightsMissing if it is damaged."""
    try:
        names = sorted(set(parse_json(index.read_bytes())["weight_map"].values()))
        if not names or any(Path(name).name != name or not name.endswith(".safetensors") for name in names):
            raise ValueError("it names a file that is not in safetensors, or outside the folder")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsMissing(f"{index} is damaged ({in_one_line(error)}); fetch it again") from error
    return names


def commit_of(folder: Path) -> str | None:
    """Return the commit of a snapshot in the cache of the Hugging Face hub; None for another folder."""
    return folder.name if folder.parent.name == "snapshots" else None


def _encoders(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the descriptions of image encoders in a configuration."""
    children = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in children:
        if key in ("vision_config", "backbone_config") and isinstance(value, dict):
            yield value
        yield from _encoders(value)


def _fault(encoder: dict[str, Any]) -> str:
    """Return what is wrong with the description of an image encoder, or ""."""
    kind = encoder.get("model_type")
    if kind is not None and str(kind) not in BACKBONES:
        return f"has an image encoder of the type {kind!r}, which may read files of its own"
    arguments = encoder.get("model_args") or {}
    architecture = str(encoder.get("architecture", ""))
    if set(":/") & set(architecture) or not isinstance(arguments, dict) or "checkpoint_path" in arguments:
        return "has an image encoder that reads files of its own"
    return ""
