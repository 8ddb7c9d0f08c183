"""Measure promptable segmenters with matched prompts: one result row per model and object."""

from __future__ import annotations

from bench.commands.compare import compare
from bench.commands.datasets import datasets
from bench.commands.fetch import fetch
from bench.commands.merge import merge
from bench.commands.models import models
from bench.commands.run import run
from bench.commands.serve import serve
from bench.commands.submit import leaderboard, submit
from objascale.terminal import App

app = App(help=__doc__)

app.command(epilog="Example: bench models")(models)
app.command(epilog="Example: bench datasets grabcut")(datasets)
app.command(epilog="Example: bench fetch flip-tiny mobilesam-onnx")(fetch)
app.command(
    epilog="Example: bench run --models flip-tiny,mobilesam-onnx,box,ellipse --data data/objascale --out results\n\n"
    "What runs without a download: bench run --models all --data data/objascale\n\n"
    "Your own class: bench run --models my_model.py:MyModel,box --data data/objascale --out results\n\n"
    "Only small objects of COCO: bench run --models box,ellipse --data coco/annotations/instances_val2017.json "
    "--select fraction=..1e-3\n\n"
    "Inference times: bench run --models flip-tiny,mobilesam-onnx --timing --limit 10 --out times"
)(run)
app.command(epilog="Example: bench merge results.1 results.2 results.3 --out results")(merge)
app.command(
    epilog="Example: bench compare results flip-tiny mobilesam-onnx --out pairs.csv\n\n"
    "The effect of noise: bench compare results flip-tiny flip-tiny --noise 0,0.1"
)(compare)
app.command(epilog="Example: bench submit results --models flip-tiny,grabcut --out submissions")(submit)
app.command(epilog="Example: bench leaderboard submissions/*.json --out leaderboard.md")(leaderboard)
app.command(
    epilog="Example: bench serve photo.jpg\n\n"
    "With true masks: bench serve --data data/objascale --models flip-tiny,mobilesam-onnx"
)(serve)


if __name__ == "__main__":
    app()
