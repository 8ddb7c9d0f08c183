"""What a training run is: a TOML file, checked. `flip/training/recipes/` has those that come with the package."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from flip.model import CONFIGS
from flip.training.losses import Unit

Precision = Literal["float32", "bfloat16"]
RECIPES = Path(__file__).parent / "recipes"


class TrainingError(ValueError):
    """A training run that cannot begin or go on, with a sentence that says why and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Phase(_Part):
    """A stretch of the schedule: `steps` with so many input and output patches on average, maybe at half resolution."""

    steps: PositiveInt
    tokens: int = Field(ge=4)
    outputs: int = Field(ge=8)
    half: bool = False


class Optimiser(_Part):
    """AdamW: the rate rises over `warmup` steps, stays, and falls to 0 in the last share `cooldown` of all steps.

    As nothing before the fall depends on when it begins, a run that has not come to it may be made longer.
    """

    rate: PositiveFloat
    cooldown: float = Field(default=0.2, gt=0, le=1)
    decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: int = Field(default=1000, ge=0)
    clip: PositiveFloat = 1.0
    ema: float = Field(default=0.9995, ge=0, lt=1)


class Weights(_Part):
    """λ_pos and λ_bbox of section 3.5, and the unit of length of these two losses (`flip.training.losses`)."""

    position: float = Field(default=0.1, ge=0)
    box: float = Field(default=0.05, ge=0)
    unit: Unit = "object"


class Config(_Part):
    """A training run. A batch has `scenes` pictures with `masks` prompts each, over all processes together.

    `sampling`: patches as section 3.1 has them, or as in the authors' released code (`flip.sampler.RECIPES`).
    """

    model: Literal["flip-s", "flip-m", "flip-l"]
    scenes: PositiveInt
    masks: PositiveInt
    phases: tuple[Phase, ...] = Field(min_length=1)
    optimiser: Optimiser
    losses: Weights = Weights()
    sampling: Literal["paper", "released"] = "paper"
    seed: int = Field(default=0, ge=0)
    validate_every: PositiveInt = 5000
    save_every: PositiveInt = 1000

    @property
    def steps(self) -> int:
        """Of all phases."""
        return sum(phase.steps for phase in self.phases)

    def phase(self, step: int) -> Phase:
        """The phase of a step, counted from 0."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        raise IndexError("there is no such step")


def read_config(name: str) -> Config:
    """The run described by a TOML file, or by one that comes with the package, called by its name.

    `flip-s`, `-m`, `-l` follow the paper; `flip-s-compositions` is how the weights in this package were made (-m, -l
    likewise). Raises TrainingError for a file that is missing, is no TOML, or says something that is not understood.
    """
    path = Path(name)
    given: dict = {}
    if path.suffix != ".toml":
        model = name.removesuffix("-compositions")
        if model not in CONFIGS:
            known = [shipped for model in CONFIGS for shipped in (model, f"{model}-compositions")]
            raise TrainingError(f"there is no configuration {name}: there are {', '.join(known)}, or give a .toml file")
        path, given = RECIPES / ("paper.toml" if model == name else "compositions.toml"), {"model": model}
    try:
        return Config(**{**tomllib.loads(path.read_text(encoding="utf-8")), **given})
    except FileNotFoundError:
        raise TrainingError(f"there is no configuration file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"{path} cannot be read as TOML ({error})") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise TrainingError(f"{path} is no training configuration: {wrong}") from None
