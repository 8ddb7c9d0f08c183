"""run.json, which describes the run of a results folder: its form, reading it, and joining two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from objascale.dataset import differences
from objascale.validation import describe_errors, in_one_line, parse_json

RESULTS_SCHEMA = 3
_RESTORE = "restore the file, or measure again into a new folder"


class ResultsError(RuntimeError):
    """A results folder cannot be written, is damaged, or holds results of another run."""


class _Card(BaseModel):
    name: str
    settings: dict[str, Any]


class _Benchmark(BaseModel):
    name: str
    version: int
    sha256: str


class _Dataset(BaseModel):
    name: str
    path: str
    benchmark: _Benchmark | None = None


class _Run(BaseModel):
    """The values that `bench` reads again, of any schema."""

    model_config = ConfigDict(strict=True)

    schema_: int = Field(alias="schema")
    created: str
    dataset: _Dataset
    models: list[_Card]
    prompt: dict[str, Any]
    environment: dict[str, Any]
    exif: str = "stored"


class _RunOfThisSchema(_Run):
    noise: list[float]


def read_run(folder: Path) -> dict[str, Any]:
    """Read run.json. Raises ResultsError if it is missing or damaged."""
    path = folder / "run.json"
    try:
        run = parse_json(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ResultsError(f"{folder} holds no results: {path} is missing") from error
    except ValueError as error:
        raise ResultsError(f"{path} is damaged ({in_one_line(error)}); {_RESTORE}") from error
    if faults := _faults(run):
        raise ResultsError(f"{path} is damaged ({faults}); {_RESTORE}")
    return run


def join_runs(present: dict[str, Any], run: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Join the contents of two run.json files.

    Args:
        present: Content of the run.json in `folder`.
        run: Content of the other one.
        folder: Results folder, for the message.

    Returns:
        The content with the models and noise levels of both.

    Raises:
        ResultsError: The settings of the runs, or of a model in both, differ.
    """
    models = {_card_key(card): card for card in present["models"]}
    changed = differences(_identity(present), _identity(run))
    for card in run["models"]:
        changed += differences(models.get(_card_key(card), card), card, card["name"])
    if changed:
        raise ResultsError(
            f"{folder} was made with other settings ({'; '.join(changed)}); "
            "give the old settings to continue it, or a new folder with --out"
        )
    models.update((_card_key(card), card) for card in run["models"])
    return {
        **{key: present[key] for key in ("merged",) if key in present},
        **run,
        "created": present["created"],
        "noise": sorted({*present["noise"], *run["noise"]}),
        "left_out": sorted({*present.get("left_out", ()), *run.get("left_out", ())}),
        "models": list(models.values()),
    }


def _identity(run: dict[str, Any]) -> dict[str, Any]:
    exif = run.get("exif", "stored")  # folders written before --exif existed used stored pixels
    return {
        "schema": run["schema"],
        "data set": run["dataset"]["name"],
        "benchmark": run["dataset"].get("benchmark"),  # the version of a frozen benchmark, else none
        "prompt": run["prompt"],
        "exif": exif,
        "ignore band": run.get("ignore_band", False),  # folders written before --ignore-band existed count it
    }


def _card_key(card: dict[str, Any]) -> tuple[str, int | None]:
    """Models with the same name may only differ in the number of patches."""
    return card["name"], card["settings"].get("tokens")


def _faults(content: Any) -> str:
    """Return which values of a run.json are missing or have another type; empty if none.

    A run of another schema needs only the values that tell it apart.
    """
    this = isinstance(content, dict) and content.get("schema") == RESULTS_SCHEMA
    try:
        (_RunOfThisSchema if this else _Run).model_validate(content)
    except ValidationError as error:
        return describe_errors(error)
    return ""
