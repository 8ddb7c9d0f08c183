"""`bench datasets`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench.commands.common import errors
from objascale.terminal import console

DEFAULT_ROOT = Path("data")


def datasets(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A data set of the list, to see how to get it.")
    ] = None,
    root: Annotated[
        Path,
        typer.Option("--root", envvar="OBJASCALE_DATA", help="Folder of the data sets: NAME is searched in ROOT/NAME."),
    ] = DEFAULT_ROOT,
) -> None:
    """List benchmarks and public data sets that `bench run` opens, and whether they are here.

    With NAME, print how to get one.
    """
    from bench.catalogue import CATALOGUE, find_dataset, run_command
    from objascale.benchmarks import data_folder, load_benchmark, names
    from objascale.benchmarks.obtaining import is_complete

    if name is None:
        table = Table(show_lines=True)
        for heading in ("data set", "here", "size", "content, layout, licence and address"):
            table.add_column(heading, overflow="fold")
        for benchmark in map(load_benchmark, names()):
            here = is_complete(benchmark, data_folder(benchmark))
            about = "\n".join((benchmark.content.about, f"bench run --data {benchmark.name} renders it first"))
            table.add_row(benchmark.name, "yes" if here else "no", "rendered here", about)
        for each in CATALOGUE.values():
            about = "\n".join((each.content, each.layout, f"licence: {each.licence}", f"https://{each.address}"))
            table.add_row(each.name, "yes" if each.is_here(root) else "no", each.size, about)
        console().print(table)
        console().print(
            f"Here are those in {root}/NAME. `bench datasets NAME` prints how to get one, and docs/datasets.md "
            "describes every format."
        )
        return
    if name in names():
        about = load_benchmark(name).content.about
        lines = [
            f"{name}: {about}",
            "",
            "To run on it, and render what is missing of it first:",
            run_command(name, name),
        ]
        typer.echo("\n".join(lines))
        return
    with errors():
        chosen = find_dataset(name)
    folder = str(root / chosen.name)
    lines = [
        f"{chosen.name}: {chosen.content}",
        f"address: https://{chosen.address}",
        f"licence: {chosen.licence}",
        f"size: {chosen.size}",
        f"layout: {chosen.layout}",
        "",
        f"It is here: {chosen.path(root)}" if chosen.is_here(root) else f"It is not in {folder}. To get it:",
    ]
    if not chosen.is_here(root):
        lines += [f"{number}. {step.format(folder=folder)}" for number, step in enumerate(chosen.steps, 1)]
    typer.echo("\n".join([*lines, "", "To run on it:", chosen.command(root)]))
