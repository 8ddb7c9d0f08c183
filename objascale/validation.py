"""JSON that may be damaged, and errors of other libraries in plain words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

_MAX_VALUE_LENGTH = 40  # characters of a wrong value that a message repeats
_MAX_ERROR_LENGTH = 200  # characters of another library's message
_ADDRESS = re.compile(r"\s*<[^<>]* object at 0x[0-9a-f]+>")
_SENTENCES = {
    "missing": "is missing",
    "path_type": "should be a path",
    "too_short": "is empty",
    "extra_forbidden": "is not a known setting",
}


def parse_json(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError, also for values nested too deeply, where `json.loads` raises RecursionError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


def in_one_line(error: BaseException) -> str:
    """Return the message of another library's exception in one line, without addresses of objects.

    Example:
        >>> in_one_line(OSError("cannot identify image file <_io.BytesIO object at 0x7f97f120d9e0>"))
        'cannot identify image file'
        >>> in_one_line(KeyError("width"))
        'width is missing'
    """
    text = str(error.args[0] if error.args else "it is damaged")
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    elif isinstance(error, UnicodeDecodeError):
        text = "it is not in UTF-8"
    elif isinstance(error, KeyError) and text.isidentifier():
        text = f"{text} is missing"
    elif isinstance(error, TypeError | AttributeError):  # about Python's types
        text = "a part of it has another form"
    text = " ".join(_ADDRESS.sub("", text).split())
    return text if len(text) <= _MAX_ERROR_LENGTH else f"{text[:_MAX_ERROR_LENGTH]}…"


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
