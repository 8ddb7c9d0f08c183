"""Checkpoints and exported weights."""

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

from flip.checkpoint import TRAINING_METADATA, OnnxMissing, WeightsBroken, load_model
from flip.training.config import Config, TrainingError
from objascale.files import write_atomically
from objascale.validation import in_one_line

CHECKPOINT_FILE = "checkpoint.pt"

AUXILIARY_PREFIX = "auxiliary."
"""Prefix of the names of parameters that only training uses."""


def save_checkpoint(
    out: Path,
    step: int,
    config: Config,
    model: nn.Module,
    average: dict[str, Tensor],
    optimisers: Sequence[optim.Optimizer],
    memory: Tensor,
) -> None:
    """Write OUT/checkpoint.pt, which holds everything the next step depends on; `step` is the number of steps done."""
    buffer = io.BytesIO()
    states = [optimiser.state_dict() for optimiser in optimisers]
    state = {"model": model.state_dict(), "average": average, "optimisers": states, "memory": memory}
    torch.save({"step": step, "config": config.model_dump_json(), **state}, buffer)
    write_atomically(out / CHECKPOINT_FILE, buffer.getvalue())


def read_checkpoint(out: Path, config: Config) -> dict[str, Any] | None:
    """Read OUT/checkpoint.pt; return None if the file does not exist.

    No code in the file is executed. `validate_every`, `save_every` and the remaining steps of the phases may differ
    from the checkpoint's configuration.

    Raises:
        TrainingError: The file is damaged or has another configuration.
    """
    path = out / CHECKPOINT_FILE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        saved = Config.model_validate_json(state["config"]).model_dump(mode="json")
        step = int(state["step"])
    except (OSError, RuntimeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise TrainingError(
            f"{path} is not a complete checkpoint ({in_one_line(error)}); move it away to start over"
        ) from None
    given = config.model_dump(mode="json")
    for run in (saved, given):
        run["phases"] = _phases_done(run["phases"], step)
        del run["validate_every"], run["save_every"]
    if saved != given:
        different = ", ".join(key for key in given if saved.get(key) != given[key])
        raise TrainingError(
            f"{path} belongs to another training run: it differs in {different}; give another output folder, "
            "or that run's configuration"
        )
    state["step"] = step
    return state


def load_initial_weights(model: nn.Module, weights: Path) -> None:
    """Copy the weights of a file into a model. Auxiliary parameters, which no file holds, keep their values.

    Raises:
        TrainingError: The file cannot be read or holds another model.
    """
    try:
        state = load_model(weights).state_dict()
    except (WeightsBroken, OnnxMissing, OSError) as error:
        raise TrainingError(f"training cannot start from these weights: {error}") from None
    shapes = {name: each.shape for name, each in model.state_dict().items() if not name.startswith(AUXILIARY_PREFIX)}
    if shapes != {name: each.shape for name, each in state.items()}:
        raise TrainingError(f"{weights} holds another model than the configuration")
    model.load_state_dict(state, strict=False)


def _phases_done(phases: list[dict[str, Any]], step: int) -> list[dict[str, Any]]:
    """Return the phases up to `step`."""
    done = []
    for phase in phases:
        done.append({**phase, "steps": min(phase["steps"], step)})
        step -= done[-1]["steps"]
    return [phase for phase in done if phase["steps"]]


def weights_path(out: Path, config: Config) -> Path:
    """Return the path of the exported weights, OUT/MODEL.safetensors."""
    return out / f"{config.model}.safetensors"


def export_weights(out: Path, config: Config, average: dict[str, Tensor]) -> None:
    """Write the averaged weights in half precision, for `flip predict --model`. Only one process may call it."""
    tensors = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in average.items()
        if not name.startswith(AUXILIARY_PREFIX)
    }
    last = config.phases[-1]
    settings = {"model": config.model, "sampling": config.sampling, "outputs": last.outputs, "tokens": last.tokens}
    # One JSON entry keeps the file reproducible: safetensors does not fix the order of metadata entries.
    write_atomically(weights_path(out, config), save(tensors, metadata={TRAINING_METADATA: json.dumps(settings)}))
