"""`reports build`."""

from __future__ import annotations

import typer

from reports.build import build_report
from reports.commands.common import REPORT, RESULTS, Bins, Out, ResultsFolders, Seed, errors
from reports.commands.terminal import show


def build(results: ResultsFolders = None, out: Out = REPORT, seed: Seed = 0, bins: Bins = None) -> None:
    """Write tables (Markdown, CSV, LaTeX, HTML), figures (PDF, SVG, PNG) and index.html, and print table 1."""
    with errors():
        report = build_report(results or RESULTS, out, seed, bins)
    for table in report.tables:
        show(table)
    typer.echo(f"Report: {report.page}")
