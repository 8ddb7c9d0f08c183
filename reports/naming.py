"""Names of series: the model, and the settings in which its variants differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import pandas as pd

from bench.choices import PROTOCOLS
from bench.prompts import PromptSettings, settings_hash

VARIANT = ["prompt_source", "noise", "tokens", "weights_sha256", "settings"]


def settings_by_hash(run: dict[str, Any]) -> dict[str, str]:
    """Return the settings that decide a run's masks as JSON, by `settings_hash`.

    Weights, images and the noise level have columns of their own and are left out, as is the device. The seed counts
    only with noise.
    """
    prompt = run.get("prompt", {})
    found = {}
    for card in run.get("models", []):
        settings = card.get("settings", {})
        kept = {name: value for name, value in settings.items() if name != "device"}
        for noise in run.get("noise", []):
            boxes = prompt.get("detections_sha256", "")
            used = PromptSettings(prompt.get("source"), noise, prompt.get("seed"), detections_sha256=boxes)
            of_prompt = {"seed of noise": used.seed} if noise else {"detections": boxes[:8]} if boxes else {}
            found[settings_hash(settings, used)] = json.dumps(kept | of_prompt, sort_keys=True)
    return found


def known_settings(text: str) -> dict[str, Any] | None:
    """Parse the `settings` of a results row; None if the row has only a hash."""
    return json.loads(text) if text.startswith("{") else None


def prompt_sources(rows: pd.DataFrame) -> pd.Series:
    """Return the prompt source of each row, "matched" also where the source is the model's own kind of prompt."""
    kinds = rows.groupby(["folder", "model", "weights_sha256", "settings_hash"], dropna=False)["prompt"]
    own_kind = (kinds.transform("first") == rows["prompt_source"]) & ~rows["prompt_source"].isin(PROTOCOLS)
    return rows["prompt_source"].mask(own_kind, "matched")


def variant_names(rows: pd.DataFrame, fields: Sequence[str]) -> pd.Series:
    """Return a name per row: the model, and each of `fields` (a part of VARIANT) in which its variants differ.

    Settings are named only where no other field distinguishes two variants on one data set.
    """
    names: pd.Series = rows["model"].astype(object)
    for model, group in rows.groupby("model", sort=False):
        others = [field for field in fields if field != "settings"]
        varying = [field for field in others if group[field].nunique(dropna=False) > 1]
        words: dict[object, str] = {}
        variants = group.groupby(["dataset", *varying], dropna=False)
        if "settings" in fields and (variants["settings"].nunique() > 1).any():
            varying.append("settings")
            words = _settings_in_words(group["settings"].unique())
        for values, same in group.groupby(varying, sort=False, dropna=False) if varying else ():
            listed = (
                words.get(value) or _field_words(field, value) for field, value in zip(varying, values, strict=True)
            )
            names[same.index] = f"{model}: {', '.join(listed)}"
    return names.where(~rows["untrained"].astype(bool), names + " (untrained)")


def _settings_in_words(several: Iterable[str]) -> dict[object, str]:
    """Describe each of several settings by the values in which they differ; unknown settings by their hash."""
    several = list(several)
    known = {text: settings for text in several if (settings := known_settings(text)) is not None}
    every = sorted({name for settings in known.values() for name in settings} - {"tokens"})
    differing = [name for name in every if len({repr(settings.get(name)) for settings in known.values()}) > 1]
    words: dict[object, str] = {}
    for text in several:
        listed = [f"{name} {known[text].get(name, 'unset')}" for name in differing] if text in known else []
        digest = hashlib.sha256(text.encode()).hexdigest() if text in known else text
        words[text] = ", ".join(listed) or f"settings {digest[:8]}"
    return words


def _field_words(field: str, value: object) -> str:
    if field == "weights_sha256":
        return f"weights {str(value)[:8]}" if value else "no weights"
    if field == "tokens":
        return "no tokens" if pd.isna(value) else f"{int(value)} tokens"  # type: ignore[call-overload]
    return f"noise {value:g}" if field == "noise" else f"{value} prompts"


def nearest(name: str, names: Iterable[str], listed: Iterable[str]) -> str:
    """Return the end of an error message about an unknown name: similar names, or those of `listed`."""
    near = get_close_matches(name, list(names), 3)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(listed)}"
