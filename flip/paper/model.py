"""FLIP as the paper describes it (Traub & Butz, arXiv 2502.02763, sections 3.1 to 3.4): flip-s, flip-m and flip-l.

Its authors have published no weights of it; theirs are of `flip.released.model`.
Shapes: B prompts, n tokens (padded, `mask` says which are real), C channels, h heads. Numbers are pixels; a Gaussian is
a tensor (6,) or (B, 6): μx, μy, σx, σy, θa, θb, axes as in `flip.gaussian`. docs/flip.md lists what the paper leaves
open and what is chosen here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flip.gaussian import Gaussian
from flip.paper.cover import Cover, cover
from flip.paper.glimpses import SIZES, Glimpses, Layout
from flip.sampler import PAPER, Recipe
from objascale.masks import RegionMask

HEAD = 32  # channels of an attention head
CODE_HEAD = 1  # and of one that gathers the perceptual code
LEAST = 1e-6  # σ²; added to spreads, which are 0 if there is one token
SHORTEST = 1e-3  # of a mean of unit vectors that still has a direction
EPSILON = 0.1  # px; the least deviation in a positional code (section 3.4)


@dataclass(frozen=True)
class PaperConfig:
    """Size of a model of the paper: `channels` C, a multiple of 32, and `blocks` in the encoder."""

    channels: int
    blocks: int


CONFIGS = {"flip-s": PaperConfig(128, 3), "flip-m": PaperConfig(192, 6), "flip-l": PaperConfig(384, 7)}


class Codes(NamedTuple):
    """What the encoder says of B prompts: `perceptual` z_p (B, C), `positional` z_pos (B, 6), `box` (B, 4) x0, y0, x1,
    y1 in pixels."""

    perceptual: Tensor
    positional: Tensor
    box: Tensor


class Answer(NamedTuple):
    """The network's for B prompts: `perceptual` z_p (B, C), `positional` z_pos (B, 6), `box` (B, 4) x0, y0, x1, y1 in
    pixels, and `logits[p]` (Σ n_p, p, p) for the output patches in the order of their layout's `slots[p]`."""

    perceptual: Tensor
    positional: Tensor
    box: Tensor
    logits: dict[int, Tensor]


@dataclass(frozen=True)
class Prediction:
    """For one prompt: codes, box, and mask logits by patch.

    `perceptual` z_p (C,), `positional` z_pos (6,), `box` (4,) x0, y0, x1, y1 in pixels, `logits[p]` (n, p, p) for the
    patches of `where.corners[p]`; the mask is background outside of these.
    """

    perceptual: Tensor
    positional: Tensor
    box: Tensor
    logits: dict[int, Tensor]
    where: Cover

    def mask(self, width: int, height: int) -> RegionMask:
        """Where the logit is above 0, in the `width`×`height` frame (end of section 3.4)."""
        unit = self.where.unit
        corners = np.concatenate([np.hstack((c, c + p * unit)) for p, c in self.where.corners.items()])
        x0, y0 = corners[:, :2].min(0).tolist()
        x1, y1 = corners[:, 2:].max(0).tolist()
        found = np.zeros((y1 - y0, x1 - x0), bool)
        for size, logits in self.logits.items():
            objects = (logits.detach() > 0).cpu().numpy().repeat(unit, 1).repeat(unit, 2)
            for (x, y), patch in zip(self.where.corners[size] - (x0, y0), objects, strict=True):
                found[y : y + size * unit, x : x + size * unit] = patch
        return RegionMask(x0, y0, found[: height - y0, : width - x0], width, height).tight()


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


class PositionEmbedding(nn.Sequential):
    """PE of section 3.2: a patch in relative coordinates (…, 6), as `Layout.relative` has it → (…, C).

    The text has the centre's two numbers only. In coordinates that are turned and scaled, these do not tell how far a
    patch reaches, nor which way its rows run, and a mask cannot be written without knowing.

    It begins with features that bend all over ±3σ, and twice as large as usual, so that attention tells places apart
    from the first step on.
    """

    def __init__(self, channels: int) -> None:
        first, second, last = nn.Linear(6, 32), nn.Linear(32, 32), nn.Linear(32, channels)
        for linear, scale in ((first, 3.5), (second, 1.5), (last, 2.0)):
            nn.init.uniform_(linear.weight, -(bound := scale / math.sqrt(linear.in_features)), bound)
        nn.init.uniform_(first.bias, -3, 3)
        super().__init__(first, nn.SiLU(), second, nn.SiLU(), last)

    def forward(self, places: Tensor) -> Tensor:
        """In single precision always: with bfloat16's 8 bits, places would be a hundredth of σ apart."""
        with torch.autocast(places.device.type, enabled=False):
            return super().forward(places)


class Attention(nn.Module):
    """softmax(Q′K′ᵀ/√d_k)·V in heads, then one linear layer (section 3.2). What is added to Q and K is not to V."""

    def __init__(self, channels: int, head: int = HEAD) -> None:
        super().__init__()
        self.head = head  # channels of each
        self.query, self.key = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.value, self.out = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(
        self, x: Tensor, tokens: Tensor, mask: Tensor, pe_q: Tensor | float = 0.0, pe_k: Tensor | float = 0.0
    ) -> Tensor:
        """From `x` (B, m, C) to those `tokens` (B, n, C) for which `mask` (B, n) is true: (B, m, C)."""
        q, k, v = (
            t.unflatten(-1, (-1, self.head)).transpose(1, 2)  # (B, h, m or n, d_k)
            for t in (self.query(x) + pe_q, self.key(tokens) + pe_k, self.value(tokens))
        )
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        return self.out(seen.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Object-centric attention (section 3.2, figure 5): pre-norm, positions in queries and keys of every layer.

    Keys begin as equal to queries: a token then attends to those that look like it and lie near it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(channels), Attention(channels)
        self.pe_q, self.pe_k = PositionEmbedding(channels), PositionEmbedding(channels)  # MLP_i and MLP_j
        self.attention.key.load_state_dict(self.attention.query.state_dict())
        self.pe_k.load_state_dict(self.pe_q.state_dict())
        self.ffn = nn.Sequential(nn.LayerNorm(channels), mlp(channels, 4 * channels, channels))

    def forward(self, x: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, n, C) at relative `places` (B, n, 6) → tokens."""
        normed = self.norm(x)
        y = x + self.attention(normed, normed, mask, self.pe_q(places), self.pe_k(places))
        return y + self.ffn(y)


class Windows(nn.Linear):
    """Where each head of the perceptual code looks: patches (…, 6), as `Layout.relative` has them → (…, C).

    A quadratic form of a patch's centre, so that attention is a Gaussian window. The windows begin round, with a
    deviation of 0.4 of the prompt's own, at places drawn from a little more than the prompt.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(5, channels, bias=False)
        where, sharp = 1.1 * torch.randn(channels, 2), 3.0
        square = torch.tensor((-sharp, 0.0, -sharp)).expand(channels, 3)
        self.weight = nn.Parameter(torch.cat((2 * sharp * where, square), 1))  # −3·‖x − c‖², but for a constant

    def forward(self, places: Tensor) -> Tensor:
        """In single precision always, as `PositionEmbedding`."""
        x, y = places[..., 0], places[..., 1]
        with torch.autocast(places.device.type, enabled=False):
            return super().forward(torch.stack((x, y, x * x, x * y, y * y), -1))


class PerceptualCode(nn.Module):
    """z_p = z_avg + CrossAttentionLayer(z_avg, T) (section 3.3); the layer is attention and FFN.

    A head has one channel, and looks at a place of its own from the first step on: what there is gets into the code
    only by a head that looks there, and all of the shape must be in the code.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_query, self.norm_tokens = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention, self.windows = Attention(channels, CODE_HEAD), Windows(channels)
        nn.init.ones_(self.attention.query.bias)
        for content in (self.attention.query.weight, self.attention.key.weight):
            nn.init.normal_(content, 0, 0.1 / math.sqrt(channels))
        self.ffn = nn.Sequential(nn.LayerNorm(channels), mlp(channels, 4 * channels, channels))

    def forward(self, tokens: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        """Tokens (B, n, C) at relative `places` (B, n, 6) → (B, C)."""
        real = mask[..., None].to(tokens)
        average = (tokens * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        found = self.attention(self.norm_query(average), self.norm_tokens(tokens), mask, pe_k=self.windows(places))
        code = average + found
        return (code + self.ffn(code)).squeeze(1)


class PositionalCode(nn.Module):
    """z_pos (section 3.3): three attentions over token coordinates, one each for μ, σ and θ, two numbers from each.

    The coordinates are the relative ones. As the weights a_i add up to 1, Σ a_i·x_i is the same there as in pixels.
    Equal weights stand for the prompt itself: from what the heads gather, what the drawn tokens would give with equal
    weights is taken away, so that the prompt's place is not lost in the chance of the draw (σ·√(2/n)).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(3, channels) / channels)  # W_q·1
        self.key = nn.Linear(channels, 3 * channels, bias=False)  # W_k of all three

    def forward(self, tokens: Tensor, places: Tensor, mask: Tensor, gaussian: Tensor) -> Tensor:
        """Tokens (B, n, C) at relative `places` (B, n, 2) → (B, 6)."""
        keys = self.key(tokens).unflatten(-1, (3, -1))  # k_i = W_k·t_i
        scores = (keys * self.queries).sum(-1).to(places.dtype).masked_fill(~mask[..., None], -math.inf)
        with torch.autocast(places.device.type, enabled=False):
            return self._gathered(scores.softmax(1), places, mask, gaussian)

    def _gathered(self, weights: Tensor, places: Tensor, mask: Tensor, gaussian: Tensor) -> Tensor:
        """The attentions' weights a_i (B, n, 3) over `places` → (B, 6), in the coordinates' own precision."""
        equal = mask[..., None].to(places) / mask.sum(1)[:, None, None]  # (B, n, 1)
        drawn = (equal * places).sum(1)
        (mean, middle, turn) = torch.einsum("bnk,bnd->kbd", weights, places)
        mean, turn = mean - drawn, turn - drawn
        spread, usual = (
            (weight * (places - about[:, None]).square()).sum(1)
            for weight, about in ((weights[..., 1:2], middle), (equal, drawn))
        )
        axis, sigma = gaussian[:, 4:], gaussian[:, 2:4]
        a, b = axis.unbind(-1)
        dx, dy = (mean * sigma).unbind(-1)
        centre = gaussian[:, :2] + torch.stack((a * dx + b * dy, a * dy - b * dx), -1)
        deviations = ((spread + LEAST) / (usual + LEAST) * sigma.square()).clamp_min(EPSILON**2).sqrt()
        c, s = F.normalize(turn + turn.new_tensor((1.0, 0.0)), dim=-1).unbind(-1)  # no turn: the prompt's own axes
        return torch.cat((centre, deviations, torch.stack((a * c - b * s, b * c + a * s), -1)), -1)


class MaskPredictor(nn.Module):
    """Section 3.4: output tokens z_p + PE, two blocks, and a de-embedding for each patch size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pe = PositionEmbedding(channels)
        self.blocks = nn.ModuleList(Block(channels) for _ in range(2))
        self.de_embed = nn.ModuleDict({str(p): mlp(channels, 4 * channels, p * p) for p in SIZES})

    def forward(self, code: Tensor, position: Tensor, where: Layout) -> dict[int, Tensor]:
        """z_p (B, C), z_pos (B, 6) and where to predict → mask logits by patch size, (Σ n_p, p, p) each."""
        places = where.relative(position)
        tokens = code[:, None] + self.pe(places)
        for block in self.blocks:
            tokens = block(tokens, places, where.real)
        flat = tokens.flatten(0, 1)
        return {p: self.de_embed[str(p)](flat[slots]).unflatten(-1, (p, p)) for p, slots in where.slots.items()}


class Flip(nn.Module):
    """The model of the paper, untrained.

    It is trained on `glance` patches of `recipe` at a time, on average, and to write in `outputs` patches.
    """

    def __init__(self, config: PaperConfig, recipe: Recipe = PAPER, outputs: int = 512, glance: int = 512) -> None:
        super().__init__()
        c, self.recipe, self.outputs, self.glance = config.channels, recipe, outputs, glance
        self.embed = nn.ModuleDict({str(p): mlp(3 * p * p, 4 * c, c) for p in SIZES})  # E_r, section 3.1
        self.blocks = nn.ModuleList(Block(c) for _ in range(config.blocks))
        self.perceptual, self.positional = PerceptualCode(c), PositionalCode(c)
        self.box = mlp(c, c, 4)
        self.predictor = MaskPredictor(c)

    def tokens(self, seen: Glimpses) -> tuple[Tensor, Tensor]:
        """Sections 3.1 and 3.2: encoded tokens (B, n, C) and their relative places (B, n, 6)."""
        real, places = seen.layout.real, seen.layout.relative(seen.gaussian)
        colours = {p: pixels.flatten(1).to(seen.gaussian.dtype) / 127.5 - 1 for p, pixels in seen.pixels.items()}
        embedded = torch.cat([self.embed[str(p)](colours[p]) for p in SIZES])
        order = torch.cat([seen.layout.slots[p] for p in SIZES])
        tokens = embedded.new_zeros(real.numel(), embedded.shape[-1]).index_copy(0, order, embedded)
        tokens = tokens.unflatten(0, real.shape)
        for block in self.blocks:
            tokens = block(tokens, places, real)
        return tokens, places

    def codes(self, tokens: Tensor, places: Tensor, seen: Glimpses) -> tuple[Tensor, Tensor, Tensor]:
        """Section 3.3, from what `tokens` gives: z_p (B, C), z_pos (B, 6) and boxes (B, 4)."""
        real = seen.layout.real
        code = self.perceptual(tokens, places, real)
        return code, self.positional(tokens, places[..., :2], real, seen.gaussian), self._boxes(code, seen.gaussian)

    def encode(self, seen: Glimpses) -> tuple[Tensor, Tensor, Tensor]:
        """Sections 3.1 to 3.3: z_p (B, C), z_pos (B, 6) and boxes (B, 4)."""
        return self.codes(*self.tokens(seen), seen)

    def forward(self, seen: Glimpses, where: Layout) -> Answer:
        """For prompts as seen, with the output patches given: what is trained, as these are where the truth is."""
        code, position, boxes = self.encode(seen)
        return Answer(code, position, boxes, self.predictor(code, position, where))

    def predict(
        self, seen: Glimpses, width: int, height: int, patches: int = 512, glances: int = 1
    ) -> list[Prediction]:
        """For pictures of one size, with N_out = `patches` about z_pos: `write` of the `mean_codes`."""
        return self.write(self.mean_codes(seen, glances), width, height, patches)

    def mean_codes(self, seen: Glimpses, glances: int = 1) -> Codes:
        """The codes of each prompt, which is in `seen` once a glance: the means of its glances' codes."""
        codes, positions, boxes = (each.unflatten(0, (-1, glances)) for each in self.encode(seen))
        return Codes(codes.mean(1), mean_position(positions, seen.gaussian[::glances]), boxes.mean(1))

    def write(self, codes: Codes, width: int, height: int, patches: int = 512) -> list[Prediction]:
        """Section 3.4 for prompts of pictures of one size, with N_out = `patches` about each finite z_pos."""
        covers = [cover(_canonical(position), width, height, patches) for position in codes.positional]
        units = [one.unit for one in covers]
        where = Layout.of([one.centres() for one in covers], units, codes.positional.dtype).to(codes.positional.device)
        logits = self.predictor(codes.perceptual, codes.positional, where)
        parts = {p: found.split([len(one.corners.get(p, ())) for one in covers]) for p, found in logits.items()}
        return [
            Prediction(
                codes.perceptual[i], codes.positional[i], codes.box[i], {p: parts[p][i] for p in one.corners}, one
            )
            for i, one in enumerate(covers)
        ]

    def _boxes(self, code: Tensor, gaussian: Tensor) -> Tensor:
        """Edges as multiples of the prompt's deviations along x and y, from the 2σ box on."""
        (s1, s2), (a, b) = gaussian[:, 2:4].square().unbind(-1), gaussian[:, 4:].square().unbind(-1)
        scale = torch.stack((s1 * a + s2 * b, s1 * b + s2 * a), -1).sqrt()
        edges = self.box(code) + code.new_tensor((-2.0, -2.0, 2.0, 2.0))
        return gaussian[:, :2].repeat(1, 2) + scale.repeat(1, 2) * edges


def mean_position(positions: Tensor, gaussian: Tensor) -> Tensor:
    """The mean of positional codes (B, k, 6) as a positional code (B, 6), whose axis has length 1.

    The mean of unit vectors that differ is shorter than 1, and would scale every place that is computed with it. Where
    the axes cancel each other, as opposite ones do, the result has the axis of the prompt `gaussian` (B, 6).
    """
    mean = positions.mean(1)
    length = mean[:, 4:].norm(dim=-1, keepdim=True)
    axis = torch.where(length < SHORTEST, gaussian[:, 4:], mean[:, 4:] / length.clamp_min(SHORTEST))  # NaN stays NaN
    return torch.cat((mean[:, :4], axis), -1)


def _canonical(position: Tensor) -> Gaussian:
    """A positional code (6,) as a Gaussian in canonical order."""
    x, y, s1, s2, a, b = position.detach().double().tolist()
    axes = np.array(((a, b), (-b, a))) * (s1, s2)
    return Gaussian.from_moments((x, y), axes @ axes.T)
