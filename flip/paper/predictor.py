"""Predictor of the paper's models, with the interface of `flip.released.predictor.FlipPredictor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from flip.devices import device_stopwatch, parse_device
from flip.finite import check_finite
from flip.gaussian import Gaussian
from flip.images import ImageLike, as_rgb
from flip.paper.glimpses import Glimpses, glimpse
from flip.paper.model import Flip
from flip.prompts import PredictorError, PromptLike, as_gaussian, one_prompt
from flip.sampler import Patches, Recipe
from flip.sampling import Sampling
from objascale.masks import RegionMask

PATCHES_PER_CALL = 8192  # input and output patches of the prompts that are processed together; bounds the memory


class PaperPredictor:
    """Segments objects of an image, each from a prompt, with a model of `flip.paper.model`.

    If `tokens` exceeds the number of patches that the model was trained with, they are drawn in several glances, whose
    codes are averaged. The same prompt on the same image gives the same mask. `stopwatch` sums milliseconds of the
    stages "pre" (patches, transfer), "model" (network, output region) and "post" (threshold, mask).

    Args:
        model: The network, which is moved to `device`.
        tokens: Maximum number of input patches per prompt.
        outputs: Number of output patches per prompt; as in training if None.
        seed: Seed of the patch positions.
        recipe: The layout of the input patches; as in training if None.
        device: "cpu", "cuda" or "cuda:1".
        name: Name of the model in errors.

    Raises:
        PredictorError: `tokens` is below 1, `outputs` is below 4, or the device is not available.
    """

    def __init__(
        self,
        model: Flip,
        *,
        tokens: int = 512,
        outputs: int | None = None,
        seed: int = 0,
        recipe: Recipe | None = None,
        device: str | torch.device = "cpu",
        name: str = "FLIP",
    ) -> None:
        outputs = model.outputs if outputs is None else outputs
        if tokens < 1 or outputs < 4:
            raise PredictorError(f"tokens must be at least 1 and outputs at least 4, not {tokens} and {outputs}")
        self.device = parse_device(device)
        self.model = model.to(self.device).eval()
        self.name = name
        self.outputs = outputs
        self.sampling = Sampling(tokens, seed, recipe or model.recipe, max(1, round(tokens / model.glance)))
        self.stopwatch = device_stopwatch(self.device)
        self._image: NDArray[np.uint8] | None = None

    def set_image(self, image: ImageLike) -> None:
        """Set the image for the next predictions, as `FlipPredictor.set_image` does. Raises PredictorError."""
        with self.stopwatch("pre"):
            self._image = np.ascontiguousarray(as_rgb(image))

    def predict(
        self,
        mask: RegionMask | NDArray[Any] | None = None,
        box: ArrayLike | None = None,
        gaussian: Gaussian | None = None,
        point: ArrayLike | None = None,
        ellipse: ArrayLike | None = None,
    ) -> RegionMask:
        """Predict the mask of one object from exactly one prompt, as `FlipPredictor.predict` does."""
        return self.predict_many([one_prompt(mask, box, gaussian, point, ellipse)])[0]

    def patches(self, gaussian: Gaussian) -> Patches[NDArray[np.uint8]]:
        """Return the patches that `predict` uses for a prompt. Raises PredictorError without an image, NoPatches."""
        return self.sampling.patches(self._current_image(), gaussian)

    def predict_many(self, prompts: Sequence[PromptLike]) -> list[RegionMask]:
        """Predict the masks of several objects, as `FlipPredictor.predict_many` does."""
        image = self._current_image()
        height, width = image.shape[:2]
        gaussians = [as_gaussian(prompt, width, height) for prompt in prompts]
        prompts_per_call = max(1, PATCHES_PER_CALL // (self.sampling.tokens + self.outputs))
        masks: list[RegionMask] = []
        for start in range(0, len(gaussians), prompts_per_call):
            group = gaussians[start : start + prompts_per_call]
            with self.stopwatch("pre"):
                patches = self.sampling.draw(image, group, torch.get_num_threads())
                glances = len(patches) // len(group)
                each = [gaussian for gaussian in group for _ in range(glances)]
                inputs = Glimpses.of([glimpse(*one) for one in zip(patches, each, strict=True)]).to(self.device)
            with self.stopwatch("model"), torch.inference_mode():
                codes = self.model.mean_codes(inputs, glances)
                for position, gaussian in zip(codes.positional.numpy(force=True), group, strict=True):
                    check_finite(position, self.name, gaussian)  # the output region follows from it
                predictions = self.model.write(codes, width, height, self.outputs)
            with self.stopwatch("post"):
                for prediction, gaussian in zip(predictions, group, strict=True):
                    for logits in prediction.logits.values():
                        check_finite(logits.numpy(force=True), self.name, gaussian)
                    masks.append(prediction.mask(width, height))
        return masks

    def _current_image(self) -> NDArray[np.uint8]:
        if self._image is None:
            raise PredictorError("call set_image first")
        return self._image
