"""The values that options of `bench` take, apart from the modules that implement them.

This module imports nothing heavy, so that `--help` is fast.
"""

from __future__ import annotations

from typing import Literal, get_args

PromptSource = Literal["matched", "box", "gaussian", "point", "clicks", "worst", "detector"]
"""What prompts are made from: the true mask (see `bench.prompts`), or as a protocol of `bench.protocols` says."""

SOURCES: tuple[PromptSource, ...] = get_args(PromptSource)

PROTOCOLS: tuple[PromptSource, ...] = ("clicks", "worst", "detector")
"""The sources that are protocols."""

GroupBy = Literal["size", "category"]
"""What the rows of the table of `bench compare` are."""

MAX_NOISE = 2.0
"""Sides of the object's box. It catches typing errors such as 10 for 0.10."""

MAX_TOKENS = 1 << 16
"""Patches. It catches typing errors."""
