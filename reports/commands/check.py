"""`reports check`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from objascale.files import write_atomically
from objascale.terminal import console
from reports.claims import Against
from reports.claims.registry import CLAIMS
from reports.claims.table import BOTH, claims_table, number, source, statistics, verdict
from reports.commands.common import ResultsFolders, Seed, errors, read
from reports.formats import WRITERS, Table
from reports.results import ReportError
from reports.style import assign_styles
from reports.times import ONLY_TIMES
from reports.view import View, slugs

STYLES = {"holds": "bold green", "does not hold": "bold red", "cannot be told": "yellow"}


def check(
    results: ResultsFolders = None,
    against: Annotated[
        Literal["paper", "ours", "both"], typer.Option(help="The paper's claims, ours, or both.")
    ] = "both",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"Write the verdicts too: .json, .{', .'.join(WRITERS)}.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Which claims hold in these results, which do not, and of which that cannot be told."""
    with errors():
        if out and out.suffix[1:] not in ("json", *WRITERS):
            raise ReportError(f"{out} does not end in .json, .{', .'.join(WRITERS)}: choose another --out")
        known = read(results)
        if not known.datasets:
            raise ReportError(ONLY_TIMES)
        styles = assign_styles(known.rows["series"])
        chosen: Sequence[Against] = BOTH if against == "both" else (against,)
        tables = [
            replace(claims_table(View(known, dataset, styles, seed), chosen), within=slug)
            for dataset, slug in slugs(known.datasets).items()
        ]
        if out:
            _write(tables, out)
    screen = console()
    for table in tables:
        _print(table, screen)
    screen.print(statistics(seed), style="dim")


def _write(tables: list[Table], out: Path) -> None:
    if out.suffix == ".json":
        records = [record for table in tables for record in json.loads(table.data.to_json(orient="records"))]
        text = json.dumps(records, indent=1, ensure_ascii=False) + "\n"
    elif out.suffix == ".csv":
        text = "".join(
            table.data.to_csv(index=False, header=not index, lineterminator="\n") for index, table in enumerate(tables)
        )
    else:
        text = "\n".join(WRITERS[out.suffix[1:]](table) for table in tables)
    try:
        write_atomically(out, text.encode())
    except OSError as error:
        raise ReportError(f"{out} cannot be written ({error.strerror}): choose another --out") from error


def _print(table: Table, console: Console) -> None:
    """The claims one after another, each with its sentence and a table of its verdicts."""
    console.print(Text(f"\n{table.caption}", style="bold underline"))
    for claim in CLAIMS:
        records = [row for row in table.data.to_dict("records") if row["claim"] == claim.title]
        if not records:
            continue
        console.print(Text.assemble("\n", (claim.sentence, "bold"), f" {source(claim)}"))
        console.print(Text(f"Figure: {claim.figure}. It holds if {claim.rule}.", style="dim"))
        shown = RichTable(box=None, pad_edge=False, header_style="dim")
        for head in ("of", "mask / image", "n", "assets", "figure", "95 % interval", "verdict", "reason"):
            shown.add_column(head, justify="right" if head in ("n", "assets", "figure") else "left")
        for row in records:
            known = row["low"] == row["low"]
            interval = f"{number(row['low'])} … {number(row['high'])}" if known else "—"
            told = Text(verdict(row), style=STYLES[row["verdict"]])
            about = (row["about"], row["objects"], str(row["n"]), str(row["clusters"]), number(row["value"]), interval)
            shown.add_row(*map(Text, about), told, Text(row["reason"]))
        console.print(shown)
