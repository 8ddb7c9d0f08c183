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
from objascale.plan import RenderSettings, SceneSpec
from objascale.records import RenderRequest
from objascale.sources import Asset
from objascale.verify import Damage

SHARE = 0.999
"""Of the pixels away from the objects, so many must be within 1 of 255."""

_REFERENCE_SAMPLES = 256
_MARGIN = 3  # px around the mask that are not background


@dataclass(frozen=True)
class Comparison:
    """One picture rendered again, twice: as it was made, and as Blender renders it whole."""

    file: str
    width: int
    area: int  # of all masks together
    same_bytes: bool  # rendered again it is the stored one, byte for byte, as on one kind of processor it must be
    mask_px: int  # pixels at which the new masks differ from the annotated ones
    stored_share: float  # pixels of the stored picture within 1 of 255 of the new one
    background_share: float  # pixels away from the objects within 1 of 255 of Blender's full frame
    background_largest: int  # largest difference there, of 255
    object_mean: float  # mean difference on the objects, of 255: their noise and the denoiser's work

    def damages(self) -> list[Damage]:
        """What is worse than promised."""
        found = []
        if self.mask_px:
            found.append(f"its masks, rendered again, differ at {self.mask_px} px")
        if self.stored_share < SHARE:
            found.append(
                f"rendered again, only {self.stored_share:.3%} of its pixels are within 1 of 255 (on another kind of "
                "processor, objects with coincident surfaces may differ more)"
            )
        if self.background_share < SHARE:
            found.append(f"only {self.background_share:.3%} of its background is within 1 of 255 of Blender's own")
        return [Damage(self.file, message) for message in found]


def choose_records(
    done: list[dict[str, Any]], count: int, max_px: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """`count` random journal records (fewer if there are fewer) of pictures up to `max_px` a side.

    Raises DatasetError if there is none.
    """
    fitting = [record for record in done if max(record["spec"]["width"], record["spec"]["height"]) <= max_px]
    if not fitting:
        raise DatasetError(f"no picture is {max_px} px or smaller; raise --max-px")
    return [fitting[i] for i in rng.permutation(len(fitting))[:count]]


def compare_full_frame(
    folder: Path, record: dict[str, Any], settings: RenderSettings, assets: list[Asset], worker: Worker, scratch: Path
) -> Comparison | Damage:
    """Render a picture again, whole, and compare.

    The reference is Blender's own full frame at 256 paths a pixel, neither adaptive nor denoised. Raises DatasetError
    if the assets do not hold the picture's objects and map, told by their SHA-256.
    """
    spec = SceneSpec.from_json(record["spec"])
    file = record["annotations"][0]["file"]
    *objects, environment = _used_assets(spec, file, assets)
    lossless = settings.model_copy(update={"format": "png"})
    reference = lossless.model_copy(update={"samples": _REFERENCE_SAMPLES, "noise_threshold": 0, "denoise": False})
    request = RenderRequest(spec, lossless, tuple(objects), environment, scratch, "again.png")
    full_frame = scratch / "full.png"
    whole = replace(request, settings=reference, file="reference.png", full_frame=full_frame)
    try:
        again = worker.ask(request)
        last = again if isinstance(again, Refused) else worker.ask(whole)
    except WorkerLost as error:
        return Damage(file, f"it cannot be rendered again: {error}")
    if isinstance(last, Refused):
        return Damage(file, f"it cannot be rendered again: {last.message}")
    assert isinstance(again, Rendered)

    new, blenders = _decode((scratch / "again.png").read_bytes()), _decode(full_frame.read_bytes())
    data = encode(new, settings.format)
    stored = (folder / file).read_bytes()
    masks = [mask_of(row) for row in record["annotations"]]
    now = [mask_of(vars(row)) for row in again.annotations]
    full = np.zeros((spec.height, spec.width), bool)
    for mask in masks:
        full |= mask.full()
    near = cv2.dilate(full.astype(np.uint8), np.ones((2 * _MARGIN + 1,) * 2, np.uint8)) > 0
    difference = _difference(new, blenders)
    background = difference[~near]
    return Comparison(
        file=file,
        width=spec.width,
        area=sum(mask.area for mask in masks),
        same_bytes=data == stored,
        mask_px=sum(
            mask.area + other.area - 2 * mask.intersection(other) for mask, other in zip(masks, now, strict=True)
        ),
        stored_share=_share(_difference(_decode(stored), _decode(data))),
        background_share=_share(background),
        background_largest=int(background.max(initial=0)),
        object_mean=float(difference[full].mean()),
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
    """H×W×3 RGB."""
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Largest difference over the channels, H×W."""
    return np.asarray(cv2.absdiff(one, other), np.uint8).max(2)


def _share(difference: NDArray[np.uint8]) -> float:
    return float((difference <= 1).mean()) if difference.size else 1.0
