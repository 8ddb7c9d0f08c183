"""The authors' released FLIP models, Tiny to Large: from patches and a Gaussian to a mask logit at any point.

The file reads from top to bottom: settings, position features, patch embedding, encoder block, mask predictor, model.
Parameter names are those of the published checkpoints. Shapes: n tokens, m points, C channels, h heads of d = C/h
channels. All functions accept further leading dimensions.

Coordinates are in units of 128 px from the centre of the image (`Gaussian.released`). A Gaussian is a tensor (6,): x,
y, σ1, σ2, a, b. Sources: CognitiveModeling/FLIP (MIT); Traub & Butz, arXiv 2502.02763, section 3. The paper describes
an earlier form: the released models have no perceptual and no positional code, and predict the mask per point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class FlipConfig:
    """Size of a released model.

    Args:
        channels: C, a multiple of `head_size` and of 4.
        blocks: Number of blocks in the encoder.
        head_size: d.
        registers: Number of register tokens.
        patch_sizes: Side lengths of the patches in pixels, ascending.
    """

    channels: int
    blocks: int
    head_size: int
    registers: int = 8
    patch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16)


Patched = tuple[list[Tensor], Tensor, Tensor]  # a prompt: patches of each size, their centres, the Gaussian
Encoded = tuple[Tensor, Tensor]  # an encoded prompt: keys and values, (h, n, d) each

RELEASED_CONFIGS = {
    "flip-tiny": FlipConfig(64, 3, 16),
    "flip-small": FlipConfig(128, 5, 32),
    "flip-middle": FlipConfig(256, 8, 32),
    "flip-large": FlipConfig(512, 24, 32),
}

UNUSED_PARAMETER = "sparsify.register_coordinates"
"""Part of the published checkpoints and of their parameter counts, but not used; the exported graphs lack it."""


def position_features(points: Tensor, gaussian: Tensor) -> Tensor:
    """Return points (…, n, 2) in the frame of the Gaussian, in standard deviations along its axes, clamped to ±5."""
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
    """Pre-norm MLP, scaled by one learned number: (…, C) → (…, C). The caller adds the residual."""

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
    """Split patches (n, 3, p, p) into 4×4 cells in row-major order, each flattened: (n, 16, 3p²/16)."""

    def forward(self, patches: Tensor) -> Tensor:
        n, channels, p, _ = patches.shape
        cells = patches.reshape(n, channels, 4, p // 4, 4, p // 4).permute(0, 2, 4, 1, 3, 5)  # (n, 4, 4, 3, p/4, p/4)
        return cells.reshape(n, 16, channels * (p // 4) ** 2)


class PatchEmbedding(nn.Module):
    """Patches of one size (n, 3, p, p) → (n, C). From 8 px on, the first layer is shared by the cells of a patch."""

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
    """Tokens of the patches of all sizes and of the registers, with their position features."""

    def __init__(self, config: FlipConfig) -> None:
        super().__init__()
        self.patch_embeddings = nn.ModuleList(PatchEmbedding(p, config.channels) for p in config.patch_sizes)
        self.registers = nn.Parameter(torch.randn(config.registers, config.channels))
        self.register_embeddings = nn.Parameter(torch.randn(config.registers, 2) * 0.25 - 5)
        self.register_coordinates = nn.Parameter(torch.zeros(config.registers, 2), requires_grad=False)  # not used

    def forward(self, prompts: Sequence[Patched]) -> tuple[list[Tensor], list[Tensor]]:
        """Return tokens (n, C) and position features (n, 2) of each prompt. Each layer runs once for all prompts."""
        by_size = zip(*(patches for patches, _, _ in prompts), strict=True)
        embedded = [
            split_prompts(embed(torch.cat(patches)), [each.shape[0] for each in patches])
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
    """softmax(qkᵀ/√d)·v: queries (…, h, m, d), keys and values (…, h, n, d) → (…, h, m, d)."""
    # Subtract the mean key: softmax ignores a constant offset, float32 does not. The mean of trained keys is tens of
    # times larger than their differences, and costs two digits.
    k = k - k.mean(-2, keepdim=True)
    if q.ndim == 3:  # PyTorch's fused kernels need four dimensions
        return F.scaled_dot_product_attention(q[None], k[None], v[None])[0]
    return F.scaled_dot_product_attention(q, k, v)


def split_prompts(x: Tensor, lengths: list[int]) -> Sequence[Tensor]:
    """Split (…, Σn, d) into the parts of several prompts. A single prompt is not split, so ONNX graphs allow any n."""
    return x.split(lengths, -2) if len(lengths) > 1 else [x]


def attend_prompts(q: Sequence[Tensor], k: Sequence[Tensor], v: Sequence[Tensor]) -> Tensor:
    """Attend within each of several prompts, with different numbers of points and tokens: (…, h, Σm, d)."""
    return torch.cat([attend(*each) for each in zip(q, k, v, strict=True)], -2)


class MergeHeads(nn.Module):
    """(…, h, n, d) → (…, n, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(-3, -2).flatten(-2)


class ReleasedAttention(nn.Module):
    """Self-attention over tokens. Queries, keys and values each have an MLP whose position features are added."""

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
        return self.alpha * self.out(attend_prompts(*(split_prompts(each, lengths) for each in (q, k, v))))


class ReleasedBlock(nn.Module):
    """Encoder block: tokens (…, n, C) and position features (…, n, 2) → tokens.

    With `lengths`, which sum to n, the tokens belong to several prompts, and attention stays within each prompt.
    """

    def __init__(self, config: FlipConfig) -> None:
        super().__init__()
        self.attention = ReleasedAttention(config)
        self.mlp = FeedForward(config.channels)
        self.alpha = nn.Parameter(torch.full((1,), 0.1))

    def forward(self, x: Tensor, features: Tensor, lengths: list[int] | None = None) -> Tensor:
        x = x + self.attention(x, features, lengths or [x.shape[-2]])
        return x + self.alpha * self.mlp(x)


# ---- from tokens to a mask


class CrossAttention(nn.Module):
    """Attention from points to tokens. The query of a point depends on its position only."""

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
        return self.out(attend_prompts(split_prompts(q, lengths), k, v))  # (m, C)


class ReleasedMaskPredictor(nn.Module):
    """Mask logits at any points. `cache` computes the keys and values, which do not depend on the points."""

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
        """Points (…, m, 2) → logits (…, m), above 0 inside the mask. Points are independent of each other."""
        return self(position_features(points, gaussian), [keys], [values], [points.shape[-2]])

    def forward(self, features: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor], lengths: list[int]) -> Tensor:
        """Position features (…, m, 2) → logits (…, m). `lengths[i]` points belong to prompt i."""
        x = self.attention(features, keys, values, lengths)
        x = x + self.postprocess(x)
        return self.to_mask(x).squeeze(-1)


# ---- the model


class ReleasedFlip(nn.Module):
    """A released FLIP model with random weights. `flip.checkpoint.load_model` loads trained ones."""

    def __init__(self, config: FlipConfig) -> None:
        super().__init__()
        self.config = config
        self.sparsify = Sparsify(config)
        self.layers = nn.ModuleList(ReleasedBlock(config) for _ in range(config.blocks))
        self.mask_extractor = ReleasedMaskPredictor(config)

    def encode(self, patches: list[Tensor], centres: Tensor, gaussian: Tensor) -> Encoded:
        """Encode the patches of a prompt.

        Args:
            patches: For each of `config.patch_sizes`, float (n_p, 3, p, p) in 0…1; n_p may be 0.
            centres: (Σ n_p, 2) in the same order, in units of 128 px.
            gaussian: (6,), in units of 128 px.

        Returns:
            Keys and values for `decode`, (h, n, d) each.
        """
        return self.encode_many([(patches, centres, gaussian)])[0]

    def encode_many(self, prompts: Sequence[Patched], dtype: torch.dtype = torch.float32) -> list[Encoded]:
        """Encode several prompts, with any numbers of patches. Prompts are independent of each other.

        Args:
            prompts: Arguments of `encode`.
            dtype: For mixed precision in the blocks, if not float32.
        """
        tokens, features = self.sparsify(prompts)
        lengths = [each.shape[0] for each in tokens]
        x, where = torch.cat(tokens), torch.cat(features)
        with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
            for layer in self.layers:
                x = layer(x, where, lengths)
        keys, values = self.mask_extractor.cache(x, where)
        return list(zip(split_prompts(keys, lengths), split_prompts(values, lengths), strict=True))

    def decode(self, points: Tensor, keys: Tensor, values: Tensor, gaussian: Tensor) -> Tensor:
        """Return mask logits (m,) at points (m, 2) in units of 128 px."""
        return self.mask_extractor.logits(points, keys, values, gaussian)

    def decode_many(self, points: Tensor, encoded: Sequence[Encoded], gaussians: Tensor, lengths: list[int]) -> Tensor:
        """Return mask logits (Σm,) of several prompts.

        Args:
            points: (Σm, 2). The first `lengths[0]` points belong to the first prompt, etc.
            encoded: Results of `encode`.
            gaussians: (b, 6).
            lengths: Number of points of each prompt.
        """
        owners = torch.arange(len(lengths), device=points.device).repeat_interleave(
            torch.tensor(lengths, device=points.device)
        )
        features = position_features(points[:, None], gaussians[owners])[:, 0]
        keys, values = zip(*encoded, strict=True)
        return self.mask_extractor(features, keys, values, lengths)
