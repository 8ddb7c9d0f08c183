"""`objascale doctor`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from objascale.terminal import errors


def doctor(
    blender: Annotated[bool, typer.Option("--blender", help="Check Blender only.")] = False,
) -> None:
    """Show what works on this machine, and what to install for the rest.

    The exit code is 1 if something does not work that the usual commands need.
    """
    from objascale.checks import all_checks, blender_check

    console = Console(highlight=False)
    works = True
    with errors():
        for check in [blender_check()] if blender else all_checks():
            mark, style = ("ok", "green") if check.works else ("–", "yellow") if check.optional else ("no", "red")
            console.print(Text.assemble((f"{mark:>3}", style), f"  {check.name:<14} {check.found}"), soft_wrap=True)
            if check.remedy:
                console.print(Text(f"{'':21}→ {check.remedy}"), soft_wrap=True)
            works = works and (check.works or check.optional)
    if not works:
        raise typer.Exit(1)
