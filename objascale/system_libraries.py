"""The system libraries that Blender's module needs, and the packages that contain them."""

from __future__ import annotations

import ctypes
from typing import NamedTuple


class _Packages(NamedTuple):
    """Names of the package with a library in Debian and Ubuntu, in Fedora and its kin, and in Arch Linux."""

    apt: str
    dnf: str
    pacman: str


_LIBRARIES = {
    "libX11.so.6": _Packages("libx11-6", "libX11", "libx11"),
    "libXrender.so.1": _Packages("libxrender1", "libXrender", "libxrender"),
    "libXfixes.so.3": _Packages("libxfixes3", "libXfixes", "libxfixes"),
    "libXi.so.6": _Packages("libxi6", "libXi", "libxi"),
    "libxkbcommon.so.0": _Packages("libxkbcommon0", "libxkbcommon", "libxkbcommon"),
    "libSM.so.6": _Packages("libsm6", "libSM", "libsm"),
    "libGL.so.1": _Packages("libgl1", "libglvnd-glx", "libglvnd"),
    "libEGL.so.1": _Packages("libegl1", "libglvnd-egl", "libglvnd"),
}
_INSTALL = {"apt": "apt-get install", "dnf": "dnf install", "pacman": "pacman -S"}


def missing_libraries() -> list[str]:
    """Return the file names of the libraries of Blender that the dynamic linker cannot load."""
    return [name for name in _LIBRARIES if not _loads(name)]


def install_commands(names: list[str]) -> str:
    """Return the commands that install libraries, for apt, dnf and pacman.

    Args:
        names: File names of `missing_libraries`.
    """
    commands = []
    for manager, install in _INSTALL.items():
        packages = dict.fromkeys(getattr(_LIBRARIES[name], manager) for name in names)
        commands.append(f"{install} {' '.join(packages)}")
    return " (or: ".join([commands[0], "; ".join(commands[1:])]) + ")"


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
