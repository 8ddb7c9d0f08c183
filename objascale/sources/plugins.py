"""Sources of objects of other packages: entry points of the group PLUGINS.

Each names a function `objects(path, *, seed, offline)`, which returns a list of Assets. `path` is the value of
`--objects`, or None. It raises SourceError if it cannot deliver the objects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from objascale.choices import SOURCES
from objascale.plugins import Group, Plugin, PluginBroken, installed, working
from objascale.sources import Asset, SourceError

PLUGINS: Group = "objascale.sources"


def installed_sources() -> Collection[str]:
    """Return the names of the sources of other packages, without importing them."""
    return installed(PLUGINS).keys()


def plugin_sources() -> dict[str, Callable[..., Any]]:
    """Return the sources of installed packages by name. One that fails costs a line of warning."""
    return working(PLUGINS, _of_plugin, SOURCES)


def objects(name: str, path: Path | None, *, seed: int, offline: bool) -> list[Asset]:
    """Return the objects of a source of another package.

    Args:
        name: Name of the source.
        path: Value of `--objects`.
        seed: Seed of random choices.
        offline: Whether it must not use the network.

    Raises:
        SourceError: The package cannot be imported, its function raises an exception, or it returns no Assets.
    """
    plugin = installed(PLUGINS)[name]
    try:
        source = _of_plugin(plugin)
    except PluginBroken as error:
        raise SourceError(str(error)) from error
    try:
        found = source(path, seed=seed, offline=offline)
    except SourceError:
        raise
    except Exception as error:  # the package may raise anything
        raise SourceError(str(plugin.broken(f"{type(error).__name__}: {error}"))) from error
    if not isinstance(found, list) or not found or not all(isinstance(each, Asset) for each in found):
        raise SourceError(str(plugin.broken(f"it returned {_described(found)}, not a list of Assets")))
    if missing := next((asset for asset in found if not asset.path.is_file()), None):
        raise SourceError(str(plugin.broken(f"there is no file {missing.path} of the object {missing.id}")))
    return found


def _of_plugin(plugin: Plugin) -> Callable[..., Any]:
    found = plugin.load()
    if not callable(found):
        raise plugin.broken(f"it is an object of type {type(found).__name__}, not a function")
    return found


def _described(found: object) -> str:
    return "an empty list" if found == [] else f"an object of type {type(found).__name__}"
