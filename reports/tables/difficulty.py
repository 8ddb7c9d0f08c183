"""Which dial of the difficulty changes which model's IoU, and which models change places."""

from __future__ import annotations

from bench.statistics import too_few
from objascale.intervals import INTERVAL_NOTE
from reports.difficulty import ranks, slopes, strengths
from reports.formats import Cell, Column, Table
from reports.tables.cells import failure_notes, few, few_note, interval, left_out_note, percent
from reports.view import ResultsView

_SIZE_NOTE = "The relative size of the objects is held: five bins, as in the table size."


def difficulty_table(view: ResultsView) -> Table:
    """Return the change of IoU per unit of strength: a row per plain series, a column per dial."""
    rows = strengths(view.plain)
    data = slopes(rows)
    found = {(row["series"], row["dial"]): row for row in data.assign(few=too_few(data)).to_dict("records")}
    dials = rows.attrs["dials"]
    grid = [
        [
            Cell(series),
            *(
                Cell(
                    percent(cell["slope"], sign=True) + few(cell["clusters"]),
                    interval(cell["low"], cell["high"], sign=True),
                )
                for cell in (found[series, dial] for dial in dials)
            ),
        ]
        for series in dict.fromkeys(data["series"])
    ]
    notes = [
        "Change of IoU in percentage points per unit of strength (0 to 5), by least squares on all dials. "
        f"{_SIZE_NOTE}",
        INTERVAL_NOTE,
        *failure_notes(view),
        *left_out_note(view),
        *few_note(data["clusters"]),
    ]
    columns = [Column("Model", left=True), *(Column(dial, "points per unit of strength") for dial in dials)]
    caption = f"Change of IoU with difficulty on {view.dataset}"
    return Table("difficulty", caption, columns, grid, notes, data.assign(dataset=view.dataset), stacked=True)


def ranks_table(view: ResultsView) -> Table:
    """Return the rank of each plain series on the easier and the harder half: a column per dial."""
    rows = strengths(view.plain)
    data = ranks(rows)
    dials = rows.attrs["dials"]
    found = {(row["series"], row["dial"]): row for row in data.to_dict("records")}
    grid = [
        [Cell(series), *(_change(found[series, dial]["easy_rank"], found[series, dial]["hard_rank"]) for dial in dials)]
        for series in dict.fromkeys(data["series"])
    ]
    notes = [
        "Rank by mean IoU on the objects with at most the median strength of the dial, and on those above it. "
        f"{_SIZE_NOTE} Ranks have no intervals; the table difficulty shows how certain the changes are.",
        *failure_notes(view),
    ]
    columns = [Column("Model", left=True), *(Column(dial, "rank on easier → harder pictures") for dial in dials)]
    return Table(
        "ranks", f"Ranks and difficulty on {view.dataset}", columns, grid, notes, data.assign(dataset=view.dataset)
    )


def _change(easy: int, hard: int) -> Cell:
    return Cell(str(easy) if easy == hard else f"{easy} → {hard}")
