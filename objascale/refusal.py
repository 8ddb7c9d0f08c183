"""The exception for specs that cannot be rendered."""

from __future__ import annotations

from pathlib import Path

from objascale.files import remembered_sha256


class Refusal(Exception):
    """A spec cannot be rendered.

    Args:
        reason: Machine-readable reason, one of the table in docs/formats.md.
        message: One sentence that names the file or the object.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)  # both, because pickle calls the class with these arguments
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[1])


def refuse_changed(path: Path, sha256: str) -> None:
    """Refuse an asset whose bytes are not the planned ones.

    A process reads each file once, and again only if it was changed since.

    Args:
        path: The object or environment map.
        sha256: The SHA-256 that the plan names, in hexadecimal.

    Raises:
        Refusal: `changed`, or `unreadable` if the file cannot be read.
    """
    try:
        found = remembered_sha256(path)
    except OSError as error:
        raise Refusal("unreadable", f"{path} cannot be read: {error.strerror}") from error
    if found != sha256:
        raise Refusal("changed", f"{path} is no longer the file that the plan names; its SHA-256 is now {found}")
