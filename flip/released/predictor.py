"""Predictor of the authors' released models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from flip.devices import device_stopwatch, parse_device
from flip.finite import check_finite
from flip.gaussian import RELEASED_UNIT, Gaussian
from flip.images import ImageLike, as_rgb
from flip.prompts import PredictorError, PromptLike, as_gaussian, one_prompt
from flip.refine import Pixels
from flip.released.model import ReleasedFlip
from flip.released.target import Target, area, evaluation_box
from flip.sampler import Patches, Recipe
from flip.sampling import Sampling
from objascale.masks import Box, RegionMask

POINTS_PER_CALL = {"cpu": 2048, "cuda": 1 << 17}  # of the network, or tokens; on a CPU they fit into the cache
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PIXELS_PER_GROUP = 1 << 24  # of the search boxes of prompts that are processed together; takes 64 MB
MIN_PIXELS_PER_PROMPT = 1 << 18  # of a search box, in that sum; limits a group to 64 prompts


class FlipPredictor:
    """Segments objects of an image, each from a prompt, with one of the authors' released models.

    `load_predictor` makes one from a model's name. Like SAM's predictor, it takes an image once and then any number of
    prompts:

        >>> import numpy as np
        >>> from flip.released.model import RELEASED_CONFIGS, ReleasedFlip
        >>> model = ReleasedFlip(RELEASED_CONFIGS["flip-tiny"])  # with random weights
        >>> predictor = FlipPredictor(model)
        >>> predictor.set_image(np.zeros((240, 320, 3), np.uint8))
        >>> mask = predictor.predict(box=(40, 60, 90, 200))
        >>> np.asarray(mask).shape, np.asarray(mask).dtype
        ((240, 320), dtype('bool'))
        >>> masks = predictor.predict_many([(40, 60, 90, 200), Gaussian.from_point(120, 80, 9)])
        >>> len(masks)
        2

    The same prompt on the same image gives the same mask, independent of other prompts: `seed` and the prompt's numbers
    seed the generator of its patches. Only pixels with a logit of 0 within float32's rounding may differ. `stopwatch`
    sums milliseconds of the stages "pre" (patches, coordinates, transfer), "model" (network) and "post" (search, mask).

    Args:
        model: The network, which is moved to `device`.
        tokens: Maximum number of patches per prompt.
        seed: Seed of the patch positions.
        recipe: The layout of the patches; `Recipe()` if None.
        dense: Whether to evaluate every pixel, as the authors do, instead of searching for the mask with fewer
            evaluations (`flip.refine`).
        device: "cpu", "cuda" or "cuda:1".
        dtype: "float32", or "bfloat16" or "float16" for mixed precision in the encoder's blocks.
        name: Name of the model in errors.

    Raises:
        PredictorError: An argument is invalid, the device is not available, or the recipe does not fit the model.
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
        if tokens < 1:
            raise PredictorError(f"tokens must be at least 1, not {tokens}")
        if dtype not in DTYPES:
            raise PredictorError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype}")
        self.sampling = Sampling(tokens, seed, recipe or Recipe())
        sizes = self.sampling.recipe.sizes
        if sizes != model.config.patch_sizes:
            raise PredictorError(
                f"this model takes patches of {model.config.patch_sizes} px, not {sizes}: change the recipe"
            )
        if self.sampling.recipe.max_area < math.inf:
            raise PredictorError("the released models take no patches of a shrunk image: use a recipe without max_area")
        self.device = parse_device(device)
        self.model = model.to(self.device).eval()
        self.dense = dense
        self.dtype = dtype
        self.name = name
        self.stopwatch = device_stopwatch(self.device)
        self._image: NDArray[np.uint8] | None = None

    def set_image(self, image: ImageLike) -> None:
        """Set the image for the next predictions. A uint8 array (H, W, 3) is not copied.

        Args:
            image: A path, a PIL image or an array, in the order RGB. `flip.images.as_rgb` describes how they are read.

        Raises:
            PredictorError: The image cannot be read, or has another type, shape or range.
        """
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
        """Predict the mask of one object from exactly one prompt.

        All coordinates are in pixels of the image, with pixel centres at +½. NumPy arrays, lists and tuples all do.

        Args:
            mask: A rough mask, (H, W), non-zero inside. Its mean and covariance are the prompt.
            box: (4,), x0, y0, x1, y1, pixel edges. It is cut at the edges of the image, and its inscribed ellipse is
                the prompt.
            gaussian: The Gaussian prompt, which the other kinds are converted to.
            point: (3,), x, y and scale. The scale is a quarter of the object's size.
            ellipse: (5,), x, y, two semi-axes, and the angle of the first one in degrees, from right to down.

        Returns:
            The mask. `np.asarray` converts it to a bool array (H, W).

        Raises:
            PredictorError: No image is set, or the prompt is not exactly one of the right shape.
            GaussianError: The prompt has no extent.
            MaskError: The prompt is an empty mask.
            NoPatches: No patch around the prompt fits into the image.
            NotFinite: The network returns NaN or infinite logits.
        """
        return self.predict_many([one_prompt(mask, box, gaussian, point, ellipse)])[0]

    def predict_many(self, prompts: Sequence[PromptLike]) -> list[RegionMask]:
        """Predict the masks of several objects.

        This is faster than one prompt after another and gives the same masks. Memory: 64 MB for the searches, or four
        bytes per pixel of a larger single search box, and the network's needs for a few prompts.

        Args:
            prompts: Masks (H, W), boxes (4,) and Gaussians, in any mixture.

        Returns:
            The masks in the order of the prompts.

        Raises:
            PredictorError: A prompt is invalid. The other exceptions are those of `predict`.
        """
        with torch.inference_mode():
            return [mask for targets in self._targets(prompts) for mask in self.find(targets)]

    def patches(self, gaussian: Gaussian) -> Patches[NDArray[np.uint8]]:
        """Return the patches that `predict` uses for a prompt. Raises PredictorError without an image, NoPatches."""
        return self.sampling.patches(self._current_image(), gaussian)

    def logits(self, prompts: Sequence[PromptLike]) -> list[tuple[Box, NDArray[np.float32]]]:
        """Return the logits of all pixels near each prompt.

        Args:
            prompts: As for `predict_many`.

        Returns:
            For each prompt, a box (x0, y0, x1, y1), which reaches 5σ from the mean, and the logits of its pixels,
            float32 (y1 − y0, x1 − x0). The mask is where they are above 0. Pixels outside the box are background.

        Raises:
            PredictorError: A prompt is invalid. The other exceptions are those of `predict`.
        """
        results = []
        with torch.inference_mode():
            for target in (target for targets in self._targets(prompts) for target in targets):
                w, h = target.box[2] - target.box[0], target.box[3] - target.box[1]
                rows, columns = np.divmod(np.arange(w * h), max(w, 1))
                (logits,) = self._evaluate([target], [(columns, rows)])
                results.append((target.box, logits.reshape(h, w)))
        return results

    def find(self, targets: Sequence[Target]) -> list[RegionMask]:
        """Return the masks of targets.

        The searches run side by side: one call of the network evaluates the next pixels of all searches. Memory is four
        bytes per pixel of the boxes.
        """
        searches = [target.search() for target in targets]
        active = list(range(len(targets)))
        while True:
            with self.stopwatch("post"):
                asked = {i: pixels for i in active if (pixels := searches[i].ask()) is not None}
            if not asked:
                break
            active = list(asked)
            logits = self._evaluate([targets[i] for i in active], list(asked.values()))
            with self.stopwatch("post"):
                for i, each in zip(active, logits, strict=True):
                    searches[i].tell(each)
        with self.stopwatch("post"):
            return [target.region(search.mask()) for target, search in zip(targets, searches, strict=True)]

    def _current_image(self) -> NDArray[np.uint8]:
        if self._image is None:
            raise PredictorError("call set_image first")
        return self._image

    def _targets(self, prompts: Sequence[PromptLike]) -> Iterator[list[Target]]:
        """Sample the patches of the prompts and encode them, in groups that fit into memory."""
        image = self._current_image()
        height, width = image.shape[:2]
        gaussians = [as_gaussian(prompt, width, height) for prompt in prompts]
        boxes = [evaluation_box(gaussian, width, height) for gaussian in gaussians]
        for group in _groups([max(area(box), MIN_PIXELS_PER_PROMPT) for box in boxes], PIXELS_PER_GROUP):
            with self.stopwatch("pre"):
                sampled = self.sampling.draw(image, gaussians[group], torch.get_num_threads())
                released = np.stack([gaussian.released(width, height) for gaussian in gaussians[group]])
                numbers = torch.from_numpy(released).to(self.device)
                inputs = []
                for patches, prompt in zip(sampled, numbers, strict=True):
                    pixels, centres = network_input(patches, width, height)
                    inputs.append(([p.to(self.device) for p in pixels], centres.to(self.device), prompt))
            with self.stopwatch("model"):
                parts = _groups([len(patches) for patches in sampled], POINTS_PER_CALL[self.device.type])
                encoded = [each for part in parts for each in self.model.encode_many(inputs[part], DTYPES[self.dtype])]
            yield [
                Target((width, height), box, prompt, each, None if self.dense else gaussian)
                for box, prompt, each, gaussian in zip(boxes[group], numbers, encoded, gaussians[group], strict=True)
            ]

    def _evaluate(self, targets: Sequence[Target], pixels: Sequence[Pixels]) -> list[NDArray[np.float32]]:
        """Return the logits of each target at pixels, which count from the corner of its box. Raises NotFinite."""
        with self.stopwatch("pre"):
            ends = np.cumsum([0, *(len(columns) for columns, _ in pixels)])
            positions = np.concatenate(
                [np.stack(each, -1) + target.box[:2] for target, each in zip(targets, pixels, strict=True)]
            )
            points = to_units(torch.from_numpy(positions).to(self.device) + 0.5, *targets[0].frame)
            prompts = torch.stack([target.prompt for target in targets])
        with self.stopwatch("model"):
            logits = [points.new_empty(0)]
            chunk = POINTS_PER_CALL[self.device.type]
            for start in range(0, len(points), chunk):
                lengths = np.diff(ends.clip(start, start + chunk))
                here = lengths.nonzero()[0].tolist()
                encoded = [targets[i].encoded for i in here]
                part = points[start : start + chunk]
                logits.append(self.model.decode_many(part, encoded, prompts[here], lengths[here].tolist()))
        with self.stopwatch("post"):
            parts = np.split(torch.cat(logits).cpu().numpy(), ends[1:-1])
            for target, each in zip(targets, parts, strict=True):
                check_finite(each, self.name, target.guide or f"the prompt with the search box {target.box}")
            return parts


def _groups(sizes: Sequence[int], limit: int) -> list[slice]:
    """Split a sequence into groups: the sizes of a group sum to at most `limit`, or it is one larger item."""
    groups, start, total = [], 0, 0
    for i, size in enumerate(sizes):
        if total + size > limit and i > start:
            groups.append(slice(start, i))
            start, total = i, 0
        total += size
    return [*groups, slice(start, len(sizes))] if sizes else []


def network_input(patches: Patches[NDArray[np.uint8]], width: int, height: int) -> tuple[list[Tensor], Tensor]:
    """Convert patches of a `width`×`height` image to the input of the released networks.

    Returns:
        For each size p, float32 (n, 3, p, p) in 0…1; and the centres of all patches, float32 (Σn, 2), in units of
        128 px.
    """
    pixels = [torch.from_numpy(p).permute(0, 3, 1, 2).float() / 255 for p in patches.pixels.values()]
    centres = torch.from_numpy(np.concatenate(list(patches.centres.values())))
    return pixels, to_units(centres, width, height).float()


def to_units(points: Tensor, width: int, height: int) -> Tensor:
    """Convert pixels (…, 2), with centres at +½, to units of 128 px from the centre of the image.

    Half a pixel is subtracted because the authors put pixel centres at whole numbers.
    """
    return (points - points.new_tensor((0.5 + width / 2, 0.5 + height / 2))) / RELEASED_UNIT
