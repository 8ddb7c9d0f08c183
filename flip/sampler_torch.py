"""The fovea on the device where the image lies: `flip.sampler`'s recipe with PyTorch, for many prompts at a time.

The law is the same, the numbers are not: a seed gives other patches here than there, and on another kind of device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from flip.gaussian import Gaussian
from flip.sampler import DRAWS, MARGIN, TOUCHING, NoPatches, Recipe

BLOCK = 128  # draws that are judged at once


def sample_on_device(
    image: Tensor,
    gaussians: Sequence[Gaussian],
    tokens: int,
    generators: Sequence[torch.Generator],
    recipe: Recipe,
) -> list[tuple[dict[int, Tensor], dict[int, Tensor]]]:
    """Draw at most `tokens` patches of `image`, uint8 (H, W, 3), around each of `gaussians` (pixels).

    Returns for each prompt, by size p, pixels uint8 (n, p, p, 3) and centres float64 (n, 2) as x, y in pixels, on the
    image's device. Each prompt has its own of `generators`, on that device too, and gets the same patches whatever is
    sampled with it. Time and memory do not depend on the image's size. Raises NoPatches if a prompt gets not one.
    """
    height, width = image.shape[:2]
    placed = place_on_device(width, height, gaussians, tokens, generators, recipe)
    return [({size: extract_on_device(image, where, size) for size, where in each.items()}, each) for each in placed]


def place_on_device(
    width: int,
    height: int,
    gaussians: Sequence[Gaussian],
    tokens: int,
    generators: Sequence[torch.Generator],
    recipe: Recipe,
) -> list[dict[int, Tensor]]:
    """Patch centres by size, float64 (n, 2) in pixels, for each prompt; the rest as in `sample_on_device`."""
    device = generators[0].device
    counts = np.stack([recipe.counts(gaussian, tokens) for gaussian in gaussians])
    wanted = torch.from_numpy(counts).to(device)
    cells = torch.tensor(recipe.sizes, dtype=torch.float64, device=device)[wanted.argmax(1)] / 2
    numbers = [(g.x, g.y, g.sigma1, g.sigma2, g.a, g.b) for g in gaussians]
    x, y, sigma1, sigma2, a, b = torch.tensor(numbers, dtype=torch.float64, device=device).T[:, :, None]
    limits = torch.tensor((width - MARGIN, height - MARGIN), dtype=torch.float64, device=device)

    earlier = limits.new_empty((len(gaussians), 0, 4))  # edges of what is placed; NaN where a prompt has fewer
    centres: list[list[Tensor]] = [[] for _ in gaussians]
    for k, size in enumerate(recipe.sizes):
        draws = zip((DRAWS * counts[:, k]).tolist(), generators, strict=True)
        noise = [torch.randn(n, 2, generator=g, dtype=torch.float64, device=device) for n, g in draws]
        d1, d2 = pad_sequence(noise, batch_first=True, padding_value=torch.nan).unbind(-1)  # NaN fits nowhere
        d1, d2 = recipe.spread * sigma1 * d1, recipe.spread * sigma2 * d2
        points = torch.stack((x + d1 * a + d2 * b, y - d1 * b + d2 * a), -1)  # (prompts, draws, 2)
        room, taken = wanted[:, k, None], torch.zeros_like(points[..., 0], dtype=torch.bool)
        for start in range(0, points.shape[1], BLOCK):
            if not (room > 0).any():
                break
            where = points[:, start : start + BLOCK]
            edges = torch.cat((where - size / 2, where + size / 2), -1)
            fits = (edges[..., :2] >= MARGIN).all(-1) & (edges[..., 2:] < limits).all(-1)
            taking = _first_come(edges, fits, earlier, cells, recipe.overlap * size**2)
            taking &= taking.cumsum(1) <= room
            room = room - taking.sum(1, keepdim=True)
            taken[:, start : start + BLOCK] = taking
            earlier = _compact(torch.cat((earlier, edges.masked_fill(~taking[..., None], torch.nan)), 1))
        for mine, where, taking in zip(centres, points, taken, strict=True):
            mine.append(where[taking])
    for gaussian, each in zip(gaussians, centres, strict=True):
        if not any(map(len, each)):
            raise NoPatches(
                f"no patch fits into the {width}×{height} image around the prompt at ({gaussian.x:.1f}, "
                f"{gaussian.y:.1f}) with σ {gaussian.sigma1:.3g} and {gaussian.sigma2:.3g} px; check that the prompt "
                "lies in the image"
            )
    return [dict(zip(recipe.sizes, each, strict=True)) for each in centres]


def extract_on_device(image: Tensor, centres: Tensor, size: int) -> Tensor:
    """`flip.sampler.extract` with tensors, to the same value: uint8 (n, size, size, 3)."""
    steps = torch.arange(size, device=image.device)
    corner = centres - size / 2
    first = corner.floor()
    fx, fy = (corner - first).T[:, :, None, None, None]
    columns, rows = first.long().T[:, :, None] + steps  # (n, size) each
    right, below = (columns + 1).clamp_max(image.shape[1] - 1), (rows + 1).clamp_max(image.shape[0] - 1)

    def across(lines: Tensor) -> Tensor:
        line = lines[:, :, None]
        return image[line, columns[:, None]] * (1 - fx) + image[line, right[:, None]] * fx

    return (across(rows) * (1 - fy) + across(below) * fy + 0.5).to(torch.uint8)


def _first_come(edges: Tensor, fits: Tensor, earlier: Tensor, cells: Tensor, limit: float) -> Tensor:
    """Which draws (prompts, draws) are taken if each is judged by `earlier` patches and by the draws before it.

    Starts by taking all that fit and judges again until nothing changes. Each round settles at least one more draw for
    good, so what remains is what judging one after another would give.
    """
    before = _covered(edges, earlier, cells).sum(-1)
    among = _covered(edges, edges, cells).tril(-1)
    taking = fits & (before <= limit)
    while True:
        again = fits & (before + (among * taking[:, None]).sum(-1) <= limit)
        if torch.equal(again, taking):
            return taking
        taking = again


def _covered(edges: Tensor, others: Tensor, cells: Tensor) -> Tensor:
    """Area that each of `others` shares with each of `edges`, times the grid cells that both touch."""
    one, other = edges[:, :, None], others[:, None]
    sides = torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])
    one, other = (torch.floor(each / cells[:, None, None, None]) for each in (one, other))
    shared = torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2]) + 1
    return torch.where((sides > TOUCHING).all(-1), sides.prod(-1) * shared.prod(-1), 0.0)


def _compact(edges: Tensor) -> Tensor:
    """Move what is placed to the front and cut off what no prompt needs; NaN marks what is not placed."""
    empty = edges[..., 0].isnan()
    order = empty.int().argsort(dim=1, stable=True)[:, : int((~empty).sum(1).max())]
    return edges.gather(1, order[..., None].expand(-1, -1, 4))
