"""FLIP as in the paper (Traub & Butz, arXiv 2502.02763, version 1): flip-s, flip-m and flip-l.

The file follows sections 3.1 to 3.4. The equation stands above the line that computes it. `# Not in the paper:` marks a
choice that the text leaves open, or a change, with its reason; docs/flip.md has a table of them. Other parts of the
paper have files of their own: `flip.sampler` (3.1, sampling), `flip.paper.glimpses` (3.2, relative coordinates),
`flip.paper.cover` (3.4, output region), `flip.training` (3.5). The authors have published other models, which are in
`flip.released.model`.

Shapes: B prompts, n tokens (padded; `real` (B, n) is false for padding), C channels, h heads. Lengths are in pixels. A
Gaussian is a tensor (6,) or (B, 6): μx, μy, σx, σy, θa, θb, with the axes of `flip.gaussian`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flip.gaussian import Gaussian
from flip.paper.cover import Cover, cover
from flip.paper.glimpses import PATCH_SIZES, Glimpses, Layout
from flip.sampler import PAPER, Recipe
from objascale.masks import RegionMask

HEAD_CHANNELS = 32  # as in the released models, except for flip-tiny
CODE_HEAD_CHANNELS = 1  # of the perceptual code; see `PerceptualCode`
VARIANCE_EPS = 1e-6  # avoids 0/0 with a single token
MIN_AXIS_LENGTH = 1e-3  # a shorter mean of unit vectors has no reliable direction
ROW_MULTIPLE = 256  # see `per_patch`
MIN_SIGMA = 0.1  # px; ε of section 3.4, well below the 0.29 px of one pixel


@dataclass(frozen=True)
class PaperConfig:
    """Size of a model.

    Args:
        channels: C, a multiple of HEAD_CHANNELS.
        blocks: Number of encoder blocks: "three, six, or seven" (section 3.2).
    """

    channels: int
    blocks: int


# Not in the paper: the widths. These give the 2.6, 6.5 and 26.5 M parameters of section 3.5.
PAPER_CONFIGS = {"flip-s": PaperConfig(128, 3), "flip-m": PaperConfig(192, 6), "flip-l": PaperConfig(384, 7)}


class Codes(NamedTuple):
    """Output of the encoder for B prompts.

    Args:
        perceptual: z_p, (B, C).
        positional: z_pos, (B, 6).
        box: x0, y0, x1, y1 in pixels, (B, 4).
    """

    perceptual: Tensor
    positional: Tensor
    box: Tensor


class FlipOutput(NamedTuple):
    """Output of the model for B prompts: the fields of `Codes`, and `logits`.

    Args:
        logits: Mask logits by patch size p, (Σ n_p, p, p), in the order of the layout's `slots[p]`.
    """

    perceptual: Tensor
    positional: Tensor
    box: Tensor
    logits: dict[int, Tensor]


@dataclass(frozen=True)
class Prediction:
    """Output of the model for one prompt.

    Args:
        perceptual: z_p, (C,).
        positional: z_pos, (6,).
        box: x0, y0, x1, y1 in pixels, (4,).
        logits: Mask logits by patch size p, (n, p, p).
        cover: The output patches; the mask is background outside them.
    """

    perceptual: Tensor
    positional: Tensor
    box: Tensor
    logits: dict[int, Tensor]
    cover: Cover

    def mask(self, width: int, height: int) -> RegionMask:
        """Place the patches in a `width`×`height` frame and threshold the logits at 0 (end of section 3.4)."""
        patches = {p: (logits.detach() > 0).cpu().numpy() for p, logits in self.logits.items()}
        return self.cover.place(patches, width, height)


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two linear layers. Not in the paper: SiLU and the factor 4 of the hidden layers, as in the released models."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


def per_patch(layers: nn.Module, patches: Tensor) -> Tensor:
    """Apply layers to each row of (n, ·). In training, n is rounded up to a multiple of ROW_MULTIPLE.

    The number of patches of a size is another one in each batch, and oneDNN compiles a kernel for each number.
    """
    if not layers.training:
        return cast(Tensor, layers(patches))
    padded: Tensor = layers(F.pad(patches, (0, 0, 0, -len(patches) % ROW_MULTIPLE)))
    return padded[: len(patches)]


# ---- 3.1 Fovea-like input patching


class PatchEmbedding(nn.ModuleDict):
    """Embed flattened patches with one encoder E_r per size."""

    def __init__(self, channels: int) -> None:
        super().__init__({str(p): mlp(3 * p * p, 4 * channels, channels) for p in PATCH_SIZES})

    def forward(self, inputs: Glimpses) -> Tensor:
        """Patches of B prompts → tokens (B, n, C), 0 for padding."""
        layout = inputs.layout
        # Not in the paper: colours from −1 to 1, as is usual.
        colours = {p: pixels.flatten(1).to(inputs.gaussian.dtype) / 127.5 - 1 for p, pixels in inputs.pixels.items()}
        embedded = torch.cat([per_patch(self[str(p)], colours[p]) for p in PATCH_SIZES])
        # T = {t_1, …, t_N}
        order = torch.cat([layout.slots[p] for p in PATCH_SIZES])
        tokens = embedded.new_zeros(layout.real.numel(), embedded.shape[-1]).index_copy(0, order, embedded)
        return tokens.unflatten(0, layout.real.shape)


# ---- 3.2 Object-centric attention


class PositionEmbedding(nn.Sequential):
    """Embed the position of a patch, relative to a Gaussian: (…, 6), from `Layout.relative` → (…, C)."""

    def __init__(self, channels: int) -> None:
        # Not in the paper: 6 numbers instead of x̂ and ŷ. They add the extent of the patch along its rows and columns.
        # In rotated and scaled coordinates, a mask cannot be predicted without it.
        first, second, last = nn.Linear(6, 32), nn.Linear(32, 32), nn.Linear(32, channels)
        # Not in the paper: the initial weights. They cover ±3 σ and are twice as large as usual, so that attention
        # distinguishes positions from the first step on.
        for linear, scale in ((first, 3.5), (second, 1.5), (last, 2.0)):
            nn.init.uniform_(linear.weight, -(bound := scale / math.sqrt(linear.in_features)), bound)
        nn.init.uniform_(first.bias, -3, 3)
        super().__init__(first, nn.SiLU(), second, nn.SiLU(), last)

    def forward(self, places: Tensor) -> Tensor:
        """PE_i = MLP_i(x̂_i, ŷ_i), in single precision: bfloat16 would round positions to a hundredth of σ."""
        with torch.autocast(places.device.type, enabled=False):
            return super().forward(places)


class Attention(nn.Module):
    """Attention from `x` to `tokens`, with position embeddings in queries and keys but not in values."""

    def __init__(self, channels: int, head: int = HEAD_CHANNELS) -> None:
        super().__init__()
        self.head = head  # channels per head
        self.query, self.key = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.value, self.out = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(
        self, x: Tensor, tokens: Tensor, real: Tensor, pe_q: Tensor | float = 0.0, pe_k: Tensor | float = 0.0
    ) -> Tensor:
        """From `x` (B, m, C) to the `real` ones (B, n) of `tokens` (B, n, C): (B, m, C)."""
        q, k, v = (
            t.unflatten(-1, (-1, self.head)).transpose(1, 2)  # (B, h, m or n, d_k)
            for t in (
                self.query(x) + pe_q,  # Q = X̂·W_Q, Q′ = Q + PE
                self.key(tokens) + pe_k,  # K = X̂·W_K, K′ = K + PE
                self.value(tokens),  # V = X̂·W_V
            )
        )
        # softmax(Q′·K′ᵀ/√d_k)·V
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None, :])
        # Not in the paper: heads, and the linear layer that joins them, as in any transformer.
        return self.out(attended.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Object-centric attention block (figure 5)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(channels), Attention(channels)
        self.pe_q, self.pe_k = PositionEmbedding(channels), PositionEmbedding(channels)  # MLP_i and MLP_j
        # Not in the paper: keys start equal to queries, so that a token first attends to similar tokens close to it.
        self.attention.key.load_state_dict(self.attention.query.state_dict())
        self.pe_k.load_state_dict(self.pe_q.state_dict())
        self.ffn = nn.Sequential(nn.LayerNorm(channels), mlp(channels, 4 * channels, channels))

    def forward(self, x: Tensor, places: Tensor, real: Tensor) -> Tensor:
        """Tokens X_l (B, n, C) at relative `places` (B, n, 6) → X_{l+1}."""
        # X̂ = LN(X_l)
        normed = self.norm(x)
        # Y = X_l + softmax(Q′·K′ᵀ/√d_k)·V
        y = x + self.attention(normed, normed, real, self.pe_q(places), self.pe_k(places))
        # X_{l+1} = Y + FFN(LN(Y))
        return y + self.ffn(y)


# ---- 3.3 Learning what and where


class Windows(nn.Linear):
    """Attention windows of the perceptual code's heads: patches (…, 6), from `Layout.relative` → (…, C).

    Not in the paper: values carry no positions, so a part of the shape reaches z_p only through a head that attends to
    that place. A quadratic form of a patch's centre makes the attention of each head a Gaussian window.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(5, channels, bias=False)
        # −3·‖x − c‖² up to a constant: round windows of 0.4 σ, at random places c on and close to the prompt.
        where, sharp = 1.1 * torch.randn(channels, 2), 3.0
        square = torch.tensor((-sharp, 0.0, -sharp)).expand(channels, 3)
        self.weight = nn.Parameter(torch.cat((2 * sharp * where, square), 1))

    def forward(self, places: Tensor) -> Tensor:
        """Return one logit per head, in single precision as in `PositionEmbedding`."""
        x, y = places[..., 0], places[..., 1]
        with torch.autocast(places.device.type, enabled=False):
            return super().forward(torch.stack((x, y, x * x, x * y, y * y), -1))


class PerceptualCode(nn.Module):
    """The perceptual code z_p."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_query, self.norm_tokens = nn.LayerNorm(channels), nn.LayerNorm(channels)
        # Not in the paper: heads of one channel, so that C of them attend to C places.
        self.attention, self.windows = Attention(channels, CODE_HEAD_CHANNELS), Windows(channels)
        # Not in the paper: queries start at about 1, so that the windows determine the attention at first.
        nn.init.ones_(self.attention.query.bias)
        for content in (self.attention.query.weight, self.attention.key.weight):
            nn.init.normal_(content, 0, 0.1 / math.sqrt(channels))
        self.ffn = nn.Sequential(nn.LayerNorm(channels), mlp(channels, 4 * channels, channels))

    def forward(self, tokens: Tensor, places: Tensor, real: Tensor) -> Tensor:
        """Tokens (B, n, C) at relative `places` (B, n, 6) → z_p (B, C)."""
        # z_avg = 1/N·Σ t_i
        weights = real[..., None].to(tokens)
        average = (tokens * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
        # z_p = z_avg + CrossAttentionLayer(z_avg, T); the layer is pre-norm attention and FFN, like the blocks
        query = self.norm_query(average)
        code = average + self.attention(query, self.norm_tokens(tokens), real, pe_k=self.windows(places))
        return (code + self.ffn(code)).squeeze(1)


class PositionalCode(nn.Module):
    """The positional code z_pos, from three attention heads over token coordinates, for μ, σ and θ."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(3, channels) / channels)  # q_μ = W_q^μ·1, likewise for σ and θ
        self.key = nn.Linear(channels, 3 * channels, bias=False)  # W_k^μ, W_k^σ, W_k^θ

    def forward(self, tokens: Tensor, places: Tensor, real: Tensor, gaussian: Tensor) -> Tensor:
        """Tokens (B, n, C) at relative `places` (B, n, 2) → z_pos (B, 6)."""
        # k_{μ,i} = W_k^μ·t_i
        keys = self.key(tokens).unflatten(-1, (3, -1))
        # a_{μ,i} = softmax(q_μ·k_{μ,i}ᵀ)
        scores = (keys * self.queries).sum(-1).to(places.dtype).masked_fill(~real[..., None], -math.inf)
        with torch.autocast(places.device.type, enabled=False):
            return self._position(scores.softmax(1), places, real, gaussian)

    def _position(self, weights: Tensor, places: Tensor, real: Tensor, gaussian: Tensor) -> Tensor:
        """Attention weights a_i (B, n, 3) over `places` → z_pos (B, 6), in the precision of the coordinates."""
        equal = real[..., None].to(places) / real.sum(1)[:, None, None]  # weights 1/N, (B, n, 1)
        drawn = (equal * places).sum(1)
        # μ_x = Σ a_{μ,i}·x_i, μ_y = Σ a_{μ,i}·y_i. The weights sum to 1, so relative coordinates do as well as pixels.
        (mean, middle, turn) = torch.einsum("bnk,bnd->kbd", weights, places)
        # Not in the paper: subtract the mean of the drawn tokens. They are a random sample: with equal weights, the
        # paper's μ misses the prompt's by σ·√(2/n) (0.18 σ with 64 tokens). Here equal weights give the prompt itself.
        mean, turn = mean - drawn, turn - drawn
        sigma, (a, b) = gaussian[:, 2:4], gaussian[:, 4:].unbind(-1)
        dx, dy = (mean * sigma).unbind(-1)
        centre = gaussian[:, :2] + torch.stack((a * dx + b * dy, a * dy - b * dx), -1)
        # "Similarly" σ_x, σ_y. Not in the paper: σ is the prompt's, times the ratio of the variances with the head's
        # weights and with equal weights. It then scales with image and prompt.
        spread, usual = (
            (weight * (places - about[:, None]).square()).sum(1)
            for weight, about in ((weights[..., 1:2], middle), (equal, drawn))
        )
        deviations = ((spread + VARIANCE_EPS) / (usual + VARIANCE_EPS) * sigma.square()).clamp_min(MIN_SIGMA**2).sqrt()
        # "Similarly" θ_a, θ_b. Not in the paper: θ is the prompt's, turned by the direction of the head's mean from
        # (−1, 0). It then turns with image and prompt, and a mean of 0 is no turn.
        c, s = F.normalize(turn + turn.new_tensor((1.0, 0.0)), dim=-1).unbind(-1)
        # z_pos = [μ_x, μ_y, σ_x, σ_y, θ_a, θ_b]
        return torch.cat((centre, deviations, torch.stack((a * c - b * s, b * c + a * s), -1)), -1)


# ---- 3.4 Mask prediction


class MaskPredictor(nn.Module):
    """Predict the mask at output patches, from the codes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pe = PositionEmbedding(channels)
        self.blocks = nn.ModuleList(Block(channels) for _ in range(2))
        self.de_embed = nn.ModuleDict({str(p): mlp(channels, 4 * channels, p * p) for p in PATCH_SIZES})  # D_r

    def forward(self, code: Tensor, position: Tensor, outputs: Layout) -> dict[int, Tensor]:
        """z_p (B, C), z_pos (B, 6) and output patches → mask logits by patch size p, (Σ n_p, p, p)."""
        # Not in the paper: PE relative to z_pos, here and in the blocks. The region is z_pos's too, and the gradient of
        # the mask loss reaches z_pos.
        places = outputs.relative(position)
        # t_{out,i} = z_p + PE(x_i, y_i)
        tokens = code[:, None] + self.pe(places)
        for block in self.blocks:
            tokens = block(tokens, places, outputs.real)
        # P̂_i = D_{r_i}(t_{out,i})
        flat = tokens.flatten(0, 1)
        flat_masks = {p: per_patch(self.de_embed[str(p)], flat[slots]) for p, slots in outputs.slots.items()}
        return {p: masks.unflatten(-1, (p, p)) for p, masks in flat_masks.items()}


# ---- The model


class Flip(nn.Module):
    """The paper's model with random weights. `flip.checkpoint.load_model` loads trained ones.

    Args:
        config: Size of the model.
        recipe: Layout of the input patches in training.
        outputs: Number of output patches in training.
        glance: Mean number of input patches in training.
    """

    def __init__(self, config: PaperConfig, recipe: Recipe = PAPER, outputs: int = 512, glance: int = 512) -> None:
        super().__init__()
        c, self.recipe, self.outputs, self.glance = config.channels, recipe, outputs, glance
        self.embed = PatchEmbedding(c)
        self.blocks = nn.ModuleList(Block(c) for _ in range(config.blocks))
        self.perceptual, self.positional = PerceptualCode(c), PositionalCode(c)
        self.box = mlp(c, c, 4)
        self.predictor = MaskPredictor(c)

    def tokens(self, inputs: Glimpses) -> tuple[Tensor, Tensor]:
        """Return encoded tokens (B, n, C) and their relative places (B, n, 6) (sections 3.1 and 3.2)."""
        tokens, places = self.embed(inputs), inputs.layout.relative(inputs.gaussian)  # X_1 = T
        for block in self.blocks:
            tokens = block(tokens, places, inputs.layout.real)
        return tokens, places

    def codes(self, tokens: Tensor, places: Tensor, inputs: Glimpses) -> Codes:
        """Return the codes of encoded tokens (section 3.3)."""
        real = inputs.layout.real
        code = self.perceptual(tokens, places, real)
        position = self.positional(tokens, places[..., :2], real, inputs.gaussian)
        return Codes(code, position, self._boxes(code, inputs.gaussian))

    def encode(self, inputs: Glimpses) -> Codes:
        """Return the codes of B prompts (sections 3.1 to 3.3)."""
        return self.codes(*self.tokens(inputs), inputs)

    def forward(self, inputs: Glimpses, outputs: Layout) -> FlipOutput:
        """Return the output at given output patches, as in training, where they cover the true Gaussian."""
        codes = self.encode(inputs)
        return FlipOutput(*codes, self.predictor(codes.perceptual, codes.positional, outputs))

    def predict(
        self, inputs: Glimpses, width: int, height: int, patches: int = 512, glances: int = 1
    ) -> list[Prediction]:
        """Predict the masks of prompts of images of one size.

        Args:
            inputs: Input patches. The glances of a prompt are consecutive.
            width: Width of the images in pixels.
            height: Height of the images in pixels.
            patches: N_out.
            glances: Number of glances per prompt.
        """
        return self.write(self.mean_codes(inputs, glances), width, height, patches)

    def mean_codes(self, inputs: Glimpses, glances: int = 1) -> Codes:
        """Return the mean codes of each prompt over its glances.

        Not in the paper: a model that is trained with 128 patches at a time uses 512 best as four glances of 128.
        """
        codes, positions, boxes = (each.unflatten(0, (-1, glances)) for each in self.encode(inputs))
        return Codes(codes.mean(1), mean_position(positions, inputs.gaussian[::glances]), boxes.mean(1))

    def write(self, codes: Codes, width: int, height: int, patches: int = 512) -> list[Prediction]:
        """Predict the masks of codes, for images of one size, with N_out = `patches` (section 3.4).

        Positional codes must be finite.
        """
        covers = [cover(_canonical(position), width, height, patches) for position in codes.positional]
        units = [one.unit for one in covers]
        outputs = Layout.of([one.centres() for one in covers], units, codes.positional.dtype)
        logits = self.predictor(codes.perceptual, codes.positional, outputs.to(codes.positional.device))
        parts = {p: each.split([len(one.corners.get(p, ())) for one in covers]) for p, each in logits.items()}
        return [
            Prediction(*each, {p: parts[p][i] for p in one.corners}, one)
            for i, (each, one) in enumerate(zip(zip(*codes, strict=True), covers, strict=True))
        ]

    def _boxes(self, code: Tensor, gaussian: Tensor) -> Tensor:
        """Return bounding boxes (B, 4), x0, y0, x1, y1 in pixels."""
        # Not in the paper: the form of the box head, which only its loss mentions. Edges are multiples of the prompt's
        # deviations along x and y, and start at the box of the 2σ ellipse.
        (s1, s2), (a, b) = gaussian[:, 2:4].square().unbind(-1), gaussian[:, 4:].square().unbind(-1)
        scale = torch.stack((s1 * a + s2 * b, s1 * b + s2 * a), -1).sqrt()
        edges = self.box(code) + code.new_tensor((-2.0, -2.0, 2.0, 2.0))
        return gaussian[:, :2].repeat(1, 2) + scale.repeat(1, 2) * edges


def mean_position(positions: Tensor, gaussian: Tensor) -> Tensor:
    """Return the mean (B, 6) of positional codes (B, k, 6), with an axis of length 1.

    The mean of different unit vectors is shorter than 1 and would scale all relative coordinates. If the axes cancel,
    the result has the axis of the prompt `gaussian` (B, 6).
    """
    mean = positions.mean(1)
    length = mean[:, 4:].norm(dim=-1, keepdim=True)
    axis = mean[:, 4:] / length.clamp_min(MIN_AXIS_LENGTH)
    axis = torch.where(length < MIN_AXIS_LENGTH, gaussian[:, 4:], axis)  # NaN stays NaN
    return torch.cat((mean[:, :4], axis), -1)


def _canonical(position: Tensor) -> Gaussian:
    """Return a positional code (6,) as a Gaussian, whose first axis is the minor one."""
    x, y, s1, s2, a, b = position.detach().double().tolist()
    axes = np.array(((a, b), (-b, a))) * (s1, s2)
    return Gaussian.from_moments((x, y), axes @ axes.T)
