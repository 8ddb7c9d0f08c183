"""Sample images of a validation: predicted masks over magnified objects."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from flip.gaussian import Gaussian
from flip.sampler import NoPatches
from flip.show import BLACK, WHITE, draw_outlines
from flip.training.tasks import Predictor
from flip.training.validation import HeldOut, decode_sample
from objascale.datasets import Sample
from objascale.masks import RegionMask

TILE_ROWS, TILE_COLUMNS = 2, 4
TILE_SIDE = 320  # px
TILE_MARGIN = 0.35  # of the object's longer side, on each side
PREDICTION_COLOUR = (255, 140, 0)  # RGB orange, rare in photographs
PREDICTION_OPACITY = 0.45  # the image stays visible


def draw_samples(predictor: Predictor, validation: Sequence[Sample]) -> NDArray[np.uint8]:
    """Draw up to eight objects, at regular intervals over all validation images; uint8 RGB, (640, 1280, 3).

    The predicted mask is orange. The true mask has a white and black outline. The IoU is written below. The same images
    give the same objects. Raises TrainingError if an image or a mask cannot be read.
    """
    sheet = np.zeros((TILE_ROWS, TILE_SIDE, TILE_COLUMNS, TILE_SIDE, 3), np.uint8)
    num_tiles = min(TILE_ROWS * TILE_COLUMNS, len(validation))
    for number, which in enumerate(np.linspace(0, len(validation) - 1, num_tiles).astype(int)):
        image, objects = decode_sample(validation[which])
        if objects:
            predictor.set_image(image)
            tile = _tile(predictor, image, objects[number % len(objects)])
            sheet[number // TILE_COLUMNS, :, number % TILE_COLUMNS] = tile
    return sheet.reshape(TILE_ROWS * TILE_SIDE, TILE_COLUMNS * TILE_SIDE, 3)


def _tile(predictor: Predictor, image: NDArray[np.uint8], shown: HeldOut) -> NDArray[np.uint8]:
    mask = shown.mask
    try:
        pred = predictor.predict(gaussian=Gaussian.from_mask(mask))
    except NoPatches:
        pred = RegionMask.empty(mask.width, mask.height)
    x0, y0, x1, y1 = mask.tight().box or (0, 0, mask.width, mask.height)
    scale = TILE_SIDE / (max(x1 - x0, y1 - y0) * (1 + 2 * TILE_MARGIN) + 4)
    shift = (TILE_SIDE - scale * np.array((x0 + x1, y0 + y1))) / 2
    shift += scale / 2 - 0.5  # in OpenCV, pixel centres are integers
    to_tile = np.column_stack((scale * np.eye(2), shift))
    interpolation = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_LINEAR
    tile = np.asarray(cv2.warpAffine(image, to_tile, (TILE_SIDE, TILE_SIDE), flags=interpolation), np.uint8)
    pred_pixels, true_pixels = (
        cv2.warpAffine(each.full().astype(np.uint8), to_tile, (TILE_SIDE, TILE_SIDE), flags=cv2.INTER_NEAREST) > 0
        for each in (pred, mask)
    )
    blend = tile[pred_pixels] * (1 - PREDICTION_OPACITY) + np.array(PREDICTION_COLOUR) * PREDICTION_OPACITY
    tile[pred_pixels] = blend.astype(np.uint8)
    draw_outlines(tile, true_pixels)
    for colour, thickness in ((BLACK, 4), (WHITE, 1)):
        text = f"IoU {shown.iou(pred):.2f}, {mask.area} px"
        cv2.putText(tile, text, (8, TILE_SIDE - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness, cv2.LINE_AA)
    return tile
