"""FlipPredictor: set an image once, then ask for the mask of one object after another.

predictor = load_predictor("flip-tiny")
predictor.set_image(image)
mask = predictor.predict(box=(40, 60, 90, 200))
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flip.checkpoint import SUFFIXES, load_model
from flip.gaussian import UNIT, Gaussian
from flip.refine import Pixels, refine
from flip.released import ReleasedFlip
from flip.sampler import Patches, Recipe, sample
from flip.stopwatch import Stopwatch
from flip.weights import find_weights
from objascale.masks import Box, RegionMask

REACH = 5.0  # the mask is looked for within so many standard deviations of the major axis, as the network was trained
CHUNK = {"cpu": 512, "cuda": 1 << 17}  # points a call: on a CPU, what its cache holds


class PredictorError(ValueError):
    """A predictor that was asked for something it cannot do."""


class FlipPredictor:
    """Segments the object that a mask, a box or a Gaussian points at.

    The same prompt on the same image gives the same mask, whatever was predicted before: each prompt's patches are
    drawn by a generator of its own, made from `seed` and the prompt's numbers. `stopwatch` adds up milliseconds of
    "pre" (patches, coordinates, transfer), "model" (network) and "post" (threshold, mask).
    """

    def __init__(
        self,
        model: ReleasedFlip,
        *,
        tokens: int = 512,
        seed: int = 0,
        recipe: Recipe | None = None,
        dense: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        """Predict with `model` from at most `tokens` patches drawn by `recipe` (the authors' settings if None).

        The mask is looked for where the object's outline is (`flip.refine`), or, if `dense`, at every pixel, as the
        authors do. Raises PredictorError for `tokens` below 1, and for a device that is not here.
        """
        if tokens < 1:
            raise PredictorError(f"FLIP needs at least one patch to look at, not {tokens}")
        self.device = _device(device)
        self.model = model.to(self.device).eval()
        self.tokens = tokens
        self.seed = seed
        self.recipe = recipe or Recipe()
        self.dense = dense
        self.stopwatch = Stopwatch(torch.cuda.synchronize if self.device.type == "cuda" else None)
        self._image: NDArray[np.uint8] | None = None

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Take `image`, uint8 RGB H×W×3, for the predictions to come. It is kept, not copied; FLIP prepares nothing.

        Raises PredictorError for any other type or shape.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise PredictorError(f"an image must be uint8 H×W×3 RGB, not {image.dtype} {image.shape}")
        with self.stopwatch("pre"):
            self._image = np.ascontiguousarray(image)

    def predict(
        self,
        mask: RegionMask | None = None,
        box: tuple[float, float, float, float] | None = None,
        gaussian: Gaussian | None = None,
    ) -> RegionMask:
        """The mask of one object in the frame of the image, from exactly one prompt.

        `mask`: its mean and covariance are the prompt. `box`: xyxy pixel edges, whose inscribed ellipse is the prompt.
        `gaussian`: pixels. Raises PredictorError without an image or with none or several prompts, GaussianError or
        MaskError for a prompt without extent, NoPatches for one that leaves no patch in the image.
        """
        if self._image is None:
            raise PredictorError("call set_image before predict")
        if sum(prompt is not None for prompt in (mask, box, gaussian)) != 1:
            raise PredictorError("predict takes exactly one of mask, box and gaussian")
        height, width = self._image.shape[:2]
        with torch.inference_mode():
            with self.stopwatch("pre"):
                if mask is not None:
                    gaussian = Gaussian.from_mask(mask)
                elif box is not None:
                    gaussian = Gaussian.from_box(box)
                assert gaussian is not None
                patches = self.patches(gaussian)
                pixels, centres = network_input(patches, width, height)
                pixels = [p.to(self.device) for p in pixels]
                centres = centres.to(self.device)
                prompt = torch.from_numpy(gaussian.released(width, height)).to(self.device)
            with self.stopwatch("model"):
                keys, values = self.model.encode(pixels, centres, prompt)
            where = evaluation_box(gaussian, width, height)
            guide = None if self.dense else gaussian
            return self.decode(where, width, height, keys, values, prompt, guide)

    def patches(self, gaussian: Gaussian) -> Patches:
        """The patches of the image that `predict` looks at for this prompt.

        Raises PredictorError without an image, and NoPatches.
        """
        if self._image is None:
            raise PredictorError("call set_image before patches")
        return sample(self._image, gaussian, self.tokens, self._generator(gaussian), self.recipe)

    def decode(
        self,
        box: Box,
        width: int,
        height: int,
        keys: Tensor,
        values: Tensor,
        prompt: Tensor,
        guide: Gaussian | None = None,
    ) -> RegionMask:
        """Find the mask in `box` (xyxy edges, inside the `width`×`height` frame), evaluated at pixel centres.

        `keys`, `values` are what `ReleasedFlip.encode` gave for `prompt` (6,). With `guide`, the prompt in pixels,
        the mask is looked for by `flip.refine.refine`, else at every pixel. Memory is four bytes a pixel of the box.
        """
        x0, y0, x1, y1 = box
        if x0 == x1 or y0 == y1:
            return RegionMask.empty(width, height)
        step, seeds = (1, None) if guide is None else (first_step(guide, box), own_lattice(guide, box))
        search = refine(x1 - x0, y1 - y0, step, seeds)
        logits: NDArray[np.float32] | None = None
        while True:
            with self.stopwatch("post"):
                try:
                    columns, rows = search.send(logits)  # type: ignore[arg-type]
                except StopIteration as end:
                    return RegionMask(x0, y0, end.value, width, height).tight()
            with self.stopwatch("pre"):
                pixels = torch.from_numpy(np.stack((columns + x0, rows + y0), -1)).to(self.device)
                points = to_units(pixels + 0.5, width, height)
                parts = points.tensor_split(math.ceil(len(points) / CHUNK[self.device.type]))
            with self.stopwatch("model"):
                answers = torch.cat([self.model.decode(part, keys, values, prompt) for part in parts])
            with self.stopwatch("post"):
                logits = answers.cpu().numpy()

    def _generator(self, gaussian: Gaussian) -> np.random.Generator:
        g = gaussian
        words = struct.unpack("12I", struct.pack("6d", g.x, g.y, g.sigma1, g.sigma2, g.a, g.b))
        return np.random.default_rng((self.seed, *words))


def _device(name: str | torch.device) -> torch.device:
    """ "cpu", "cuda" or "cuda:1" as a device that is there."""
    kind, _, number = str(name).partition(":")
    if kind not in CHUNK or not (number.isdecimal() or number == ""):
        raise PredictorError(f"FLIP runs on cpu or cuda, not on {name}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise PredictorError(
            f"PyTorch sees no GPU for {name}; use cpu, or install a PyTorch built for the GPU's driver"
        )
    return torch.device(name)


def load_predictor(
    name: str | Path,
    folder: Path | None = None,
    *,
    tokens: int = 512,
    seed: int = 0,
    recipe: Recipe | None = None,
    dense: bool = False,
    device: str | torch.device = "cpu",
) -> FlipPredictor:
    """A predictor with trained weights: `name` is a model's name ("flip-tiny"), or a weights file's path.

    A name's weights are looked for as `flip.weights.find_weights` says. Raises WeightsMissing, WeightsBroken.
    """
    path = Path(name) if Path(name).suffix in SUFFIXES else find_weights(str(name), folder)
    return FlipPredictor(load_model(path), tokens=tokens, seed=seed, recipe=recipe, dense=dense, device=device)


def evaluation_box(gaussian: Gaussian, width: int, height: int) -> Box:
    """The pixels within REACH standard deviations of the mean, by the larger deviation in x and y, cut to the frame.

    The authors count from pixel centres and cut off what follows the point, which this repeats.
    """
    x, y, reach = gaussian.x - 0.5, gaussian.y - 0.5, REACH * gaussian.sigma2
    x0, x1 = (int(np.clip(v, 0, width)) for v in (int(x - reach), int(x + reach) + 1))
    y0, y1 = (int(np.clip(v, 0, height)) for v in (int(y - reach), int(y + reach) + 1))
    return x0, y0, x1, y1


def first_step(gaussian: Gaussian, box: Box) -> int:
    """Spacing in pixels of the first lattice with which `refine` looks for the mask of `gaussian` in `box`.

    The networks see positions in units of σ, so a mask's details grow with it: the power of two, at least 1, nearest to
    a third of the larger σ. But even the box of a prompt that is larger than the picture gets 16 points along its
    longer side.
    """
    x0, y0, x1, y1 = box
    return 1 << max(0, round(math.log2(min(gaussian.sigma2 / 3, max(x1 - x0, y1 - y0, 1) / 16))))


def own_lattice(gaussian: Gaussian, box: Box) -> Pixels:
    """Pixels on a lattice along the Gaussian's own axes, every σ1/2 and σ2/4 within 3σ: columns and rows from the box's
    corner. A lattice along the picture's rows and columns can miss an object that is thinner than its spacing.
    """
    g, (x0, y0, x1, y1) = gaussian, box
    along1, along2 = np.meshgrid(np.arange(-3, 3.5, 0.5) * g.sigma1, np.arange(-3, 3.25, 0.25) * g.sigma2)
    columns = np.floor(g.x + along1 * g.a + along2 * g.b).astype(np.int64)
    rows = np.floor(g.y - along1 * g.b + along2 * g.a).astype(np.int64)
    inside = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
    return columns[inside] - x0, rows[inside] - y0


def network_input(patches: Patches, width: int, height: int) -> tuple[list[Tensor], Tensor]:
    """Patches of a `width`×`height` image as the released networks take them.

    Returns one float tensor (n, 3, p, p) in 0…1 for each size, and all centres (Σn, 2) in units of 128 px.
    """
    pixels = [torch.from_numpy(p).permute(0, 3, 1, 2).float() / 255 for p in patches.pixels.values()]
    centres = torch.from_numpy(np.concatenate(list(patches.centres.values())))
    return pixels, to_units(centres, width, height).float()


def to_units(points: Tensor, width: int, height: int) -> Tensor:
    """Pixels (…, 2), centres at +½, to the released networks' units of 128 px from the middle of the image.

    The authors put pixel centres at whole numbers, so half a pixel is taken off.
    """
    return (points - points.new_tensor((0.5 + width / 2, 0.5 + height / 2))) / UNIT
