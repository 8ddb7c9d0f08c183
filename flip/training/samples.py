"""What a model in training finds, as a picture: held-out objects magnified, the truth's outline, and its mask."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from flip.gaussian import Gaussian
from flip.sampler import NoPatches
from flip.show import BLACK, WHITE, draw_outlines
from flip.training.tasks import Predictor
from flip.training.validation import decoded
from objascale.datasets import Sample
from objascale.masks import RegionMask

ROWS, COLUMNS = 2, 4
SIDE = 320  # px of a tile
MARGIN = 0.35  # of the object's longer side, around it
FOUND = (255, 140, 0)  # RGB
OPACITY = 0.45


def draw_samples(predictor: Predictor, held: Sequence[Sample]) -> NDArray[np.uint8]:
    """Eight objects, evenly from all of the held-out pictures and always the same: uint8 RGB, 640×1280.

    The mask that is found is orange, the truth has a white and black outline, and its IoU is written below. Raises
    TrainingError for a picture or a mask that cannot be read.
    """
    sheet = np.zeros((ROWS, SIDE, COLUMNS, SIDE, 3), np.uint8)
    for number, which in enumerate(np.linspace(0, len(held) - 1, min(ROWS * COLUMNS, len(held))).astype(int)):
        image, masks = decoded(held[which])
        if masks:
            predictor.set_image(image)
            tile = _tile(predictor, image, masks[number % len(masks)])
            sheet[number // COLUMNS, :, number % COLUMNS] = tile
    return sheet.reshape(ROWS * SIDE, COLUMNS * SIDE, 3)


def _tile(predictor: Predictor, image: NDArray[np.uint8], mask: RegionMask) -> NDArray[np.uint8]:
    try:
        found = predictor.predict(gaussian=Gaussian.from_mask(mask))
    except NoPatches:
        found = RegionMask.empty(mask.width, mask.height)
    x0, y0, x1, y1 = mask.tight().box or (0, 0, mask.width, mask.height)
    scale = SIDE / (max(x1 - x0, y1 - y0) * (1 + 2 * MARGIN) + 4)
    shift = (SIDE - scale * np.array((x0 + x1, y0 + y1))) / 2
    shift += scale / 2 - 0.5  # OpenCV's pixels have their centres at whole numbers
    to_tile = np.column_stack((scale * np.eye(2), shift))
    how = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_LINEAR
    tile = np.asarray(cv2.warpAffine(image, to_tile, (SIDE, SIDE), flags=how), np.uint8)
    ours, truth = (
        cv2.warpAffine(each.full().astype(np.uint8), to_tile, (SIDE, SIDE), flags=cv2.INTER_NEAREST) > 0
        for each in (found, mask)
    )
    tile[ours] = (tile[ours] * (1 - OPACITY) + np.array(FOUND) * OPACITY).astype(np.uint8)
    draw_outlines(tile, truth)
    for colour, thickness in ((BLACK, 4), (WHITE, 1)):
        text = f"IoU {found.iou(mask):.2f}, {mask.area} px"
        cv2.putText(tile, text, (8, SIDE - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness, cv2.LINE_AA)
    return tile
