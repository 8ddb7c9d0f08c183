"""Procedural textures: square uint8 RGB images that repeat without a seam. Colours are sRGB 0…255."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from objascale.sources.starter.glb import Colour

Texture = NDArray[np.uint8]
Field = NDArray[np.float64]

TEXTURE_SIZE = 256  # px; a choice: the largest objects of the paper's preset have 316² px


def hex_colour(code: str) -> Colour:
    """Convert "#c0392b" to (192, 57, 43)."""
    red, green, blue = bytes.fromhex(code.removeprefix("#"))
    return red, green, blue


def pick(rng: np.random.Generator, *codes: str) -> Colour:
    """Return one of the hex colours with a small random change of hue, saturation and value."""
    pixel = np.array([[hex_colour(codes[rng.integers(len(codes))])]], np.uint8)
    hue, saturation, value = cv2.cvtColor(pixel, cv2.COLOR_RGB2HSV)[0, 0].astype(float)
    hue = (hue + rng.uniform(-4, 4)) % 180
    changed = [
        hue,
        np.clip(saturation * rng.uniform(0.8, 1.1), 0, 255),
        np.clip(value * rng.uniform(0.85, 1.1), 0, 255),
    ]
    red, green, blue = cv2.cvtColor(np.array([[changed]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """Return the colour darkened (factor < 1) or brightened towards white (factor > 1)."""
    c = np.asarray(colour, float)
    red, green, blue = (c * factor if factor <= 1 else 255 - (255 - c) / factor).round().astype(int).tolist()
    return red, green, blue


def noise(rng: np.random.Generator, cycles: ArrayLike = 8.0, roughness: float = 1.5, size: int = TEXTURE_SIZE) -> Field:
    """Return periodic cloud noise of mean ½ and standard deviation about ¼, clipped to 0…1.

    `cycles` is the number of blobs across the image, or two numbers, across and down. The amplitude of finer detail
    falls with the exponent `roughness`.
    """
    across, down = np.broadcast_to(cycles, 2)
    fx, fy = np.fft.fftfreq(size, 1 / size)[None] / across, np.fft.fftfreq(size, 1 / size)[:, None] / down
    frequency = np.hypot(fx, fy)
    gain = np.where(frequency <= 1, frequency, np.maximum(frequency, 1e-9) ** -(roughness + 1))
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * gain).real
    return np.clip(0.5 + 0.25 * field / field.std(), 0, 1)


def mix(first: ArrayLike, second: ArrayLike, weight: Field) -> Field:
    """Blend two colours or images: `first` where the weight is 0, `second` where it is 1."""
    w = np.clip(weight, 0, 1)[..., None]
    return np.asarray(first, float) * (1 - w) + np.asarray(second, float) * w


def to_image(field: Field) -> Texture:
    """Convert floats 0…255 to uint8."""
    return np.ascontiguousarray(np.clip(field, 0, 255).round(), np.uint8)


def resized(image: NDArray[Any], width: int, height: int) -> Texture:
    """Return a uint8 image at another size."""
    return np.ascontiguousarray(cv2.resize(image, (width, height)), np.uint8)


def mottled(rng: np.random.Generator, colour: Colour, amount: float = 0.1, cycles: ArrayLike = 6.0) -> Texture:
    """A plain surface of slightly uneven colour: plastic, clay, plaster, paper."""
    return to_image(np.asarray(colour) * (1 + amount * (2 * noise(rng, cycles) - 1))[..., None])


def wood(rng: np.random.Generator, light: Colour, rings: float = 9.0) -> Texture:
    """Vertical wood grain: bands of early and late wood, with fine pores."""
    sway = 0.22 * noise(rng, (2, 1)) + 0.06 * noise(rng, (8, 2))
    across = np.linspace(0, 1, TEXTURE_SIZE, endpoint=False)[None]
    bands = 0.5 + 0.5 * np.sin(2 * np.pi * (rings * sway + round(rings / 2) * across))
    pores = noise(rng, (60, 3))
    grain = mix(light, shade(light, 0.62), 0.7 * bands**2)
    return to_image(grain * (1 - 0.22 * np.clip(pores - 0.45, 0, 1))[..., None])


def painted_metal(rng: np.random.Generator, colour: Colour, wear: float = 0.3) -> Texture:
    """Paint with dirt, scratches and, as `wear` goes to 1, patches of rust."""
    paint = np.asarray(colour) * (1 + 0.12 * (noise(rng, 4) - 0.5))[..., None]
    rust = mix((122, 62, 28), (74, 40, 26), noise(rng, 20))
    patches = np.clip((noise(rng, 5) - (1.02 - 0.3 * wear)) * 14, 0, 1)
    image = to_image(mix(paint, rust, patches))
    for _ in range(int(40 * wear)):
        start = rng.integers(0, TEXTURE_SIZE, 2)
        end = start + rng.normal(0, 18, 2).astype(int)
        grey = int(rng.uniform(130, 190))
        cv2.line(image, start.tolist(), end.tolist(), (grey, grey, grey), 1, cv2.LINE_AA)
    return image


def brushed_metal(rng: np.random.Generator, colour: Colour = (190, 190, 192)) -> Texture:
    """Fine bright and dark horizontal streaks."""
    return to_image(np.asarray(colour) * (0.9 + 0.2 * noise(rng, (2, 60)))[..., None])


def weave(rng: np.random.Generator, colour: Colour, second: Colour, threads: int = 32) -> Texture:
    """Plain woven cloth: warp of one colour over weft of the other, with uneven threads."""
    t = np.arange(TEXTURE_SIZE) * threads / TEXTURE_SIZE
    warp, weft = np.abs(np.sin(np.pi * t))[None], np.abs(np.sin(np.pi * t))[:, None]
    over = (np.floor(t)[None] + np.floor(t)[:, None]) % 2
    cloth = mix(second, colour, over) * (0.65 + 0.35 * np.where(over, warp, weft))[..., None]
    return to_image(cloth * (0.9 + 0.2 * noise(rng, 12))[..., None])


def leather(rng: np.random.Generator, colour: Colour) -> Texture:
    """Fine creased cells on a worn, uneven ground."""
    creases = np.clip(1 - 9 * np.abs(noise(rng, 22, 2.5) - 0.5), 0, 1)
    worn = 0.85 + 0.3 * noise(rng, 3)
    return to_image(np.asarray(colour) * (worn * (1 - 0.3 * creases))[..., None])


def stripes(rng: np.random.Generator, colours: list[Colour], across: bool, edges: float = 0.0) -> Texture:
    """Equal bands, stacked or side by side (`across`), with borders that waver by `edges` bands."""
    t = np.linspace(0, len(colours), TEXTURE_SIZE, endpoint=False) + np.zeros((TEXTURE_SIZE, 1))
    bands = (t if across else t.T) + edges * (2 * noise(rng, 3) - 1)
    palette = np.asarray(colours, float)
    return to_image(
        palette[np.clip(bands, 0, len(colours) - 1).astype(int)] * (0.97 + 0.06 * noise(rng, 10))[..., None]
    )


def checks(rng: np.random.Generator, first: Colour, second: Colour, squares: int = 8) -> Texture:
    """Checked cloth or tiles: squares of both colours, and of their mean where only one band passes."""
    band = (np.arange(TEXTURE_SIZE) * squares // TEXTURE_SIZE) % 2
    return to_image(mix(first, second, (band[None] + band[:, None]) / 2) * (0.94 + 0.12 * noise(rng, 40))[..., None])


def dots(rng: np.random.Generator, ground: Colour, ink: Colour, rows: int = 6) -> Texture:
    """A staggered pattern of round dots."""
    t = np.arange(TEXTURE_SIZE) * rows / TEXTURE_SIZE
    y = t[:, None] + np.zeros((1, TEXTURE_SIZE))
    x = t[None] + 0.5 * (np.floor(y) % 2)
    distance = np.hypot(x % 1 - 0.5, y % 1 - 0.5)
    return to_image(mix(ground, ink, (0.27 - distance) * 20 + 0.5) * (0.95 + 0.1 * noise(rng, 5))[..., None])


def fruit_skin(rng: np.random.Generator, ground: Colour, blush: Colour, streaks: float, amount: float) -> Texture:
    """Skin from stem (top) to blossom end (bottom): a streaked blush over `amount` of a ground colour, pale pores."""
    side = 0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(TEXTURE_SIZE) / TEXTURE_SIZE + rng.random()))[None]
    cover = noise(rng, (3, 1.5)) + streaks * (noise(rng, (30, 2)) - 0.5) + 0.5 * (side - 0.5)
    skin = mix(ground, blush, (cover - 0.5) * 3 + 2 * amount - 0.5)
    pores = np.clip((noise(rng, 60, 4) - 0.84) * 8, 0, 0.5)
    return to_image(mix(skin, shade(ground, 1.6), pores))
