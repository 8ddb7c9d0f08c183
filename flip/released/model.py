"""The authors' released FLIP models, Tiny to Large: patches and a Gaussian in, one mask logit per asked point out.

Read from top to bottom: settings, position features, patch embedding, encoder block, mask predictor, the whole.
Parameter names are those of the published checkpoints. Shapes: n tokens, m points, C channels, h heads of d = C/h;
every function also takes further dimensions in front of these.

Coordinates are in units of 128 px from the image's middle (`Gaussian.released` makes them). A Gaussian is a tensor
(6,): x, y, σ1, σ2, a, b. Sources: CognitiveModeling/FLIP (MIT); Traub & Butz, arXiv 2502.02763, section 3, which
describes an earlier form: the released models have neither perceptual nor positional code, and predict per point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class FlipConfig:
    """Size of a released model: `channels` C, `blocks` in the encoder, `head_size` d; C is a multiple of d and of 4."""

    channels: int
    blocks: int
    head_size: int
    registers: int = 8
    patch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16)


Patched = tuple[list[Tensor], Tensor, Tensor]  # a prompt: its patches of each size, their centres, its Gaussian
Encoded = tuple[Tensor, Tensor]  # what a prompt's patches told: keys and values, (h, n, d) each

CONFIGS = {
    "flip-tiny": FlipConfig(64, 3, 16),
    "flip-small": FlipConfig(128, 5, 32),
    "flip-middle": FlipConfig(256, 8, 32),
    "flip-large": FlipConfig(512, 24, 32),
}


UNREAD = "sparsify.register_coordinates"
"""A parameter that the published checkpoints hold and count, and nothing reads; the exported graphs leave it out."""


def position_features(points: Tensor, gaussian: Tensor) -> Tensor:
    """Where points (…, n, 2) lie in the Gaussian's own frame, in standard deviations along its two axes, within ±5."""
    mean, sigma, axis = gaussian[..., None, 0:2], gaussian[..., None, 2:4], gaussian[..., None, 4:6]
    a, b = F.normalize(axis, dim=-1, eps=1e-6).unbind(-1)
    dx, dy = (points - mean).unbind(-1)
    rotated = torch.stack((a * dx - b * dy, b * dx + a * dy), -1)
    return (rotated / sigma.clamp_min(1e-8)).clamp(-5, 5)


class PositionMlp(nn.Sequential):
    """Position features (…, n, 2) → (…, n, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, channels))


class FeedForward(nn.Module):
    """Pre-normed MLP, scaled by one learned number: (…, C) → (…, C). The caller adds it to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.weight1 = nn.Parameter(nn.init.xavier_uniform_(torch.empty(4 * channels, channels)))
        self.bias1 = nn.Parameter(torch.zeros(4 * channels))
        self.weight2 = nn.Parameter(nn.init.xavier_uniform_(torch.empty(channels, 4 * channels)))
        self.bias2 = nn.Parameter(torch.zeros(channels))
        self.alpha = nn.Parameter(torch.full((1,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.silu(F.linear(self.norm(x), self.weight1, self.bias1))
        return self.alpha * F.linear(hidden, self.weight2, self.bias2)


# ---- from patches to tokens


class Cells(nn.Module):
    """Cut patches (n, 3, p, p) in 4×4 cells, row by row, each flattened as (channel, row, column): (n, 16, 3p²/16)."""

    def forward(self, patches: Tensor) -> Tensor:
        n, channels, p, _ = patches.shape
        cells = patches.reshape(n, channels, 4, p // 4, 4, p // 4).permute(0, 2, 4, 1, 3, 5)  # (n, 4, 4, 3, p/4, p/4)
        return cells.reshape(n, 16, channels * (p // 4) ** 2)


class PatchEmbedding(nn.Module):
    """Patches of one size (n, 3, p, p) → (n, C). From 8 px on, one layer shared by the patch's cells comes first."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        hidden = 4 * channels
        if size < 8:
            self.layers = nn.Sequential(
                nn.Flatten(), nn.Linear(3 * size**2, hidden), nn.SiLU(), nn.Linear(hidden, channels)
            )
        else:
            self.layers = nn.Sequential(
                Cells(),
                nn.Linear(3 * (size // 4) ** 2, hidden // 16),  # (n, 16, C/4)
                nn.Flatten(),  # (n, 4C)
                nn.SiLU(),
                nn.Linear(hidden, hidden),
                nn.SiLU(),
                nn.Linear(hidden, channels),
            )

    def forward(self, patches: Tensor) -> Tensor:
        return self.layers(patches)


class Sparsify(nn.Module):
    """Patches of all sizes, and the registers after them, as one list of tokens with their position features."""

    def __init__(self, config: FlipConfig) -> None:
        super().__init__()
        self.patch_embeddings = nn.ModuleList(PatchEmbedding(p, config.channels) for p in config.patch_sizes)
        self.registers = nn.Parameter(torch.randn(config.registers, config.channels))
        self.register_embeddings = nn.Parameter(torch.randn(config.registers, 2) * 0.25 - 5)
        self.register_coordinates = nn.Parameter(torch.zeros(config.registers, 2), requires_grad=False)  # UNREAD

    def forward(self, prompts: Sequence[Patched]) -> tuple[list[Tensor], list[Tensor]]:
        """For each prompt its tokens (n, C) and their position features (n, 2). Each layer is run once for all."""
        by_size = zip(*(patches for patches, _, _ in prompts), strict=True)
        embedded = [
            apart(embed(torch.cat(patches)), [each.shape[0] for each in patches])
            for embed, patches in zip(self.patch_embeddings, by_size, strict=True)
        ]
        tokens = [torch.cat((*parts, self.registers)) for parts in zip(*embedded, strict=True)]
        features = [
            torch.cat((position_features(centres, gaussian), self.register_embeddings))
            for _, centres, gaussian in prompts
        ]
        return tokens, features


# ---- the encoder


def split_heads(x: Tensor, head_size: int) -> Tensor:
    """(…, n, C) → (…, h, n, d)."""
    return x.unflatten(-1, (-1, head_size)).transpose(-3, -2)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(qkᵀ/√d)·v: queries (…, h, m, d), keys and values (…, h, n, d) → (…, h, m, d).

    Trained keys have one part, tens of times larger than the rest, that is the same for all tokens. It shifts all
    scores of a query alike, which softmax does not see; without it they keep two more digits.
    """
    k = k - k.mean(-2, keepdim=True)
    if q.ndim == 3:  # PyTorch's fused kernels take four dimensions
        return F.scaled_dot_product_attention(q[None], k[None], v[None])[0]
    return F.scaled_dot_product_attention(q, k, v)


def apart(x: Tensor, lengths: list[int]) -> Sequence[Tensor]:
    """Cut (…, Σn, d) into the parts of several prompts. One prompt's is not touched, so that graphs of it have no n."""
    return x.split(lengths, -2) if len(lengths) > 1 else [x]


def attend_apart(q: Sequence[Tensor], k: Sequence[Tensor], v: Sequence[Tensor]) -> Tensor:
    """`attend` within each of several prompts, of different numbers of points and tokens: (…, h, Σm, d)."""
    return torch.cat([attend(*each) for each in zip(q, k, v, strict=True)], -2)


class MergeHeads(nn.Module):
    """(…, h, n, d) → (…, n, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(-3, -2).flatten(-2)


class Attention(nn.Module):
    """Self-attention over tokens; positions are added to queries, keys and values alike, each by its own MLP."""

    def __init__(self, config: FlipConfig) -> None:
        super().__init__()
        c = config.channels
        self.head_size = config.head_size
        self.q = nn.Sequential(nn.LayerNorm(c), nn.Linear(c, c))
        self.k = nn.Sequential(nn.LayerNorm(c), nn.Linear(c, c))
        self.v = nn.Sequential(nn.LayerNorm(c), nn.Linear(c, c))
        self.query, self.key, self.value = PositionMlp(c), PositionMlp(c), PositionMlp(c)
        self.out = nn.Sequential(MergeHeads(), nn.Linear(c, c))
        self.alpha = nn.Parameter(torch.full((1,), 0.1))

    def forward(self, x: Tensor, features: Tensor, lengths: list[int]) -> Tensor:
        q = split_heads(self.q(x) + self.query(features), self.head_size)  # (h, n, d)
        k = split_heads(self.k(x) + self.key(features), self.head_size)
        v = split_heads(self.v(x) + self.value(features), self.head_size)
        return self.alpha * self.out(attend_apart(*(apart(each, lengths) for each in (q, k, v))))


class Block(nn.Module):
    """One encoder layer: tokens (…, n, C) and their position features (…, n, 2) → tokens.

    With `lengths`, which add up to n, the tokens are those of several prompts, which do not see each other.
    """

    def __init__(self, config: FlipConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.mlp = FeedForward(config.channels)
        self.alpha = nn.Parameter(torch.full((1,), 0.1))

    def forward(self, x: Tensor, features: Tensor, lengths: list[int] | None = None) -> Tensor:
        x = x + self.attention(x, features, lengths or [x.shape[-2]])
        return x + self.alpha * self.mlp(x)


# ---- from tokens to a mask


class CrossAttention(nn.Module):
    """Points ask, tokens answer. The points' queries are made from their position alone."""

    def __init__(self, config: FlipConfig) -> None:
        super().__init__()
        c = config.channels
        self.head_size = config.head_size
        self.k = nn.Sequential(nn.LayerNorm(c), nn.Linear(c, c))
        self.v = nn.Sequential(nn.LayerNorm(c), nn.Linear(c, c))
        self.query, self.key, self.value = PositionMlp(c), PositionMlp(c), PositionMlp(c)
        self.k_mlp = nn.Sequential(nn.Linear(2 * c, c), nn.SiLU(), nn.Linear(c, c))
        self.out = nn.Sequential(MergeHeads(), nn.Linear(c, c))

    def cache(self, x: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        k = self.k_mlp(torch.cat((self.k(x), self.key(features)), -1))  # (n, 2C) → (n, C)
        v = self.v(x) + self.value(features)
        return split_heads(k, self.head_size), split_heads(v, self.head_size)  # (h, n, d) each

    def forward(self, features: Tensor, k: Sequence[Tensor], v: Sequence[Tensor], lengths: list[int]) -> Tensor:
        q = split_heads(self.query(features), self.head_size)  # (h, m, d)
        return self.out(attend_apart(apart(q, lengths), k, v))  # (m, C)


class MaskPredictor(nn.Module):
    """Mask logits at any points. What does not depend on the points, keys and values, is computed once by `cache`."""

    def __init__(self, config: FlipConfig) -> None:
        super().__init__()
        self.preprocess = FeedForward(config.channels)
        self.attention = CrossAttention(config)
        self.postprocess = FeedForward(config.channels)
        self.to_mask = nn.Linear(config.channels, 1)

    def cache(self, tokens: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded tokens (…, n, C) and features (…, n, 2) → keys and values, each (…, h, n, d)."""
        return self.attention.cache(tokens + self.preprocess(tokens), features)

    def logits(self, points: Tensor, keys: Tensor, values: Tensor, gaussian: Tensor) -> Tensor:
        """Points (…, m, 2) → logits (…, m); above 0 is object. Points do not see each other."""
        return self(position_features(points, gaussian), [keys], [values], [points.shape[-2]])

    def forward(self, features: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor], lengths: list[int]) -> Tensor:
        """Position features (…, m, 2) → logits (…, m): the first `lengths[0]` points ask the first prompt …"""
        x = self.attention(features, keys, values, lengths)
        x = x + self.postprocess(x)
        return self.to_mask(x).squeeze(-1)


# ---- the whole


class ReleasedFlip(nn.Module):
    """A released FLIP model with random weights; `flip.checkpoint.load_model` gives it trained ones."""

    def __init__(self, config: FlipConfig) -> None:
        super().__init__()
        self.config = config
        self.sparsify = Sparsify(config)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.mask_extractor = MaskPredictor(config)

    def encode(self, patches: list[Tensor], centres: Tensor, gaussian: Tensor) -> Encoded:
        """Patches and their prompt → keys and values (h, n, d) that `decode` reads the mask from.

        `patches`: one float tensor (n_p, 3, p, p) in 0…1 for each of `config.patch_sizes`, n_p may be 0.
        `centres` (Σ n_p, 2) in the same order, `gaussian` (6,), both in units of 128 px.
        """
        return self.encode_many([(patches, centres, gaussian)])[0]

    def encode_many(self, prompts: Sequence[Patched], dtype: torch.dtype = torch.float32) -> list[Encoded]:
        """`encode` for several prompts at once. They may have different numbers of patches, and do not see each other.

        With another `dtype` the blocks run in mixed precision of it and float32, the rest stays as it is.
        """
        tokens, features = self.sparsify(prompts)
        lengths = [each.shape[0] for each in tokens]
        x, where = torch.cat(tokens), torch.cat(features)
        with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
            for layer in self.layers:
                x = layer(x, where, lengths)
        keys, values = self.mask_extractor.cache(x, where)
        return list(zip(apart(keys, lengths), apart(values, lengths), strict=True))

    def decode(self, points: Tensor, keys: Tensor, values: Tensor, gaussian: Tensor) -> Tensor:
        """Mask logits (m,) at points (m, 2) in units of 128 px."""
        return self.mask_extractor.logits(points, keys, values, gaussian)

    def decode_many(self, points: Tensor, encoded: Sequence[Encoded], gaussians: Tensor, lengths: list[int]) -> Tensor:
        """Mask logits (Σm,) of several prompts: of the first (`gaussians` (b, 6)) at the first `lengths[0]` points."""
        owners = torch.arange(len(lengths), device=points.device).repeat_interleave(
            torch.tensor(lengths, device=points.device)
        )
        features = position_features(points[:, None], gaussians[owners])[:, 0]
        keys, values = zip(*encoded, strict=True)
        return self.mask_extractor(features, keys, values, lengths)
