"""Atomic writes, hashes, and the cache folder."""

from __future__ import annotations

import hashlib
import os
import secrets
from functools import lru_cache
from pathlib import Path

LFS_HELP = "is a Git LFS pointer; run git lfs pull in its repository"
"""The end of a message about a file that `is_lfs_pointer` recognises."""

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is complete or absent, and make its folder. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = unique_partial(path)
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def unique_partial(path: Path) -> Path:
    """Return a hidden path beside `path`, `.NAME.RANDOM.part`, for writing before the file is moved to `path`.

    It is random because process ids are not unique: threads share one, and hosts may have equal ones.
    """
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")


def cache_folder() -> Path:
    """Return the folder of downloads and generated files: $XDG_CACHE_HOME/objascale, or ~/.cache/objascale."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "objascale"


def is_lfs_pointer(content: Path | bytes) -> bool:
    """Return whether a file is a Git LFS pointer, which stands for a file that was not downloaded.

    Args:
        content: The file, or its bytes.

    Raises:
        OSError: The file cannot be read.
    """
    if isinstance(content, bytes):
        return content.startswith(_LFS_POINTER)
    with content.open("rb") as file:
        return is_lfs_pointer(file.read(len(_LFS_POINTER)))


def file_state(path: Path) -> str:
    """Return a file's path, size and time of change, as a cheap substitute for a hash. Raises OSError."""
    status = path.stat()
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return file_digest(path, "sha256")


def remembered_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal. This process reads an unchanged file only once.

    A change shows in the file's identity, size, or the times at which its content or its entry changed. Raises OSError.
    """
    status = path.stat()
    return _sha256_of(path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@lru_cache(maxsize=1024)
def _sha256_of(path: Path, _state: tuple[int, ...]) -> str:
    return file_sha256(path)


def file_digest(path: Path, algorithm: str) -> str:
    """Return the digest of a file by one of hashlib's algorithms, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
