"""Fonts in PDF files, reduced to the outlines of their glyphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fontTools import subset

LAYOUT_TABLES = ("GDEF", "GPOS", "GSUB", "kern")


@contextmanager
def outlines_only() -> Iterator[None]:
    """Within the block, Matplotlib embeds fonts in PDF files without their layout tables.

    A PDF file states the position of each glyph, so its reader needs no layout tables. To reduce them takes most of the
    time of embedding a font. Matplotlib has no option for it; it makes a `fontTools.subset.Options` for each font.
    """
    original = subset.Options

    class OutlinesOnly(original):  # type: ignore[misc, valid-type]
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.drop_tables += LAYOUT_TABLES

    setattr(subset, "Options", OutlinesOnly)  # noqa: B010, a type checker forbids an assignment
    try:
        yield
    finally:
        setattr(subset, "Options", original)  # noqa: B010
