"""PaperPredictor: the paper's model behind the calls of `flip.released.predictor.FlipPredictor`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from flip.devices import device_stopwatch, parse_device
from flip.finite import check_finite
from flip.gaussian import Gaussian
from flip.paper.glimpses import Glimpses, glimpse
from flip.paper.model import Flip
from flip.prompts import PredictorError, PromptLike, as_gaussian, check_image, one_prompt
from flip.sampler import Patches, Recipe
from flip.sampling import Sampling
from objascale.masks import RegionMask

TOGETHER = 8192  # input and output patches of the prompts that are looked at in one call


class PaperPredictor:
    """Segments what masks, boxes, points, ellipses or Gaussians point at, with a model of `flip.paper.model`.

    More patches than the model has learned to look at are drawn in several glances, whose codes are averaged. The same
    prompt on the same image gives the same mask. `stopwatch` adds up milliseconds of "pre" (patches, transfer), "model"
    (network, and where it writes) and "post" (threshold, mask).
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
        """Predict with `model`, which is moved to `device`, from at most `tokens` patches, drawn by `recipe`, in
        `outputs` patches; both as in the model's training if None. Errors call the model `name`.

        Raises PredictorError for `tokens` below 1, `outputs` below 4, and a device that is not here.
        """
        outputs = model.outputs if outputs is None else outputs
        if tokens < 1 or outputs < 4:
            raise PredictorError(f"FLIP needs one patch to look at and four to write in, not {tokens} and {outputs}")
        self.device = parse_device(device)
        self.model = model.to(self.device).eval()
        self.name = name
        self.outputs = outputs
        self.sampling = Sampling(tokens, seed, recipe or model.recipe, max(1, round(tokens / model.glance)))
        self.stopwatch = device_stopwatch(self.device)
        self._image: NDArray[np.uint8] | None = None

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Take the next image, uint8 RGB H×W×3. Raises PredictorError for any other type or shape."""
        check_image(image)
        with self.stopwatch("pre"):
            self._image = np.ascontiguousarray(image)

    def predict(
        self,
        mask: RegionMask | NDArray | None = None,
        box: tuple[float, float, float, float] | None = None,
        gaussian: Gaussian | None = None,
        point: tuple[float, float, float] | None = None,
        ellipse: tuple[float, float, float, float, float] | None = None,
    ) -> RegionMask:
        """The mask of one object from exactly one prompt, as `FlipPredictor.predict`."""
        return self.predict_many([one_prompt(mask, box, gaussian, point, ellipse)])[0]

    def patches(self, gaussian: Gaussian) -> Patches:
        """The patches that `predict` looks at. Raises PredictorError without an image, and NoPatches."""
        return self.sampling.patches(self._asked(), gaussian)

    def predict_many(self, prompts: Sequence[PromptLike]) -> list[RegionMask]:
        """The masks of several objects of the image, in the order of their prompts. Raises as `predict`."""
        image = self._asked()
        height, width = image.shape[:2]
        gaussians = [as_gaussian(prompt, width, height) for prompt in prompts]
        together = max(1, TOGETHER // (self.sampling.tokens + self.outputs))
        masks: list[RegionMask] = []
        for start in range(0, len(gaussians), together):
            group = gaussians[start : start + together]
            with self.stopwatch("pre"):
                patches = self.sampling.draw(image, group, torch.get_num_threads())
                glances = len(patches) // len(group)
                each = [gaussian for gaussian in group for _ in range(glances)]
                seen = Glimpses.of([glimpse(*one) for one in zip(patches, each, strict=True)]).to(self.device)
            with self.stopwatch("model"), torch.inference_mode():
                codes = self.model.mean_codes(seen, glances)
                for position, gaussian in zip(codes.positional.numpy(force=True), group, strict=True):
                    check_finite(position, self.name, gaussian)  # it says where the mask is to be written
                found = self.model.write(codes, width, height, self.outputs)
            with self.stopwatch("post"):
                for one, gaussian in zip(found, group, strict=True):
                    for logits in one.logits.values():
                        check_finite(logits.numpy(force=True), self.name, gaussian)
                    masks.append(one.mask(width, height))
        return masks

    def _asked(self) -> NDArray[np.uint8]:
        if self._image is None:
            raise PredictorError("call set_image before asking for a mask")
        return self._image
