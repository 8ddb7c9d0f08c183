"""The command line `objascale`."""

from __future__ import annotations

from objascale.commands import export
from objascale.commands.crops import crops
from objascale.commands.doctor import doctor
from objascale.commands.freeze import freeze
from objascale.commands.merge import merge
from objascale.commands.plan import plan
from objascale.commands.render import render
from objascale.commands.sheet import sheet
from objascale.commands.stats import stats
from objascale.commands.verify import verify
from objascale.terminal import App

app = App("Render ObjaScale: objects in front of HDRI backgrounds, with exact masks.")
app.command(
    epilog="Example: objascale plan --categories 68 --n 10200 --out paper.json\n\n"
    "Then: objascale render --plan paper.json --out data/paper"
)(plan)
app.command(
    epilog="Example: objascale render --objects glbs --hdris maps --n 100 --seed 1 --out data/mine\n\n"
    "A frozen benchmark: objascale render objascale-mini-v1\n\n"
    "The paper's dataset: objascale render --categories 68 --n 10200\n\n"
    "On a cluster: objascale render --plan paper.json --shard $SLURM_ARRAY_TASK_ID/40 --out data/paper"
)(render)
app.command(epilog="Example: objascale crops --objects glbs --hdris maps --exclude-categories truck --out data/crops")(
    crops
)
app.command(epilog="Example: objascale merge data/paper.*of40 --out data/paper")(merge)
app.command(epilog="Example: objascale freeze data/mine --name my-objects-v1 --out my-objects-v1.json")(freeze)
app.command(epilog="Example: objascale verify data/mine --full-frame 5 --objects glbs --hdris maps")(verify)
app.command(epilog="Example: objascale sheet data/mine --out sheet.png --limit 24")(sheet)
app.command(epilog="Example: objascale stats data/mine --out data/mine-stats")(stats)
app.command(epilog="Example: objascale doctor")(doctor)
app.add_typer(export.app, name="export")

if __name__ == "__main__":
    app()
