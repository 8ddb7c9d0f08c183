"""The ranges that strengths are drawn from, their presets, and their notation on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from pydantic import BaseModel, ConfigDict, Field, model_validator

from objascale.difficulty.record import DIALS, MAX_STRENGTH, Difficulty, stream


class DifficultyError(ValueError):
    """A dial or a strength that does not exist."""


class DialRange(BaseModel):
    """Range of a strength. A draw is low + (high − low) · u^power, with u uniform in [0, 1).

    Attributes:
        low: Smallest strength.
        high: Largest strength.
        power: 1 for a uniform draw. Larger powers draw small strengths more often.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float = Field(ge=0, le=MAX_STRENGTH)
    high: float = Field(ge=0, le=MAX_STRENGTH)
    power: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> DialRange:
        if self.low > self.high:
            raise ValueError(f"the strength {self.low:g} is above {self.high:g}")
        return self

    def share(self, strength: float) -> float:
        """Return where a strength lies between the ends of the range, from 0 to 1."""
        return (strength - self.low) / (self.high - self.low) if self.low < self.high else 0.0


DialRanges = Mapping[str, DialRange]
"""The range of each dial. A dial without a range has the strength 0."""

PHOTO: DialRanges = {
    "exposure": DialRange(low=0, high=1.5, power=2),
    "sharpness": DialRange(low=0, high=2, power=2),
    "motion": DialRange(low=0, high=2, power=3),
    "noise": DialRange(low=0, high=2),
    "compression": DialRange(low=0, high=2),
    "contrast": DialRange(low=0, high=1, power=3),
    "camouflage": DialRange(low=0, high=2, power=2),
    "context": DialRange(low=2, high=5),
}
"""Strengths as cameras make them: most are low, and none exceeds those of photographs that people keep.

Haze lifts the darkest pixels. In three of four photographs of GrabCut50, Berkeley100 and COCO_MVal, 1 % of the pixels
are darker than 0.16 of full scale; strength 0.4 of `contrast`, the upper quartile here, lifts black to that value
(tests/benchmarks/tones.py).

Each distractor and the occluder take as long as an object of their own, so `photo` has none.
"""

HARD: DialRanges = {name: DialRange(low=0, high=MAX_STRENGTH) for name in DIALS}
"""All strengths of all dials."""


def draw(ranges: DialRanges, *seed: int, units: Mapping[str, tuple[float, float]] | None = None) -> Difficulty:
    """Draw the strengths of a picture, rounded to 0.001.

    Args:
        ranges: The range of each dial.
        seed: Numbers that seed the draw.
        units: A part of the range of each dial: the draw is that of the range, given that it lies in the part.
    """
    strengths = {}
    for name, each in ranges.items():
        u = stream(name, *seed).uniform()
        if units is not None:
            low, high = (each.share(strength) ** (1 / each.power) for strength in units[name])
            u = low + (high - low) * u
        strength = round(each.low + (each.high - each.low) * u**each.power, 3)
        if units is not None and units[name][0] < strength == units[name][1] < each.high:
            strength = round(strength - 0.001, 3)  # the end of a unit belongs to the next one
        strengths[name] = strength
    return Difficulty(**strengths)


def parse_ranges(texts: Sequence[str]) -> dict[str, DialRange]:
    """Read ranges such as `noise=3,motion=0..5`.

    Args:
        texts: One or several texts, each with one or several dials.

    Raises:
        DifficultyError: A dial is unknown or given twice, or a strength is no number from 0 to 5.
    """
    found: dict[str, DialRange] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        name, _, value = (each.strip() for each in part.partition("="))
        if name not in DIALS:
            near = get_close_matches(name, DIALS, 1)
            raise DifficultyError(
                f"there is no dial {name!r}; " + (f"did you mean {near[0]}?" if near else f"dials: {', '.join(DIALS)}")
            )
        if name in found:
            raise DifficultyError(f"{name} is given twice; give it once")
        low, dots, high = value.partition("..")
        try:
            found[name] = DialRange(low=float(low), high=float(high if dots else low))
        except ValueError:  # pydantic's errors are such
            raise DifficultyError(
                f"{part!r} gives no strength; write {name}=3 or {name}=0..5, with numbers from 0 to 5"
            ) from None
    return found
