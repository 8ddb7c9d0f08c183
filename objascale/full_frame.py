"""Pictures of a dataset rendered again, and compared with Blender's own full frame of the same spec."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.compose import encode
from objascale.dataset import DatasetError, mask_of
from objascale.engine import Worker, WorkerLost
from objascale.engine.messages import Refused, Rendered
from objascale.finish import quality_of
from objascale.records import RenderRequest
from objascale.settings import RenderSettings
from objascale.sources import Asset
from objascale.spec import SceneSpec
from objascale.verify import Damage

MIN_SHARE = 0.999
"""Smallest share of pixels that must be within 1 of 255. A choice: processors round path tracing differently."""

_REFERENCE_SAMPLES = 256  # paths a pixel; a choice: they average the map over each pixel of the background
_MASK_MARGIN = 3  # px around the masks that are not background, because the pixel filter reaches them


@dataclass(frozen=True)
class FrameDifference:
    """Differences between a stored picture, the same picture rendered again, and Blender's full frame.

    Attributes:
        file: The picture, relative to the dataset.
        width: Its width, px.
        area: Area of all masks together, px.
        same_bytes: Whether the picture rendered again has the stored bytes. It must on the same kind of processor.
        mask_px: Number of pixels at which the new masks differ from the annotated ones.
        stored_share: Share of pixels of the stored picture within 1 of 255 of the new one.
        background_share: Share of pixels away from the objects within 1 of 255 of the full frame.
        background_largest: Largest difference there, of 255.
        object_mean: Mean difference on the objects, of 255. It shows their noise and the effect of the denoiser.
    """

    file: str
    width: int
    area: int
    same_bytes: bool
    mask_px: int
    stored_share: float
    background_share: float
    background_largest: int
    object_mean: float

    def damages(self) -> list[Damage]:
        """Return a damage for each difference above its limit."""
        found = []
        if self.mask_px:
            found.append(f"its masks, rendered again, differ at {self.mask_px} px")
        if self.stored_share < MIN_SHARE:
            found.append(
                f"rendered again, only {self.stored_share:.3%} of its pixels are within 1 of 255 (on another kind of "
                "processor, objects with coincident surfaces may differ more)"
            )
        if self.background_share < MIN_SHARE:
            found.append(f"only {self.background_share:.3%} of its background is within 1 of 255 of Blender's own")
        return [Damage(self.file, message) for message in found]


def choose_records(
    done: list[dict[str, Any]], count: int, max_px: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Choose random `done` records of the journal.

    Args:
        done: The records.
        count: Largest number of records to choose.
        max_px: Longest side of their pictures, px.
        rng: Source of the choice.

    Raises:
        DatasetError: No picture is small enough.
    """
    fitting = [record for record in done if max(record["spec"]["width"], record["spec"]["height"]) <= max_px]
    if not fitting:
        raise DatasetError(f"no picture is {max_px} px or smaller; raise --max-px")
    return [fitting[i] for i in rng.permutation(len(fitting))[:count]]


def compare_full_frame(
    folder: Path, record: dict[str, Any], settings: RenderSettings, assets: list[Asset], worker: Worker, scratch: Path
) -> FrameDifference | Damage:
    """Render a picture again, and as a full frame, and compare.

    The full frame is Blender's own, at 256 paths a pixel, without adaptive sampling and denoising.

    Args:
        folder: The dataset.
        record: The picture's record in the journal.
        settings: Settings of the dataset.
        assets: Objects and maps. The used ones are identified by their SHA-256.
        worker: Renders the pictures.
        scratch: Folder for the pictures.

    Returns:
        The differences, or the damage if the picture cannot be rendered again.

    Raises:
        DatasetError: An asset is missing.
    """
    spec = SceneSpec.from_json(record["spec"])
    file = record["annotations"][0]["file"]
    *objects, environment = _used_assets(spec, file, assets)
    lossless = settings.model_copy(update={"format": "png"})
    reference = lossless.model_copy(update={"samples": _REFERENCE_SAMPLES, "noise_threshold": 0, "denoise": False})
    request = RenderRequest(spec, lossless, tuple(objects), environment, scratch, "again.png")
    full_frame = scratch / "full.png"
    plain = replace(spec, difficulty=None)  # Blender's frame has no effects
    whole = replace(request, spec=plain, settings=reference, file="reference.png", full_frame=full_frame)
    try:
        again = worker.ask(request)
        last = again if isinstance(again, Refused) else worker.ask(whole)
    except WorkerLost as error:
        return Damage(file, f"it cannot be rendered again: {error}")
    if isinstance(last, Refused):
        return Damage(file, f"it cannot be rendered again: {last.message}")
    assert isinstance(again, Rendered)

    new, blenders = _decode((scratch / "again.png").read_bytes()), _decode(full_frame.read_bytes())
    compared = new if spec.difficulty is None else _decode((scratch / "reference.png").read_bytes())
    data = encode(new, settings.format, quality_of(spec))
    stored = (folder / file).read_bytes()
    masks = [mask_of(row) for row in record["annotations"]]
    new_masks = [mask_of(vars(row)) for row in again.annotations]
    covered = np.zeros((spec.height, spec.width), bool)
    for mask in masks:
        covered |= mask.full()
    near = cv2.dilate(covered.astype(np.uint8), np.ones((2 * _MASK_MARGIN + 1,) * 2, np.uint8)) > 0
    difference = _difference(compared, blenders)
    background = difference[~near]
    return FrameDifference(
        file=file,
        width=spec.width,
        area=sum(mask.area for mask in masks),
        same_bytes=data == stored,
        mask_px=sum(old.area + now.area - 2 * old.intersection(now) for old, now in zip(masks, new_masks, strict=True)),
        stored_share=_share(_difference(_decode(stored), _decode(data))),
        background_share=_share(background),
        background_largest=int(background.max(initial=0)),
        object_mean=float(difference[covered].mean()),
    )


def _used_assets(spec: SceneSpec, file: str, assets: list[Asset]) -> list[Asset]:
    """Return the assets of the spec's objects and, last, of its map. Raises DatasetError if one is missing."""
    by_digest = {asset.sha256: asset for asset in assets}
    used = [(item.object_id, item.sha256) for item in spec.objects] + [(spec.map_id, spec.map_sha256)]
    for name, digest in used:
        if digest not in by_digest:
            raise DatasetError(
                f"{name} of {file} is not among the assets, or has changed (SHA-256 {digest[:16]}…); "
                "give --objects and --hdris as they were given to objascale render"
            )
    return [by_digest[digest] for _, digest in used]


def _decode(data: bytes) -> NDArray[np.uint8]:
    """Decode a picture to (H, W, 3) uint8 RGB."""
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the largest absolute difference over the channels, (H, W)."""
    return np.asarray(cv2.absdiff(one, other), np.uint8).max(2)


def _share(difference: NDArray[np.uint8]) -> float:
    """Return the share of differences of at most 1; 1.0 if there is no pixel."""
    return float((difference <= 1).mean()) if difference.size else 1.0
