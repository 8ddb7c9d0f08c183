"""The values that options of `bench` take, apart from the modules that implement them.

This module imports nothing heavy, so that `--help` is fast.
"""

from __future__ import annotations

from typing import Literal

PromptSource = Literal["matched", "box", "gaussian", "point"]
"""What prompts are made from; see `bench.prompts`."""

GroupBy = Literal["size", "category"]
"""What the rows of the table of `bench compare` are."""
