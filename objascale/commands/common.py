"""Error handling and an argument that the commands share."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from objascale import terminal
from objascale.terminal import UsageError, complain

DatasetFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A dataset that objascale render made.")]


@contextmanager
def errors() -> Iterator[None]:
    """End the command with one sentence for an error that a user can cause. Settings are named by their options."""
    from pydantic import ValidationError

    from objascale.color import ColorError
    from objascale.dataset import DatasetError
    from objascale.engine import Fatal
    from objascale.plan import PlanError
    from objascale.sources import SourceError

    with terminal.errors(SourceError, PlanError, DatasetError, ColorError, Fatal):
        try:
            yield
        except ValidationError as error:
            raise UsageError("; ".join(_sentence(detail) for detail in error.errors())) from None


def complain_by_reason(reasons: Counter[str], consequence: str) -> None:
    """Print the number of refusals in all, followed by the consequence, and for each reason."""
    if reasons:
        complain(f"{reasons.total()} refused: {consequence}")
    for reason, times in reasons.most_common():
        complain(f"  {times} × {reason}")


def _sentence(detail: Any) -> str:
    """Format one error of pydantic, with `max_px` as --max-px."""
    where = "".join(f"{_option(str(name))} " for name in detail["loc"][:1])
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return where + re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda name: _option(name[0]), message)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
