"""`objascale merge`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from objascale.commands.common import errors


def merge(
    shards: Annotated[list[Path], typer.Argument(metavar="SHARD...", help="Folders of objascale render --shard.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset.")] = Path("data/objascale"),
) -> None:
    """Merge shards into one dataset. Images are linked, or copied where the file system has no links.

    The shards may come from different kinds of processors. Their masks are equal, and the bytes of their pictures may
    differ.

    Missing images can be rendered afterwards: objascale render --plan OUT/plan.json --out OUT.
    """
    from objascale.merge import merge_shards

    with errors():
        present, wanted = merge_shards(shards, out)
    print(f"{present} images in {out}")
    if present < wanted:
        print(f"{wanted - present} of {wanted} are missing: objascale render --plan {out / 'plan.json'} --out {out}")
