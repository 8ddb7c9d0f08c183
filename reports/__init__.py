"""Tables, figures and HTML pages from the results of `bench run`.

    import reports

    reports.figure("iou-by-size", frame)  # a frame of bench.evaluate
    reports.table("iou", frame)

Names are imported on first use, so that `import reports` is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.api import figure, table

__all__ = ["figure", "table"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from reports import api

    return getattr(api, name)
