"""Join trained models of the paper into one of their summed width, which predicts about the mean of their outputs.

Several runs that differ in their seed make different errors, and the mean of their outputs is usually a little better
than each. The joined network holds the models side by side: each has its own channels and attention heads, all
matrices are block diagonal, and the last layers take the mean. Further training can connect the blocks.

Two things are approximate. LayerNorm computes one mean and variance over the channels of all models. The first layers
of a position embedding have 32 channels in every size, so they come from the first model, and the last layers of the
others are fitted to them. Both are small if the models began with the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn

from flip.gaussian import Gaussian
from flip.paper.cover import cover
from flip.paper.glimpses import Glimpses, Layout, glimpse
from flip.paper.grow import STACKED, GrowError, deepened, size_named, size_of
from flip.paper.model import Flip, PositionEmbedding
from flip.sampler import Recipe, sample

FIT_PROMPTS = 128
"""Number of random prompts whose patches the last layers of position embeddings are fitted at."""


def join(models: Sequence[Flip], name: str) -> Flip:
    """Return a larger model that holds several models of one size side by side.

    Args:
        models: The trained models, at best runs that began with the same weights. The result has the patches of the
            first.
        name: Name of the larger model, a key of PAPER_CONFIGS.

    Raises:
        GrowError: The name is unknown, the models differ in size, or their channels do not add up.
    """
    new, first = size_named(name), models[0]
    old = size_of(first)
    if any(size_of(each) != old for each in models):
        raise GrowError("the models differ in size; give models with the same number of channels and blocks")
    if old.channels * len(models) != new.channels or new.blocks < old.blocks:
        raise GrowError(
            f"{name} has {new.channels} channels and {new.blocks} blocks, and {len(models)} models of {old.channels} "
            f"channels and {old.blocks} blocks do not make it; give as many models as its channels need"
        )
    parts = [deepcopy(each) for each in models]
    places = _places(first.recipe, first.glance, first.outputs)
    for part in parts[1:]:
        _share_first_layers(part, first, places)
    for part in parts:
        part.blocks = deepened(part.blocks, new.blocks)
    joined = Flip(new, first.recipe, first.outputs, first.glance)
    shapes = {name: each.shape for name, each in joined.state_dict().items()}
    states = [part.state_dict() for part in parts]
    joined.load_state_dict({name: _side_by_side(name, [s[name] for s in states], shapes[name]) for name in shapes})
    return joined.eval().requires_grad_(False)


def _side_by_side(name: str, parts: Sequence[Tensor], shape: torch.Size) -> Tensor:
    """Return a parameter with the shape of the larger model."""
    if name == STACKED:
        return torch.cat([torch.block_diag(*each) for each in zip(*(part.chunk(3) for part in parts), strict=True)])
    if parts[0].shape == shape:  # bias of an output, or a layer that all have in common
        return torch.stack(list(parts)).mean(0)
    if len(shape) == 1 or parts[0].shape[1] == shape[1]:  # all read the same input
        return torch.cat(list(parts))
    if parts[0].shape[0] == shape[0]:  # all write to the same output
        return torch.cat(list(parts), 1) / len(parts)
    return torch.block_diag(*parts)


def _share_first_layers(model: Flip, first: Flip, places: Tensor) -> None:
    """Replace all but the last layers of position embeddings by those of `first`, and fit the last ones (n, 6)."""
    for name, embedding in model.named_modules():
        if isinstance(embedding, PositionEmbedding):
            source = first.get_submodule(name)
            assert isinstance(source, PositionEmbedding)
            with torch.no_grad():
                hidden = nn.Sequential(*list(source)[:-1])(places)
                design = torch.cat((hidden, torch.ones(len(hidden), 1)), 1).double()
                weights = torch.linalg.lstsq(design, embedding(places).double()).solution.float()
            last = {"4.weight": weights[:-1].T, "4.bias": weights[-1]}
            embedding.load_state_dict(source.state_dict() | last)


def _places(recipe: Recipe, tokens: int, outputs: int) -> Tensor:
    """Return relative input and output patches (n, 6) of random prompts, as `Layout.relative` has them."""
    rng, width, height = np.random.default_rng(0), 800, 600
    blank = np.zeros((height, width, 3), np.uint8)
    numbers = rng.uniform((100, 100, 1.5, 1.5, 0), (700, 500, 5, 5, 180), (FIT_PROMPTS, 5))
    prompts = [Gaussian.from_ellipse(x, y, math.exp(a), math.exp(b), turn) for x, y, a, b, turn in numbers]
    inputs = Glimpses.of([glimpse(sample(blank, each, tokens, rng, recipe), each) for each in prompts])
    covers = [cover(each, width, height, outputs) for each in prompts]
    written = Layout.of([each.centres() for each in covers], [each.unit for each in covers])
    return torch.cat([layout.relative(inputs.gaussian)[layout.real] for layout in (inputs.layout, written)])
