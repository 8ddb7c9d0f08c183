"""Drawn textures: labels, covers, dials and signs. They are uint8 RGB, upright; colours are sRGB 0…255."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.sources.starter.glb import Colour
from objascale.sources.starter.textures import Texture, mottled, noise, resized, shade, to_image


def canvas(width: int, height: int, colour: Colour) -> Texture:
    """Return an image of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def text(
    image: Texture, words: str, centre: tuple[float, float], height: float, colour: Colour, weight: int = 2
) -> None:
    """Draw a line of capitals into the image, centred on `centre` (x, y, px), `height` px tall."""
    (width, tall), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_DUPLEX, 1.0, 1)
    scale = height / tall
    origin = (round(centre[0] - width * scale / 2), round(centre[1] + height / 2))
    cv2.putText(image, words, origin, cv2.FONT_HERSHEY_DUPLEX, scale, colour, weight, cv2.LINE_AA)


def label(rng: np.random.Generator, paper: Colour, ink: Colour, words: str) -> Texture:
    """A product label for one turn (512×256): borders, a name on front and back, an emblem, small print."""
    image = canvas(512, 256, paper)
    for y in (14, 242):
        cv2.line(image, (0, y), (512, y), ink, 6)
    for x in (128, 384):
        cv2.rectangle(image, (x - 100, 60), (x + 100, 118), ink, -1)
        text(image, words, (x, 89), 26, paper, 3)
        cv2.circle(image, (x, 165), 30, shade(ink, 1.6), -1, cv2.LINE_AA)
        cv2.circle(image, (x, 165), 20, paper, -1, cv2.LINE_AA)
        cv2.fillPoly(image, [star(x, 165, 18, int(rng.integers(4, 8)))], ink, cv2.LINE_AA)
        for y in (208, 218, 228):
            half = int(rng.integers(35, 80))
            cv2.line(image, (x - half, y), (x + half, y), ink, 2)
    return image


def star(x: float, y: float, radius: float, points: int) -> NDArray[np.float64]:
    """Return the outline of a star as int32 px for OpenCV."""
    angle = np.pi * np.arange(2 * points) / points - np.pi / 2
    reach = radius * np.where(np.arange(2 * points) % 2, 0.45, 1.0)
    return np.round(np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], axis=1)).astype(np.int32)


def book_cover(rng: np.random.Generator, cloth: Colour, foil: Colour, title: str) -> Texture:
    """A cover (256×352): worn cloth, a double frame, a title and an emblem in foil."""
    image = resized(mottled(rng, cloth, 0.12, 12), 256, 352)
    cv2.rectangle(image, (14, 14), (241, 337), foil, 3)
    cv2.rectangle(image, (22, 22), (233, 329), foil, 1)
    for row, word in enumerate(title.split()):
        text(image, word, (128, 78 + 44 * row), 28, foil, 3)
    cv2.circle(image, (128, 236), 46, foil, 3, cv2.LINE_AA)
    cv2.fillPoly(image, [star(128, 236, 40, int(rng.integers(4, 10)))], foil, cv2.LINE_AA)
    return image


def pages(rng: np.random.Generator) -> Texture:
    """The edge of a block of pages: fine vertical lines."""
    lines = np.repeat(rng.uniform(0.8, 1.0, 128), 2)[None, :, None]
    return to_image(np.asarray((238, 228, 204)) * lines * np.ones((64, 1, 1)))


def clock_face(rng: np.random.Generator, paper: Colour, ink: Colour) -> Texture:
    """A dial (256×256) with twelve numerals and minute marks. The hands are part of the mesh."""
    image = canvas(256, 256, paper)
    cv2.circle(image, (128, 128), 122, ink, 3, cv2.LINE_AA)
    roman = rng.random() < 0.4
    numerals = "XII I II III IV V VI VII VIII IX X XI" if roman else "12 1 2 3 4 5 6 7 8 9 10 11"
    for minute in range(60):
        direction = np.array([np.sin(minute * np.pi / 30), -np.cos(minute * np.pi / 30)])
        inner = 108 if minute % 5 else 104
        ends = [tuple(np.round(128 + direction * r).astype(int).tolist()) for r in (inner, 116)]
        cv2.line(image, ends[0], ends[1], ink, 1 if minute % 5 else 4, cv2.LINE_AA)
    for hour, numeral in enumerate(numerals.split()):
        angle = hour * np.pi / 6
        centre = (128 + 84 * np.sin(angle), 128 - 84 * np.cos(angle))
        text(image, numeral, centre, 15 if roman else 21, ink, 2)
    return image


def stop_face(rng: np.random.Generator, red: Colour) -> Texture:
    """The face of a stop sign (256×256) with a white rim; the mesh cuts it to an octagon."""
    image = mottled(rng, red, 0.06)
    angle = np.pi / 8 + np.arange(8) * np.pi / 4
    rim = 128 + 124 * np.stack([np.cos(angle), np.sin(angle)], axis=1) / np.cos(np.pi / 8)
    cv2.polylines(image, [np.round(rim).astype(np.int32)], True, (240, 240, 238), 14, cv2.LINE_AA)
    text(image, "STOP", (128, 128), 54, (244, 244, 242), 9)
    return image


def street_name(ground: Colour, words: str) -> Texture:
    """A street-name plate (512×96) with a white rim."""
    image = canvas(512, 96, ground)
    cv2.rectangle(image, (6, 6), (505, 89), (242, 242, 240), 5)
    text(image, words, (256, 48), 40, (244, 244, 242), 5)
    return image


def basketball_skin(rng: np.random.Generator, rubber: Colour, seam: Colour) -> Texture:
    """Pebbled rubber with the seams of eight panels, by longitude and latitude of a sphere (512×256)."""
    longitude = (np.arange(512) + 0.5) * 2 * np.pi / 512
    latitude = np.pi / 2 - (np.arange(256)[:, None] + 0.5) * np.pi / 256
    x, y = np.sin(longitude) * np.cos(latitude), np.sin(latitude) + 0 * longitude
    z = np.cos(longitude) * np.cos(latitude)
    distance = np.minimum.reduce([np.abs(y), np.abs(x), np.abs(np.abs(x) - 0.45 - 0.28 * y**2)])
    pebbles = cv2.resize(noise(rng, 70, 3), (512, 256))
    wear = 0.9 + 0.2 * cv2.resize(noise(rng, 4), (512, 256))
    leather = np.asarray(rubber) * (wear * (0.82 + 0.3 * pebbles))[..., None]
    line = np.clip((0.030 - distance) * 90 + 0 * z, 0, 1)[..., None]
    return to_image(leather * (1 - line) + np.asarray(seam) * line)


def airliner(rng: np.random.Generator, white: Colour, accent: Colour, stripe: bool) -> Texture:
    """The skin of a fuselage (512×512), nose at the top, belly at both edges: windows and a band on each side."""
    image = canvas(512, 512, white)
    cv2.rectangle(image, (0, 0), (70, 511), shade(white, 0.82), -1)
    cv2.rectangle(image, (441, 0), (511, 511), shade(white, 0.82), -1)
    for side in (-1, 1):
        x = 256 + side * 128
        if stripe:
            low, high = sorted((x + side * 10, x + side * 34))
            cv2.rectangle(image, (low, 40), (high, 511), accent, -1)
        for y in range(104, 420, 10):
            cv2.rectangle(image, (x - 7, y), (x + 6, y + 5), (30, 38, 52), -1)
        for y in (92, 250, 410):
            cv2.rectangle(image, (x - 14, y - 6), (x + 16, y + 5), shade(white, 0.7), 1)
    if not stripe:
        cv2.rectangle(image, (0, 420), (511, 511), accent, -1)
    cockpit = np.array([[166, 40], [190, 30], [322, 30], [346, 40], [340, 52], [172, 52]])
    cv2.fillPoly(image, [cockpit], (24, 30, 42), cv2.LINE_AA)
    return image


def panel_van(rng: np.random.Generator, ground: Colour, accent: Colour, words: str) -> Texture:
    """The side of a cargo box (512×256): ribs, a slanted band, a name."""
    image = resized(mottled(rng, ground, 0.05), 512, 256)
    slant = int(rng.integers(-90, 90))
    band = np.array([[60 + slant, 255], [200 + slant, 255], [300 + slant, 0], [160 + slant, 0]])
    cv2.fillPoly(image, [band], accent, cv2.LINE_AA)
    for x in range(16, 512, 32):
        cv2.line(image, (x, 0), (x, 255), shade(ground, 0.86), 2)
    text(image, words, (256, 118), 62, shade(accent, 0.45), 9)
    return image
