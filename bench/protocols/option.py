"""The option `--prompt` of `bench run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from baselines.model import Model
from bench.choices import PROTOCOLS, SOURCES
from bench.prompts import PromptSettings
from bench.protocols.detections import detector_settings
from bench.selection import SelectionError


def parse_prompt(text: str, levels: Sequence[float], seed: int) -> list[PromptSettings]:
    """Return the prompt settings of a run, one for each level of noise.

    Args:
        text: A source of prompts, or detector:FILE.
        levels: Levels of noise.
        seed: Seed of the noise.

    Raises:
        SelectionError: The source is unknown, its file cannot be read, or it takes no noise.
    """
    name, _, file = text.partition(":")
    source = next((each for each in SOURCES if each == name), None)
    if source is None or (file and source != "detector"):
        raise SelectionError(f"--prompt {text}: there are {', '.join(SOURCES[:-1])} and detector:FILE")
    if source in PROTOCOLS and any(levels):
        raise SelectionError(
            f"--noise displaces prompts that are made from the true mask, not --prompt {name}; omit it"
        )
    if source == "detector":
        if not file:
            raise SelectionError("--prompt detector needs a file of boxes: --prompt detector:FILE")
        return [detector_settings(Path(file), seed)]
    return [PromptSettings(source, level, seed) for level in levels]


def with_clicks(models: Sequence[Model]) -> tuple[list[Model], list[str]]:
    """Return the models that take clicks, and the names of the others.

    Raises:
        SelectionError: No model takes clicks.
    """
    able = [model for model in models if "clicks" in model.prompts]
    left_out = [model.name for model in models if model not in able]
    if not able:
        raise SelectionError(
            f"{', '.join(left_out)}: no model takes clicks, so --prompt clicks has nothing to measure; `bench models` "
            "lists the prompts of each model"
        )
    return able, left_out


def describe_left_out(names: Sequence[str]) -> str:
    """Return the sentence about models that `with_clicks` left out."""
    return f"without {', '.join(names)}: no clicks are among their kinds of prompts"
