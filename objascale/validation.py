"""Errors of pydantic models in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

_MAX_VALUE_LENGTH = 40  # characters of a wrong value that a message repeats
_SENTENCES = {"missing": "is missing", "extra_forbidden": "is not a known setting"}


def describe_errors(error: ValidationError) -> str:
    """Return one clause per error, such as "optimiser.rate should be greater than 0, not -1", joined by "; "."""
    return "; ".join(_clause(detail) for detail in error.errors())


def _clause(detail: Any) -> str:
    where = ".".join(map(str, detail["loc"]))
    message = str(detail["msg"])
    if message.startswith("Value error, "):
        message = message.removeprefix("Value error, ")
    elif detail["type"] in _SENTENCES:
        message = _SENTENCES[detail["type"]]
    else:
        value = repr(detail["input"])
        shown = value if len(value) <= _MAX_VALUE_LENGTH else f"{value[:_MAX_VALUE_LENGTH]}…"
        message = f"{message.removeprefix('Input ')}, not {shown}"
    return f"{where} {message}".strip()
