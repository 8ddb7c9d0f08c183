"""`reports`: tables, figures and a page from results folders."""

from __future__ import annotations

from objascale.terminal import App
from reports.commands.build import build
from reports.commands.check import check
from reports.commands.figure import figure
from reports.commands.table import table

app = App(help="Tables, figures and a page from the results of `bench run`.")

app.command(epilog="Example: reports build results --out report")(build)
app.command(epilog="Example: reports figure 7 results --bins 50 --out report")(figure)
app.command(epilog="Examples: reports table 1 results times --out report; reports table paired results > paired.md")(
    table
)
app.command(epilog="Example: reports check results --against paper")(check)


if __name__ == "__main__":
    app()
