"""What a training run is: a TOML file, checked. `flip/training/recipes/` has those that come with the package."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from flip.paper.model import PAPER_CONFIGS as PAPER
from flip.released.model import RELEASED_CONFIGS as RELEASED
from flip.training.losses import Unit

Precision = Literal["float32", "bfloat16"]
RECIPES = Path(__file__).parent / "recipes"

SHIPPED = {
    **{model: (model, "paper") for model in PAPER},
    **{f"{model}-compositions": (model, "compositions") for model in PAPER},
    **{model: (model, "released") for model in RELEASED},
}
"""What comes with the package: the model of each configuration, and its recipe."""

FEWEST_TOKENS, MOST_TOKENS = 32, 2048
"""Input patches that the released line is trained on."""


class TrainingError(ValueError):
    """A training run that cannot begin or go on, with a sentence that says why and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Phase(_Part):
    """A stretch of the schedule: `steps` with so many input and output patches on average, maybe at half resolution.

    For the released line `outputs` are the points of an object at which the mask is asked. `overlap` is the weight of a
    loss that is not the paper's, 1 − IoU of probabilities, for the paper's models; 0 is the paper's training.
    """

    steps: PositiveInt
    tokens: int = Field(ge=4)
    outputs: int = Field(ge=8)
    half: bool = False
    overlap: float = Field(default=0, ge=0)


class Optimiser(_Part):
    """The rate rises over `warmup` steps, stays, and falls to 0 in the last share `cooldown` of all steps.

    As nothing before the fall depends on when it begins, a run that has not come to it may be made longer.
    """

    name: Literal["adamw", "radam", "muon"] = "adamw"
    rate: PositiveFloat
    cooldown: float = Field(default=0.2, ge=0, le=1)
    decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: int = Field(default=1000, ge=0)
    clip: PositiveFloat = 1.0
    ema: float = Field(default=0.9995, ge=0, lt=1)


class Weights(_Part):
    """λ_pos and λ_bbox of section 3.5, and the unit of length of these two losses (`flip.training.losses`).

    `tokens` and `code` are the weights of two losses that are not the paper's: each encoded token has to tell how much
    of its patch is object, and the perceptual code where the object is, each through one linear layer. 0 is the
    paper's training.
    """

    position: float = Field(default=0.1, ge=0)
    box: float = Field(default=0.05, ge=0)
    tokens: float = Field(default=0, ge=0)
    code: float = Field(default=0, ge=0)
    unit: Unit = "object"


class Config(_Part):
    """A training run. A batch has `scenes` pictures with `masks` prompts each, over all processes together.

    `sampling`: patches as section 3.1 has them, as in the authors' released code, or as there, large objects in a
    shrunk picture (`flip.sampler.RECIPES`).
    `exact`: the share of prompts that are not perturbed, as a benchmark's are not.
    `short_side`: pictures whose shorter side is longer are shrunk to so many px; compositions stay as they are made.
    """

    model: Literal["flip-s", "flip-m", "flip-l", "flip-tiny", "flip-small", "flip-middle", "flip-large"]
    scenes: PositiveInt
    masks: PositiveInt
    phases: tuple[Phase, ...] = Field(min_length=1)
    optimiser: Optimiser
    losses: Weights = Weights()
    sampling: Literal["paper", "released", "shrunk"] = "paper"
    exact: float = Field(default=0, ge=0, le=1)
    short_side: PositiveInt | None = None
    seed: int = Field(default=0, ge=0)
    validate_every: PositiveInt = 5000
    save_every: PositiveInt = 1000

    @model_validator(mode="after")
    def _fits_the_model(self) -> Config:
        if self.model in RELEASED:
            if self.sampling != "released":
                raise ValueError(f'{self.model} takes patches with sampling = "released" only')
            if not all(FEWEST_TOKENS < phase.tokens < MOST_TOKENS for phase in self.phases):
                raise ValueError(f"tokens of {self.model} must be between {FEWEST_TOKENS} and {MOST_TOKENS}")
        return self

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

    `flip-s`, `-m`, `-l` follow the paper; `flip-s-compositions` is how, but for changes on the way, the weights in this
    package were made (-m, -l likewise); `flip-tiny` to `flip-large` follow the released line. Raises TrainingError for
    a file that is missing, is no TOML, or says something that is not understood.
    """
    path, given = Path(name), {}
    if path.suffix != ".toml":
        if name not in SHIPPED:
            raise TrainingError(
                f"there is no configuration {name}: there are {', '.join(SHIPPED)}, or give a .toml file"
            )
        given["model"], recipe = SHIPPED[name]
        path = RECIPES / f"{recipe}.toml"
    try:
        return Config(**{**tomllib.loads(path.read_text(encoding="utf-8")), **given})
    except FileNotFoundError:
        raise TrainingError(f"there is no configuration file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"{path} cannot be read as TOML ({error})") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise TrainingError(f"{path} is no training configuration: {wrong}") from None
