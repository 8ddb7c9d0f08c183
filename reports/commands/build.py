"""`reports build`."""

from __future__ import annotations

import typer

from objascale.progress import show_progress
from reports.commands.common import (
    REPORT,
    RESULTS,
    Bins,
    GalleryLimit,
    Out,
    ResultsFolders,
    errors,
)
from reports.commands.terminal import show


def build(
    results: ResultsFolders = None,
    out: Out = REPORT,
    bins: Bins = None,
    gallery: GalleryLimit = None,
) -> None:
    """Write tables (Markdown, CSV, LaTeX, HTML), figures (PDF, SVG, PNG) and index.html, and print table 1."""
    from reports.build import build_report

    with errors(), show_progress() as progress:
        report = build_report(results or RESULTS, out, bins, gallery, progress)
    for sentence in report.warnings:
        typer.echo(f"warning: {sentence}", err=True)
    for table in report.tables:
        show(table)
    for sentence in report.answers:
        typer.echo(sentence)
    typer.echo(f"Report: {report.page}")
