"""Plug-ins: models, data set formats and sources of other installed packages, found by their entry points.

A package declares them in its pyproject.toml, under the groups MODELS, DATASETS and SOURCES:

    [project.entry-points."objascale.models"]
    my-model = "my_package.model:MyModel"

Entry points are read when a name is not one of this project's, and for lists. `--help` reads none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeVar

Group = Literal["objascale.models", "objascale.datasets", "objascale.sources"]

Result = TypeVar("Result")

_logger = logging.getLogger(__name__)


class PluginBroken(RuntimeError):
    """A plug-in cannot be imported."""


@dataclass(frozen=True)
class Plugin:
    """An entry point of another package.

    Attributes:
        name: The name for the command line.
        package: The package, as pip names it.
        entry: The entry point.
    """

    name: str
    package: str
    entry: EntryPoint

    def load(self) -> Any:
        """Import the plug-in. Raises PluginBroken."""
        try:
            return self.entry.load()
        except (Exception, SystemExit) as error:  # the package may raise anything
            raise self.broken(f"{type(error).__name__}: {error}") from error

    def broken(self, reason: str) -> PluginBroken:
        """Return an error of one line that names the plug-in and its package."""
        kind = self.entry.group.removeprefix("objascale.")
        return PluginBroken(
            f"the plug-in {self.name} ({kind}) of the package {self.package} does not work: {' '.join(reason.split())}"
        )


@cache
def installed(group: Group) -> dict[str, Plugin]:
    """Return the plug-ins of a group by name, without importing them. Of several with a name, the first counts."""
    found: dict[str, Plugin] = {}
    for entry in entry_points(group=group):
        plugin = Plugin(entry.name, entry.dist.name if entry.dist else "unknown", entry)
        if (first := found.setdefault(entry.name, plugin)) is not plugin:
            _logger.warning("%s", plugin.broken(f"the package {first.package} has one of the same name"))
    return found


def working(group: Group, convert: Callable[[Plugin], Result], taken: Collection[str]) -> dict[str, Result]:
    """Import the plug-ins of a group. One that fails, or whose name is taken, costs a line of warning.

    Args:
        group: The group.
        convert: Imports a plug-in and checks the object that it names. Raises PluginBroken.
        taken: Names that plug-ins may not have.

    Returns:
        Results of `convert` by name.
    """
    found = {}
    for plugin in installed(group).values():
        try:
            if plugin.name in taken:
                raise plugin.broken("this project has one of the same name")
            found[plugin.name] = convert(plugin)
        except PluginBroken as error:
            _logger.warning("%s", error)
    return found
