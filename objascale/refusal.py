"""The exception for specs that cannot be rendered, and the reasons for it."""

from __future__ import annotations

from pathlib import Path

from objascale.files import LFS_HELP, is_lfs_pointer, remembered_sha256

REASONS = {
    "changed": "The file has changed since it was planned: make the plan again",
    "git-lfs": "Git LFS pointer: run git lfs pull",
    "truncated": "The file is cut short: download it again",
    "wrong-count": "The file's header declares another count than the file holds: export it again",
    "unreadable": "The file is damaged or not of its format: download or export it again",
    "gltf-1": "glTF 1.0: convert it to glTF 2.0, for example with gltf-pipeline",
    "unsupported": "The file needs a glTF extension that is not supported: export it without the extension",
    "missing-file": "A file that the object refers to is missing: put it beside the object",
    "outside-reference": "The object refers to a file outside its folder: copy that file into the folder",
    "no-geometry": "The object has no visible triangles: export its surfaces as a mesh",
    "not-finite": "The object has vertices that are not finite: repair the mesh",
    "too-many-triangles": "The object has too many triangles: simplify the mesh",
    "too-large": "The file or its textures are too large: reduce them",
    "does-not-fit": "The object does not fit into the picture at the drawn size",
    "hidden": "Other objects hide the object",
    "too-thin": "The object covers too few pixels at the drawn size",
    "bad-map": "The environment map cannot be used: replace it or leave it out",
    "worker-lost": "Blender crashed or hung: leave the object or the map out",
    "error": "Unexpected error: please report it with errors.log",
}
"""Kind of refusal → reason. The table in docs/formats.md lists them with their conditions."""

LASTING_REASONS = frozenset(
    ("truncated", "wrong-count", "gltf-1", "unsupported", "no-geometry", "not-finite", "too-many-triangles")
)
"""Kinds that the content of an object's file decides. Other kinds may end when other files or permissions change."""


class Refusal(Exception):
    """A spec cannot be rendered.

    Args:
        kind: A key of REASONS.
        message: One sentence that names the file or the object.
        details: Text for a bug report, such as another program's error.

    Attributes:
        object_sha256: SHA-256 of the object whose import was refused; "" if the refusal has another cause.
    """

    object_sha256 = ""

    def __init__(self, kind: str, message: str, details: str = "") -> None:
        assert kind in REASONS, kind
        super().__init__(kind, message, details)  # all, because pickle calls the class with these arguments
        self.kind = kind
        self.details = details

    def __str__(self) -> str:
        return str(self.args[1])


def refuse_lfs_pointer(path: Path) -> None:
    """Refuse a Git LFS pointer. Raises Refusal or OSError."""
    if is_lfs_pointer(path):
        raise Refusal("git-lfs", f"{path} {LFS_HELP}")


def refuse_changed(path: Path, sha256: str) -> None:
    """Refuse an asset whose bytes are not the planned ones.

    A process reads each file once, and again only if it was changed since.

    Args:
        path: The object or environment map.
        sha256: The SHA-256 that the plan names, in hexadecimal.

    Raises:
        Refusal: `changed`, `git-lfs`, or `unreadable` if the file cannot be read.
    """
    try:
        refuse_lfs_pointer(path)
        found = remembered_sha256(path)
    except OSError as error:
        raise Refusal("unreadable", f"{path} cannot be read: {error.strerror}") from error
    if found != sha256:
        raise Refusal("changed", f"{path} is no longer the file that the plan names; its SHA-256 is now {found}")
