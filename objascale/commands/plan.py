"""`objascale plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from objascale.commands.common import errors
from objascale.commands.options import PlanOptions, takes_options
from objascale.terminal import complain


@takes_options
def plan(
    options: PlanOptions,
    out: Annotated[Path, typer.Option(help="JSON file to write, for objascale render --plan.")] = Path("plan.json"),
) -> None:
    """Choose and fetch the assets, and make every random choice, without rendering.

    Any machine renders the same pictures from the plan, whole or in shards.
    """
    from objascale.balance import cells_of
    from objascale.commands.planning import make_plan
    from objascale.plan import save_plan

    with errors():
        made = make_plan(options)
        save_plan(made, out)
    categories = {asset.category for asset in made.objects}
    print(
        f"{made.n} images of {len(made.objects)} objects in {len(categories)} categories before {len(made.maps)} "
        f"environment maps: {out}"
    )
    if made.settings.balance:
        possible, impossible = cells_of(made.settings)
        print(f"{len(possible)} cells of mask size and resolution, each with {share(made.n, len(possible))} images")
        for cell in impossible:
            complain(f"no mask can have a size of {cell}: --min-area and --max-area exclude it")


def share(n: int, parts: int) -> str:
    """Return the number of images in each of several parts that are filled in turn: `3`, or `3 to 4`."""
    few, rest = divmod(n, parts)
    return f"{few} to {few + 1}" if rest else str(few)
