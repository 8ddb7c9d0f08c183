"""Random colours, and what a camera does to an image: tones, blur, noise and compression."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray


def draw_colours(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw brightness, contrast, saturation and tint.

    Returns:
        A linear map of (R, G, B, 1) in 0…1 to (R, G, B), float64 (3, 4).
    """
    saturation, contrast = rng.uniform(0.5, 1.3), rng.uniform(0.7, 1.3)
    gains = contrast * rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, 3)
    matrix = gains[:, None] * (saturation * np.eye(3) + (1 - saturation) / 3)
    return np.column_stack((matrix, np.full(3, 0.5 * (1 - contrast) + rng.normal(0, 0.04))))


def add_camera_effects(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Apply a random tone curve, and sometimes greyscale, blur, noise or JPEG compression."""
    grey, soft, noisy, compressed = rng.uniform(size=4) < (0.1, 0.3, 0.3, 0.3)
    if grey:
        image = np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    # Contrast is at most 1, so the curve makes images dark or hazy but never clips them.
    gamma, contrast = math.exp(rng.normal(0, 0.3)), min(math.exp(rng.normal(-0.15, 0.4)), 1)
    tones = rng.uniform(0, 1 - contrast) + contrast * (np.arange(256) / 255) ** gamma
    image = np.asarray(cv2.LUT(image, np.rint(255 * tones).astype(np.uint8)), np.uint8)
    if soft:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), math.exp(rng.uniform(math.log(0.3), math.log(2)))), np.uint8)
    if noisy:
        _add_noise(image, rng.integers(0, 256, image.size, dtype=np.uint8), math.exp(rng.uniform(0, math.log(16))))
    if compressed:
        _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))))
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image


@njit(cache=True, nogil=True)
def _add_noise(image: NDArray[np.uint8], noise: NDArray[np.uint8], strength: float) -> None:
    """Add uniform noise with a standard deviation of about `strength`, from random bytes."""
    flat = image.reshape(-1)
    for i in range(flat.size):
        value = flat[i] + (noise[i] - 127.5) * (strength / 74)  # 74 is the standard deviation of a random byte
        flat[i] = np.uint8(min(max(value, 0), 255))
