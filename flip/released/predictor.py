"""FlipPredictor: set an image once, then ask for the mask of one object after another.

predictor = load_predictor("flip-tiny")
predictor.set_image(image)
mask = predictor.predict(box=(40, 60, 90, 200))
mask = predictor.predict(point=(120, 80, 9))
masks = predictor.predict_many([(40, 60, 90, 200), Gaussian.from_point(120, 80, 9)])
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flip.devices import device_stopwatch, find_device
from flip.finite import check_finite
from flip.gaussian import UNIT, Gaussian
from flip.prompts import PredictorError, Prompt, as_gaussian, check_image, one_prompt
from flip.refine import Pixels
from flip.released.model import ReleasedFlip
from flip.released.target import Target, area, evaluation_box
from flip.sampler import Patches, Recipe
from flip.sampler_torch import sample_on_device
from flip.sampling import Sampling
from objascale.masks import Box, RegionMask

CHUNK = {"cpu": 2048, "cuda": 1 << 17}  # points or tokens a call, about: on a CPU, what its cache holds
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOGETHER = 1 << 24  # prompts whose boxes have so many pixels in sum are looked at together …
LEAST = 1 << 18  # … each counted with so many at least


class FlipPredictor:
    """Segments the objects that masks, boxes, points, ellipses or Gaussians point at.

    The same prompt on the same image gives the same mask, whatever is predicted before or with it: each prompt's
    patches are drawn by a generator of its own, made from `seed` and the prompt's numbers. Only a pixel whose logit is
    zero within float32's rounding may differ. `stopwatch` adds up milliseconds of "pre" (patches, coordinates,
    transfer), "model" (network) and "post" (threshold, mask).
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
        dtype: str = "float32",
        name: str = "FLIP",
    ) -> None:
        """Predict with `model`, which is moved to `device`, from at most `tokens` patches drawn by `recipe`.

        The mask is looked for where the object's outline is (`flip.refine`), or, if `dense`, at every pixel, as the
        authors do. `dtype` "bfloat16" or "float16" runs the encoder's blocks in mixed precision. Errors call the model
        `name`. Raises PredictorError for `tokens` below 1, another `dtype`, a device that is not here, and a recipe of
        other sizes than the model's or one that shrinks.
        """
        if tokens < 1:
            raise PredictorError(f"FLIP needs at least one patch to look at, not {tokens}")
        if dtype not in DTYPES:
            raise PredictorError(f"FLIP computes in {', '.join(DTYPES)}, not in {dtype}")
        self.sampling = Sampling(tokens, seed, recipe or Recipe())
        sizes = self.sampling.recipe.sizes
        if sizes != model.config.patch_sizes:
            raise PredictorError(
                f"this model takes patches of {model.config.patch_sizes} px, not {sizes}: change the recipe"
            )
        if self.sampling.recipe.most < math.inf:
            raise PredictorError("the released models know no patches of a shrunk image: use a recipe without `most`")
        self.device = find_device(device)
        self.model = model.to(self.device).eval()
        self.dense = dense
        self.dtype = dtype
        self.name = name
        self.stopwatch = device_stopwatch(self.device)
        self._image: NDArray[np.uint8] | Tensor | None = None

    def set_image(self, image: NDArray[np.uint8] | Tensor) -> None:
        """Take `image`, uint8 RGB H×W×3, for the predictions to come. It is kept, not copied; FLIP prepares nothing.

        It may be a tensor on any device, also another than the network's. Patches are cut where the image lies, with
        the same pixels everywhere. Raises PredictorError for any other type or shape.
        """
        check_image(image)
        with self.stopwatch("pre"):
            self._image = image if isinstance(image, Tensor) else np.ascontiguousarray(image)

    def predict(
        self,
        mask: RegionMask | NDArray | None = None,
        box: tuple[float, float, float, float] | None = None,
        gaussian: Gaussian | None = None,
        point: tuple[float, float, float] | None = None,
        ellipse: tuple[float, float, float, float, float] | None = None,
    ) -> RegionMask:
        """The mask of one object in the frame of the image, from exactly one prompt, in pixels with centres at +½.

        `mask`: a RegionMask, or an array H×W that is not 0 where the object is, roughly; its mean and covariance are
        the prompt. `box`: xyxy edges, whose inscribed ellipse is the prompt.
        `point`: x, y and a scale, a quarter of the object's size. `ellipse`: x, y of its middle, its two semi-axes, and
        by how many radians the first is turned from right to down. `gaussian`: what all others are turned into, for
        which `Gaussian` has more ways. Raises PredictorError without an image, with none or several prompts, with one
        of too few or too many numbers, or a mask of another size than the image's, GaussianError or MaskError for a
        prompt without extent, NoPatches for one that leaves no patch in the image, NotFinite if the network returns NaN
        or infinite logits.
        """
        return self.predict_many([one_prompt(mask, box, gaussian, point, ellipse)])[0]

    def patches(self, gaussian: Gaussian) -> Patches:
        """The patches of the image that `predict` looks at for this prompt.

        Raises PredictorError without an image, and NoPatches.
        """
        if self._image is None:
            raise PredictorError("call set_image before patches")
        return self._sample(self._image, [gaussian])[0]

    def predict_many(self, prompts: Sequence[Prompt]) -> list[RegionMask]:
        """The masks of several objects of the image, in the order of their prompts; any kinds may be mixed.

        Faster than one after another, with the same result. Raises as `predict`, if any prompt gives reason to.
        Memory: 64 MB for what is known of the pixels, or four bytes for each pixel of a larger single box, and the
        network's needs for a few prompts.
        """
        with torch.inference_mode():
            return [mask for targets in self._targets(prompts) for mask in self.find(targets)]

    def logits(self, prompts: Sequence[Prompt]) -> list[tuple[Box, NDArray[np.float32]]]:
        """For each prompt a box, xyxy pixel edges, and the network's logit of every pixel in it, float32 (h, w).

        Above 0 is object. The network says nothing about pixels outside the box. Raises as `predict_many`.
        """
        answers = []
        with torch.inference_mode():
            for target in (target for targets in self._targets(prompts) for target in targets):
                w, h = target.box[2] - target.box[0], target.box[3] - target.box[1]
                rows, columns = np.divmod(np.arange(w * h), max(w, 1))
                (logits,) = self._ask([target], [(columns, rows)])
                answers.append((target.box, logits.reshape(h, w)))
        return answers

    def find(self, targets: Sequence[Target]) -> list[RegionMask]:
        """The targets' masks, searched for side by side: what all searches ask next is asked in common.

        A target is evaluated at the pixel centres of its box: by `flip.refine.refine` if it has a guide, else at every
        one. Memory is four bytes a pixel of the boxes.
        """
        masks = [RegionMask.empty(*target.frame) for target in targets]
        searches = {i: target.search() for i, target in enumerate(targets) if area(target.box)}
        with self.stopwatch("post"):
            questions = {i: next(search) for i, search in searches.items()}
        while questions:
            answers = self._ask([targets[i] for i in questions], list(questions.values()))
            with self.stopwatch("post"):
                for i, logits in zip(list(questions), answers, strict=True):
                    try:
                        questions[i] = searches[i].send(logits)
                    except StopIteration as end:
                        del questions[i]
                        masks[i] = RegionMask(*targets[i].box[:2], end.value, *targets[i].frame).tight()
        return masks

    def _targets(self, prompts: Sequence[Prompt]) -> Iterator[list[Target]]:
        """Draw the prompts' patches and run the encoder over them, for as many at a time as memory is meant for."""
        if self._image is None:
            raise PredictorError("call set_image before asking for a mask")
        height, width = self._image.shape[:2]
        gaussians = [as_gaussian(prompt, width, height) for prompt in prompts]
        boxes = [evaluation_box(gaussian, width, height) for gaussian in gaussians]
        for group in _groups([max(area(box), LEAST) for box in boxes], TOGETHER):
            with self.stopwatch("pre"):
                drawn = self._sample(self._image, gaussians[group])
                released = np.stack([gaussian.released(width, height) for gaussian in gaussians[group]])
                numbers = torch.from_numpy(released).to(self.device)
                inputs = []
                for patches, prompt in zip(drawn, numbers, strict=True):
                    pixels, centres = network_input(patches, width, height)
                    inputs.append(([p.to(self.device) for p in pixels], centres.to(self.device), prompt))
            with self.stopwatch("model"):
                parts = _groups([len(patches) for patches in drawn], CHUNK[self.device.type])
                encoded = [each for part in parts for each in self.model.encode_many(inputs[part], DTYPES[self.dtype])]
            yield [
                Target((width, height), box, prompt, each, None if self.dense else gaussian)
                for box, prompt, each, gaussian in zip(boxes[group], numbers, encoded, gaussians[group], strict=True)
            ]

    def _ask(self, targets: Sequence[Target], questions: Sequence[Pixels]) -> list[NDArray[np.float32]]:
        """The logits of each target at columns and rows that count from the corner of its box. Raises NotFinite."""
        with self.stopwatch("pre"):
            ends = np.cumsum([0, *(len(columns) for columns, _ in questions)])
            pixels = np.concatenate(
                [np.stack(question, -1) + target.box[:2] for target, question in zip(targets, questions, strict=True)]
            )
            points = to_units(torch.from_numpy(pixels).to(self.device) + 0.5, *targets[0].frame)
            prompts = torch.stack([target.prompt for target in targets])
        with self.stopwatch("model"):
            answers = [points.new_empty(0)]
            chunk = CHUNK[self.device.type]
            for start in range(0, len(points), chunk):
                lengths = np.diff(ends.clip(start, start + chunk))
                here = lengths.nonzero()[0].tolist()
                encoded = [targets[i].encoded for i in here]
                part = points[start : start + chunk]
                answers.append(self.model.decode_many(part, encoded, prompts[here], lengths[here].tolist()))
        with self.stopwatch("post"):
            parts = np.split(torch.cat(answers).cpu().numpy(), ends[1:-1])
            for target, logits in zip(targets, parts, strict=True):
                check_finite(logits, self.name, target.guide or f"the prompt with the search box {target.box}")
            return parts

    def _sample(self, image: NDArray[np.uint8] | Tensor, gaussians: Sequence[Gaussian]) -> Sequence[Patches]:
        """The prompts' patches, cut where the image lies."""
        sampling, threads = self.sampling, torch.get_num_threads()
        if isinstance(image, Tensor):
            rngs = [rng for gaussian in gaussians for rng in sampling.generators(gaussian)]
            return sample_on_device(image, gaussians, sampling.tokens, rngs, sampling.recipe, threads)
        return sampling.draw(image, gaussians, threads)


def _groups(sizes: Sequence[int], limit: int) -> list[slice]:
    """Cut a sequence of things of certain sizes into groups: of at most `limit` in sum, or of one larger thing."""
    groups, start, total = [], 0, 0
    for i, size in enumerate(sizes):
        if total + size > limit and i > start:
            groups.append(slice(start, i))
            start, total = i, 0
        total += size
    return [*groups, slice(start, len(sizes))] if sizes else []


def network_input(patches: Patches, width: int, height: int) -> tuple[list[Tensor], Tensor]:
    """Patches of a `width`×`height` image as the released networks take them.

    Returns one float tensor (n, 3, p, p) in 0…1 for each size, on the device of its pixels, and all centres (Σn, 2) in
    units of 128 px.
    """
    pixels = [torch.as_tensor(p).permute(0, 3, 1, 2).float() / 255 for p in patches.pixels.values()]
    centres = torch.from_numpy(np.concatenate(list(patches.centres.values())))
    return pixels, to_units(centres, width, height).float()


def to_units(points: Tensor, width: int, height: int) -> Tensor:
    """Pixels (…, 2), centres at +½, to the released networks' units of 128 px from the middle of the image.

    The authors put pixel centres at whole numbers, so half a pixel is taken off.
    """
    return (points - points.new_tensor((0.5 + width / 2, 0.5 + height / 2))) / UNIT
