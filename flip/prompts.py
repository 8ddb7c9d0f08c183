"""What a predictor is asked with: a mask, a box, a point, an ellipse or a Gaussian, all of which become Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.typing import NDArray

from flip.gaussian import Gaussian
from objascale.masks import RegionMask

if TYPE_CHECKING:
    from torch import Tensor

Prompt = RegionMask | Gaussian | tuple[float, float, float, float]  # a tuple is a box, xyxy pixel edges


class PredictorError(ValueError):
    """A predictor that was asked for something it cannot do."""


def check_image(image: NDArray | Tensor) -> None:
    """Check an image before a model takes it.

    Raises:
        PredictorError: The image is not an array or a tensor of uint8 with shape (H, W, 3), or it has no pixel.
    """
    if not hasattr(image, "dtype") or not hasattr(image, "shape"):
        raise PredictorError(f"an image must be an array of uint8, H×W×3 RGB, not a {type(image).__name__}")
    kind, shape = str(image.dtype).removeprefix("torch."), tuple(image.shape)
    if kind != "uint8" or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        remedy = "; objascale.pictures.eight_bits reduces 16 bits to 8" if kind == "uint16" else ""
        raise PredictorError(f"an image must be uint8 H×W×3 RGB, not {kind} {shape}{remedy}")


def one_prompt(
    mask: RegionMask | NDArray | None,
    box: tuple[float, float, float, float] | None,
    gaussian: Gaussian | None,
    point: tuple[float, float, float] | None,
    ellipse: tuple[float, float, float, float, float] | None,
) -> Prompt:
    """The one prompt that is given, as `FlipPredictor.predict` describes them. Raises PredictorError."""
    given: list[Prompt] = [] if gaussian is None else [gaussian]
    if mask is not None:
        given.append(_region(mask))
    if box is not None:
        x0, y0, x1, y1 = _numbers("a box", box, "x0, y0, x1, y1")
        given.append((x0, y0, x1, y1))
    if point is not None:
        given.append(Gaussian.from_point(*_numbers("a point", point, "x, y, scale")))
    if ellipse is not None:
        given.append(Gaussian.from_ellipse(*_numbers("an ellipse", ellipse, "x, y, semi1, semi2, radians")))
    if len(given) != 1:
        raise PredictorError("predict takes exactly one of mask, box, gaussian, point and ellipse")
    return given[0]


def as_gaussian(prompt: Prompt, width: int, height: int) -> Gaussian:
    """A prompt for a `width`×`height` image as a Gaussian. Raises PredictorError for a mask of another size."""
    if isinstance(prompt, RegionMask):
        if (prompt.width, prompt.height) != (width, height):
            raise PredictorError(f"a mask must be {width}×{height} as the image is, not {prompt.width}×{prompt.height}")
        return Gaussian.from_mask(prompt)
    return prompt if isinstance(prompt, Gaussian) else Gaussian.from_box(prompt)


def _numbers(prompt: str, given: Sequence[float], names: str) -> tuple[float, ...]:
    if len(given) != len(names.split(",")):
        raise PredictorError(f"{prompt} is ({names}), not {tuple(given)}")
    return tuple(float(number) for number in given)


def _region(mask: RegionMask | NDArray) -> RegionMask:
    if isinstance(mask, RegionMask):
        return mask
    if mask.ndim != 2:
        raise PredictorError(f"a mask must be an array H×W, not {mask.shape}")
    return RegionMask.from_full(mask)
