"""What is drawn on the page, as a prompt of the kind that a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from baselines.segmenter import Click, Prompt, PromptKind
from bench.prompts import PromptError, prompt_of_box, prompt_of_gaussian
from flip.gaussian import Gaussian

MAX_CLICKS = 50
Number = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
KINDS_OF_AREA: tuple[PromptKind, ...] = ("box", "gaussian", "point", "clicks")


class Drawn(BaseModel):
    """A box, an ellipse or clicks, in pixels of the picture with (0, 0) at its upper left corner.

    Attributes:
        kind: Names the one attribute below that is set.
        box: x0, y0, x1, y1.
        ellipse: x, y, two semi-axes, and the angle of the first one in degrees, from right to down. It is the 2σ
            ellipse of FLIP's Gaussian.
        clicks: x, y and whether the click lies on the object, of each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["box", "ellipse", "clicks"]
    box: tuple[Number, Number, Number, Number] | None = None
    ellipse: tuple[Number, Number, Number, Number, Number] | None = None
    clicks: tuple[tuple[Number, Number, bool], ...] | None = Field(None, min_length=1, max_length=MAX_CLICKS)

    def gaussian(self) -> Gaussian | None:
        """Return the Gaussian of a box or an ellipse, None of clicks. Raises GaussianError."""
        if self.kind == "box" and self.box:
            return Gaussian.from_box(self.box)
        return Gaussian.from_ellipse(*self.ellipse) if self.kind == "ellipse" and self.ellipse else None

    def prompt(self, accepts: Sequence[PromptKind], size: tuple[int, int]) -> Prompt:
        """Convert it to a prompt of a model, as `bench.prompts` converts prompts.

        A box or an ellipse stays what it is if the model takes it. Otherwise it becomes, of these, the first that the
        model takes: a box, a Gaussian, the point in its middle, a click there.

        Args:
            accepts: Kinds of prompts that the model takes.
            size: Width and height of the picture.

        Raises:
            PromptError: The model does not take what is drawn, or its numbers are missing.
            GaussianError: It has no area.
        """
        gaussian = self.gaussian()
        if gaussian is None:
            return self._clicks(accepts)
        own: PromptKind = "box" if self.kind == "box" else "gaussian"
        kind = own if own in accepts else next((kind for kind in KINDS_OF_AREA if kind in accepts), None)
        if kind is None:
            raise PromptError("this model takes neither boxes nor ellipses nor clicks")
        if kind == "clicks":
            return Prompt("clicks", clicks=(Click(gaussian.x, gaussian.y),))
        if self.kind == "box" and self.box:
            return prompt_of_box(self.box, (kind,), size)
        return prompt_of_gaussian(gaussian, (kind,), size)

    def _clicks(self, accepts: Sequence[PromptKind]) -> Prompt:
        clicks = tuple(Click(*each) for each in self.clicks or ())
        if not clicks:
            raise PromptError(f"the {self.kind} has no numbers")
        if "clicks" in accepts:
            return Prompt("clicks", clicks=clicks)
        if "point" in accepts and len(clicks) == 1 and clicks[0].positive:
            return Prompt("point", point=(clicks[0].x, clicks[0].y))
        raise PromptError(
            "this model takes one point on the object"
            if "point" in accepts
            else "this model takes no clicks; draw a box or an ellipse"
        )
