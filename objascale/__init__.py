"""ObjaScale: Objaverse objects before HDRI backgrounds, 512 to 8192 px, with exact masks.

    from objascale import render

    dataset = render("data/mine", n=12, max_px=1024)

Importing this package imports neither Blender nor PyTorch. `render` is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from objascale.api import render

__all__ = ["render"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from objascale import api

    return getattr(api, name)
