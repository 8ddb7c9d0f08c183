"""`objascale render` from Python."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from typer.models import OptionInfo

from objascale.commands.options import PlanOptions
from objascale.commands.planning import choose_plan
from objascale.dataset import DatasetWriter
from objascale.datasets import Dataset
from objascale.datasets.formats import open_dataset
from objascale.engine import RenderDevice
from objascale.engine.local import LocalWorker, local_engine
from objascale.rendering import Rendering
from objascale.terminal import UsageError
from objascale.validation import describe_errors


def render(
    out: str | Path,
    *,
    plan: str | Path | None = None,
    depth: bool = False,
    workers: int | None = None,
    device: RenderDevice = "auto",
    timeout: float = 1800,
    **options: Any,
) -> Dataset:
    """Render a data set with exact masks, or finish an unfinished one, as `objascale render` does.

        dataset = render("data/mine", objects="glbs", hdris="maps", n=100, seed=1)

    Args:
        out: Folder of the data set.
        plan: File of `objascale plan`. It replaces the options.
        depth: Whether to write a depth map of each picture, see `objascale.depth`.
        workers: Blender processes; None for one per core.
        device: Cycles' device.
        timeout: Time limit for one image, seconds.
        **options: The other options of `objascale render`, with underscores: `n`, `objects`, `hdris`, `source`,
            `preset`, `max_px`, `samples` and so on. `objascale render --help` describes them. An option that takes
            several names, such as `categories`, is a text or a list of texts.

    Returns:
        The data set, as `objascale.datasets.formats.open_dataset` opens it.

    Raises:
        UsageError: An option is unknown or has an impossible value.
        SourceError: A source cannot deliver objects or maps.
        PlanError: The plan is damaged, or its assets are missing.
        DatasetError: The folder holds other files or a data set of other settings, or no image could be rendered.
        Fatal: Blender or the device is missing.

    Warns:
        UserWarning: Some images could not be rendered at any draw.
    """
    folder = Path(out)
    chosen = _checked(options)
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise UsageError(f"workers is {workers!r}; give a number from 1")
    if device not in get_args(RenderDevice):
        raise UsageError(f"device is {device!r}; give one of {', '.join(get_args(RenderDevice))}")
    try:
        made = choose_plan(chosen, None if plan is None else Path(plan), folder)
        settings = local_engine(workers, device=device, timeout=timeout)
    except ValidationError as error:
        raise UsageError(describe_errors(error)) from None
    rendering = Rendering(made, DatasetWriter(folder), depth=depth)
    _, empty = rendering.finish(rendering.begin(), [LocalWorker(settings) for _ in range(settings.workers)])
    if empty:
        text = f"{len(empty)} images failed at every draw; {rendering.dataset.journal} says why"
        warnings.warn(text, UserWarning, stacklevel=2)
    return open_dataset(folder, "objascale")


def _checked(options: Mapping[str, Any]) -> PlanOptions:
    """Convert options to the types of `PlanOptions`, and check their names, values and lower bounds."""
    names = [field.name for field in fields(PlanOptions)]
    for name in options:
        if name not in names:
            near = get_close_matches(name, names, 3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
            raise UsageError(f"render has no option {name}; {hint}")
    hints = get_type_hints(PlanOptions)
    try:
        checked = TypeAdapter(PlanOptions).validate_python(
            {name: _as_on_the_command_line(value, hints[name]) for name, value in options.items()}
        )
    except ValidationError as error:
        raise UsageError(describe_errors(error)) from None
    for name, hint in get_type_hints(PlanOptions, include_extras=True).items():
        lowest = next((each.min for each in get_args(hint) if isinstance(each, OptionInfo)), None)
        if name in options and lowest is not None and getattr(checked, name) < lowest:
            raise UsageError(f"{name} is {options[name]!r}; give a number from {lowest:g}")
    return checked


def _as_on_the_command_line(value: Any, hint: Any) -> Any:
    """Return a path as text, and one or several texts or numbers of an option with a list as a list of texts."""
    if value is not None and any(get_origin(each) is list for each in (hint, *get_args(hint))):
        return [str(each) for each in (value if isinstance(value, (list, tuple)) else [value])]
    return str(value) if isinstance(value, Path) else value
