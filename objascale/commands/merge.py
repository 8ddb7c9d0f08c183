"""`objascale merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from objascale.commands.common import errors


def merge(
    shards: Annotated[list[Path], typer.Argument(metavar="SHARD...", help="Folders that render --shard made.")],
    out: Annotated[Path, typer.Option(help="The dataset's folder.")] = Path("data/objascale"),
) -> None:
    """Put shards together into one dataset. Images are linked where that is possible, and copied where not.

    The shards may have been rendered on different kinds of processors. Their masks are equal then, and their pictures
    may differ in bytes.

    What the shards lack can be rendered afterwards: objascale render --plan OUT/plan.json --out OUT.
    """
    from objascale.merge import merge_shards

    with errors():
        present, wanted = merge_shards(shards, out)
    print(f"{present} images in {out}")
    if present < wanted:
        print(f"{wanted - present} of {wanted} are missing: objascale render --plan {out / 'plan.json'} --out {out}")
