"""A training run on disk: `checkpoint.pt`, from which the same command goes on, and what comes of it."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn, optim

from flip.checkpoint import TRAINED, OnnxMissing, WeightsBroken, load_model
from flip.training.config import Config, TrainingError
from objascale.files import write_atomically

FILE = "checkpoint.pt"

AUXILIARY = "auxiliary."
"""How the names of parameters begin that only training needs."""


def save_checkpoint(
    out: Path,
    step: int,
    config: Config,
    model: nn.Module,
    average: dict[str, Tensor],
    optimisers: Sequence[optim.Optimizer],
    memory: Tensor,
) -> None:
    """Write OUT/checkpoint.pt: all that the next step depends on. `step` is the number of steps that are done."""
    buffer = io.BytesIO()
    followed = [optimiser.state_dict() for optimiser in optimisers]
    state = {"model": model.state_dict(), "average": average, "optimisers": followed, "memory": memory}
    torch.save({"step": step, "config": config.model_dump_json(), **state}, buffer)
    write_atomically(out / FILE, buffer.getvalue())


def read_checkpoint(out: Path, config: Config) -> dict[str, Any] | None:
    """The contents of OUT/checkpoint.pt, None where there is none.

    Nothing in the file is executed. Raises TrainingError for a broken file and for one of another configuration,
    unless that differs only in how often it validates and saves, and in what is still to do of its phases.
    """
    path = out / FILE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        theirs = Config.model_validate_json(state["config"]).model_dump(mode="json")
        step = int(state["step"])
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingError(f"{path} is no whole checkpoint ({reason}); move it away to begin anew") from None
    ours = config.model_dump(mode="json")
    for run in (theirs, ours):
        run["phases"] = _done(run["phases"], step)
        del run["validate_every"], run["save_every"]
    if theirs != ours:
        different = ", ".join(key for key in ours if theirs.get(key) != ours[key])
        raise TrainingError(
            f"{path} is of another training run: it differs in {different}; give another --out, or that run's --config"
        )
    state["step"] = step
    return state


def begin_with(model: nn.Module, weights: Path) -> None:
    """Copy the weights of a file into a model in training, all but the AUXILIARY ones, which no file has.

    Raises TrainingError for a file that cannot be read, and for one of another model.
    """
    try:
        state = load_model(weights).state_dict()
    except (WeightsBroken, OnnxMissing, OSError) as error:
        raise TrainingError(f"training cannot begin with these weights: {error}") from None
    ours = {name: each.shape for name, each in model.state_dict().items() if not name.startswith(AUXILIARY)}
    if ours != {name: each.shape for name, each in state.items()}:
        raise TrainingError(f"{weights} holds another model than the one that is to be trained; see --config")
    model.load_state_dict(state, strict=False)


def _done(phases: list[dict[str, Any]], step: int) -> list[dict[str, Any]]:
    """What the first `step` steps were."""
    done = []
    for phase in phases:
        done.append({**phase, "steps": min(phase["steps"], step)})
        step -= done[-1]["steps"]
    return [phase for phase in done if phase["steps"]]


def weights_path(out: Path, config: Config) -> Path:
    """OUT/MODEL.safetensors, which `export_weights` writes."""
    return out / f"{config.model}.safetensors"


def export_weights(out: Path, config: Config, average: dict[str, Tensor]) -> None:
    """Write OUT/MODEL.safetensors, the averaged weights in half precision, which `flip predict --model` takes.

    Only one process of a run may call it.
    """
    halves = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in average.items()
        if not name.startswith(AUXILIARY)
    }
    last = config.phases[-1]
    told = {"model": config.model, "sampling": config.sampling, "outputs": last.outputs, "tokens": last.tokens}
    data = save(halves, metadata={TRAINED: json.dumps(told)})  # one entry: their order is not fixed
    write_atomically(weights_path(out, config), data)
