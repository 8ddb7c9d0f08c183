"""The command `objascale`."""

from __future__ import annotations

import typer

from objascale.commands import export
from objascale.commands.render import render
from objascale.commands.sheet import sheet
from objascale.commands.stats import stats
from objascale.commands.verify import verify

app = typer.Typer(no_args_is_help=True, help="Make ObjaScale: objects before HDRI backgrounds, with exact masks.")


@app.callback()
def main() -> None:
    """Make ObjaScale: objects before HDRI backgrounds, with exact masks."""


app.command(
    epilog="Example: objascale render --source folder --objects glbs --hdris maps --n 100 --seed 1 --out data/mine"
)(render)
app.command(epilog="Example: objascale verify data/mine --full-frame 5 --objects glbs --hdris maps")(verify)
app.command(epilog="Example: objascale sheet data/mine --out sheet.png --limit 24")(sheet)
app.command(epilog="Example: objascale stats data/mine --out data/mine-stats")(stats)
app.add_typer(export.app, name="export", help="Write a dataset in another format.")

if __name__ == "__main__":
    app()
