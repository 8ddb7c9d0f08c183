"""The exception for specs that cannot be rendered."""

from __future__ import annotations


class Refusal(Exception):
    """A spec cannot be rendered.

    Args:
        reason: Machine-readable reason, one of the table in docs/formats.md.
        message: One sentence that names the file or the object.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
