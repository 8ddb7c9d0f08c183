"""`reports check`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from objascale.files import write_atomically
from objascale.terminal import console
from reports.commands.common import ResultsFolders, errors, read
from reports.formats import WRITERS, Table

if TYPE_CHECKING:
    from reports.claims import ClaimSource, Finding
    from reports.claims.verdict import Judgement

STYLES = {"holds": "bold green", "holds in part": "green", "does not hold": "bold red", "cannot be told": "yellow"}
STYLES["not judged"] = "yellow"


def check(
    results: ResultsFolders = None,
    against: Annotated[
        Literal["paper", "ours", "both"], typer.Option(help="Claims to check: the paper's, ours, or both.")
    ] = "both",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Also write the verdicts: .json, .{', .'.join(WRITERS)}."),
    ] = None,
    include_seen: Annotated[
        bool,
        typer.Option("--include-seen", help="Also judge on objects and data sets that a model has seen in training."),
    ] = False,
) -> None:
    """Judge the claims of the paper and ours on the results."""
    from reports.claims.table import CLAIM_SOURCES, coverage, judgements, statistics, table_of
    from reports.results import ReportError
    from reports.style import assign_styles
    from reports.times import NO_MASKS
    from reports.view import ResultsView, slugs

    with errors():
        if out and out.suffix[1:] not in ("json", *WRITERS):
            raise ReportError(f"{out} does not end in .json, .{', .'.join(WRITERS)}: choose another --out")
        known = read(results)
        if not known.datasets:
            raise ReportError(NO_MASKS)
        if include_seen:
            known = known.as_unseen()
        styles = assign_styles(known.rows["series"])
        chosen: Sequence[ClaimSource] = CLAIM_SOURCES if against == "both" else (against,)
        views = {slug: ResultsView(known, dataset, styles) for dataset, slug in slugs(known.datasets).items()}
        judged = {slug: judgements(view, chosen) for slug, view in views.items()}
        if out:
            _write([replace(table_of(judged[slug], view), within=slug) for slug, view in views.items()], out)
    screen = console()
    for slug, view in views.items():
        screen.print(Text(f"\nClaims, checked on {view.dataset}", style="bold underline"))
        for each in judged[slug]:
            _print(each, screen)
    for note in (coverage(), statistics()):
        screen.print(Text(f"\n{note}", style="dim"))


def _write(tables: list[Table], out: Path) -> None:
    from reports.results import ReportError

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


def _print(judged: Judgement, console: Console) -> None:
    """Print a claim with its verdict, the findings behind it, and the findings beside it."""
    from reports.claims.table import source

    claim, verdict = judged.claim, judged.verdict
    console.print(Text.assemble("\n", (claim.sentence, "bold"), f" {source(claim)}"))
    console.print(Text.assemble("Verdict: ", (str(verdict), STYLES[verdict.outcome]), "."))
    if judged.lacking:
        console.print(Text(judged.lacking))
    console.print(Text(f"Figure: {claim.figure}. A {verdict.unit} meets it if {claim.rule}.", style="dim"))
    for beside in dict.fromkeys(found.beside for found in judged.findings):
        if beside:
            console.print(Text(f"Beside the claim, not counted ({beside}):", style="italic"))
        console.print(_table([found for found in judged.findings if found.beside == beside]))


def _table(findings: list[Finding]) -> RichTable:
    from reports.claims.table import interval, number, verdict_words

    shown = RichTable(box=None, pad_edge=False, header_style="dim")
    for head in ("of", "mask / image", "n", "assets", "figure", "95 % interval", "verdict", "reason"):
        shown.add_column(head, justify="right" if head in ("n", "assets", "figure") else "left")
    for found in findings:
        about = (found.about, found.objects, str(found.n), str(found.clusters), number(found.value), interval(found))
        verdict = Text(verdict_words(found), style="" if found.beside else STYLES[found.verdict])
        shown.add_row(*map(Text, about), verdict, Text(found.reason))
    return shown
