"""The colours of all figures: the palette of Okabe and Ito (2008), which colour-blind readers can tell apart."""

from __future__ import annotations

ORANGE, SKY, GREEN, YELLOW = "#e69f00", "#56b4e9", "#009e73", "#f0e442"
BLUE, VERMILION, PURPLE = "#0072b2", "#d55e00", "#cc79a7"


def rgb(colour: str) -> tuple[int, int, int]:
    """Return a colour such as "#e69f00" as red, green and blue, 0 to 255."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
