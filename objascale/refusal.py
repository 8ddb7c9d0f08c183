"""The one way of saying that a spec cannot be rendered."""

from __future__ import annotations


class Refusal(Exception):
    """A spec that cannot be rendered, with a short machine-readable reason beside the sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
