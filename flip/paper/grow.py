"""Grow a trained model of the paper into a larger one that predicts the same masks.

Channels are copied, after Net2Net (Chen et al., arXiv 1511.05641): channel i of the larger model is a copy of channel
i mod C, and the weights that read the copies of a channel sum to its old weights. Attention heads are copied whole, as
each has consecutive channels. New blocks add nothing to their input.

If the width is a multiple of the old one, the function is kept to rounding. Otherwise some channels have more copies
than others, which changes the mean and the variance in LayerNorm, and the function is kept approximately.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from flip.paper.model import PAPER_CONFIGS, Flip, PaperConfig

NOISE = 0.5
"""Standard deviation of the noise on weights that read copies, as a fraction of the root mean square of the weights."""

STACKED = "positional.key.weight"
"""Name of the parameter (3·C, C) that holds the key matrices of three heads, one below the other."""

_BLOCK_OUTPUTS = ("attention.out.weight", "attention.out.bias", "ffn.1.2.weight", "ffn.1.2.bias")  # of a `Block`


class GrowError(ValueError):
    """The model cannot be grown to this size."""


def grow(model: Flip, name: str, seed: int = 0) -> Flip:
    """Return a larger model that starts from the weights of `model`.

    Copies of a channel would get equal gradients and stay equal. Noise on the weights that read them breaks the tie. It
    sums to 0 over the copies, so it does not change the output.

    Args:
        model: The trained model.
        name: Name of the larger model, a key of PAPER_CONFIGS.
        seed: Seed of the noise.

    Raises:
        GrowError: The name is unknown, or the model has fewer channels or blocks than `model`, or equally many of both.
    """
    old, new = size_of(model), size_named(name)
    if new == old or new.channels < old.channels or new.blocks < old.blocks:
        raise GrowError(
            f"{name} has {new.channels} channels and {new.blocks} blocks, which is not more than "
            f"{old.channels} and {old.blocks}; choose a larger model"
        )
    deeper = deepcopy(model)
    deeper.blocks = deepened(model.blocks, new.blocks)
    grown = Flip(new, model.recipe, model.outputs, model.glance)
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: each.shape for name, each in grown.state_dict().items()}
    state = {name: _widened(name, each, shapes[name], generator) for name, each in deeper.state_dict().items()}
    grown.load_state_dict(state)
    return grown.eval().requires_grad_(False)


def size_of(model: Flip) -> PaperConfig:
    """Return the size of a model."""
    return PaperConfig(len(model.get_parameter("predictor.pe.4.bias")), len(model.blocks))


def size_named(name: str) -> PaperConfig:
    """Return the size of the paper's model `name`. Raises GrowError if there is none."""
    if name not in PAPER_CONFIGS:
        raise GrowError(f"there is no model {name} of the paper; choose from {', '.join(PAPER_CONFIGS)}")
    return PAPER_CONFIGS[name]


def deepened(blocks: nn.ModuleList, count: int) -> nn.ModuleList:
    """Return `count` blocks. New ones follow the block that they are copied from, and start as the identity."""
    sources = [i * len(blocks) // count for i in range(count)]
    deep = nn.ModuleList(deepcopy(blocks[source]) for source in sources)
    for i in range(1, count):
        if sources[i] == sources[i - 1]:
            for name in _BLOCK_OUTPUTS:
                nn.init.zeros_(deep[i].get_parameter(name))
    return deep


def _widened(name: str, old: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Return a parameter with the shape of the larger model: rows are copied, columns are shared among copies."""
    if name == STACKED:
        rows, columns = shape
        part = torch.Size((rows // 3, columns))
        return torch.cat([_widened("", each, part, generator) for each in old.chunk(3)])
    copied = old[torch.arange(shape[0]) % old.shape[0]]
    if old.dim() == 1 or old.shape[1] == shape[1]:
        return copied
    source = torch.arange(shape[1]) % old.shape[1]
    copies = torch.bincount(source)
    noise = torch.randn(shape, generator=generator)
    mean = torch.zeros(copied.shape).index_add_(1, source, noise) / copies
    noise -= mean[:, source]  # 0 where there is one copy
    return (copied[:, source] + NOISE * old.square().mean().sqrt() * noise) / copies[source]
