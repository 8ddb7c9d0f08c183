"""Configuration of a training run, read from TOML. The package's own files are in `flip/training/recipes/`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from flip.paper.model import PAPER_CONFIGS as PAPER
from flip.released.model import RELEASED_CONFIGS as RELEASED
from objascale.validation import describe_errors

RECIPE_FOLDER = Path(__file__).parent / "recipes"

CONFIG_FILES = {
    **{model: (model, RECIPE_FOLDER / "paper.toml") for model in PAPER},
    **{f"{model}-compositions": (model, RECIPE_FOLDER / "compositions.toml") for model in PAPER},
    **{model: (model, RECIPE_FOLDER / "released.toml") for model in RELEASED},
}
"""The model and the file of each configuration of this package."""

LengthUnit = Literal["object", "picture"]

RELEASED_MIN_TOKENS, RELEASED_MAX_TOKENS = 32, 2048
"""Range of the number of input patches of the released models, as in the authors' training code."""


class TrainingError(ValueError):
    """Training cannot start or continue. The message says why and what to do."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Phase(_Section):
    """One phase of the schedule.

    Args:
        steps: Number of optimiser steps.
        tokens: Mean number of input patches.
        outputs: Mean number of output patches (paper's models), or points per object (released models).
        half: Whether images and masks are resized to half their size.
        overlap: Weight of the soft IoU loss of the paper's models. It is not in the paper; 0 turns it off.
    """

    steps: PositiveInt
    tokens: int = Field(ge=4)
    outputs: int = Field(ge=8)
    half: bool = False
    overlap: float = Field(default=0, ge=0)


class Optimiser(_Section):
    """The optimiser and its schedule.

    The learning rate rises over the first `warmup` steps, stays constant, and falls to 0 over the last fraction
    `cooldown` of all steps. A run can be extended until the fall begins: no earlier step depends on its position.

    Args:
        name: Muon is used for large matrices only, see `flip.training.optimisers`.
        rate: Peak learning rate.
        cooldown: Fraction of all steps over which the rate falls.
        decay: Decoupled weight decay.
        betas: Of Adam.
        warmup: Steps over which the rate rises.
        clip: Maximum norm of the gradient.
        ema: Decay of the exponential moving average of the weights.
    """

    name: Literal["adamw", "radam", "muon"] = "adamw"
    rate: PositiveFloat
    cooldown: float = Field(default=0.2, ge=0, le=1)
    decay: float = Field(default=0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: int = Field(default=1000, ge=0)
    clip: PositiveFloat = 1.0
    ema: float = Field(default=0.9995, ge=0, lt=1)


class LossWeights(_Section):
    """Weights of the losses of the paper's models (`flip.training.losses`).

    Args:
        position: λ_pos of section 3.5.
        box: λ_bbox of section 3.5.
        tokens: Weight of the token loss, which is not in the paper. A linear layer predicts from each encoded token
            how much of its patch the object covers.
        code: Weight of the code loss, which is not in the paper. A linear layer predicts a coarse mask from the
            perceptual code.
        unit: Unit of length of the position and box losses.
    """

    position: float = Field(default=0.1, ge=0)
    box: float = Field(default=0.05, ge=0)
    tokens: float = Field(default=0, ge=0)
    code: float = Field(default=0, ge=0)
    unit: LengthUnit = "object"


class Teacher(_Section):
    """Distillation from a released model (`flip.training.teacher`).

    Args:
        model: Name of the teacher, or its weights file.
        weight: Weight of the loss.
        temperature: Divides the logits of teacher and student.
    """

    model: str = "flip-tiny"
    weight: PositiveFloat
    temperature: PositiveFloat = 1.0


class Config(_Section):
    """Configuration of a training run.

    Args:
        model: Name of the network.
        scenes: Images per batch, over all processes.
        masks: Prompts per image.
        phases: Phases of the schedule, in order.
        optimiser: The optimiser and its schedule.
        losses: Weights of the losses of the paper's models.
        teacher: Distillation for the paper's models; None for none.
        sampling: Key of `flip.sampler.RECIPES`. The released models need "released".
        exact: Fraction of prompts that are not perturbed. Benchmark prompts are not perturbed either.
        short_side: Images with a longer short side are resized to it, in px. Compositions keep their size.
        augment: Fraction of annotated images that are changed at random (`objascale.scenes.augment`). Compositions vary
            without it.
        seed: Seed of the weights and of the examples.
        validate_every: Steps between validations.
        save_every: Steps between checkpoints.
    """

    model: Literal["flip-s", "flip-m", "flip-l", "flip-tiny", "flip-small", "flip-middle", "flip-large"]
    scenes: PositiveInt
    masks: PositiveInt
    phases: tuple[Phase, ...] = Field(min_length=1)
    optimiser: Optimiser
    losses: LossWeights = LossWeights()
    teacher: Teacher | None = None
    sampling: Literal["paper", "released", "shrunk"] = "paper"
    exact: float = Field(default=0, ge=0, le=1)
    short_side: PositiveInt | None = None
    augment: float = Field(default=0, ge=0, le=1)
    seed: int = Field(default=0, ge=0)
    validate_every: PositiveInt = 5000
    save_every: PositiveInt = 1000

    @model_validator(mode="after")
    def _fits_the_model(self) -> Config:
        if self.model in RELEASED:
            if self.teacher:
                raise ValueError(f"{self.model} learns without a teacher; remove the section teacher")
            if self.sampling != "released":
                raise ValueError(f'{self.model} needs sampling = "released"')
            if not all(RELEASED_MIN_TOKENS < phase.tokens < RELEASED_MAX_TOKENS for phase in self.phases):
                raise ValueError(
                    f"tokens of {self.model} must be between {RELEASED_MIN_TOKENS} and {RELEASED_MAX_TOKENS}"
                )
        return self

    @property
    def steps(self) -> int:
        """Total number of steps."""
        return sum(phase.steps for phase in self.phases)

    def phase(self, step: int) -> Phase:
        """Return the phase of a step; steps count from 0."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        raise IndexError(f"the configuration has only {self.steps} steps")


def read_config(name: str) -> Config:
    """Read a configuration.

    Args:
        name: A key of CONFIG_FILES or the path of a TOML file. `flip-s`, `flip-m` and `flip-l` follow the paper.
            `flip-s-compositions` follows the training of the weights in this package; -m and -l do the same for the
            larger models. `flip-tiny` to `flip-large` follow the authors' released code.

    Raises:
        TrainingError: The file is missing or not TOML, or a value is invalid.
    """
    path, model = Path(name), {}
    if path.suffix != ".toml":
        if name not in CONFIG_FILES:
            raise TrainingError(
                f"there is no configuration {name}: choose from {', '.join(CONFIG_FILES)}, or give a .toml file"
            )
        model["model"], path = CONFIG_FILES[name]
    try:
        return Config(**{**tomllib.loads(path.read_text(encoding="utf-8")), **model})
    except FileNotFoundError:
        raise TrainingError(f"there is no configuration file {path}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"{path} cannot be read as TOML ({error})") from None
    except ValidationError as error:
        raise TrainingError(f"{path} is not a valid training configuration: {describe_errors(error)}") from None
