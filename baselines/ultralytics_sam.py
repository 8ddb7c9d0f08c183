"""MobileSAM (Zhang et al., arXiv 2306.14289) and SAM 2.1 (Ravi et al., arXiv 2408.00714) by ultralytics.

Both have the three parts that `baselines.sam` works with; SAM 2.1's are put into that form here, without its memory of
videos. MobileSAM gets its picture as SAM does, which is what its authors feed it. SAM 2.1 gets it as ultralytics 8.4
prepares it (`LetterBox`): the longest side resized to 1024, not antialiased, and grey to the right and below, while
Meta's own code squeezes the picture into the square. Masks are ultralytics' own at any size, but for one thing: it
hides a mask whose quality SAM 2.1 itself estimates below 0.25, and a benchmark has no use for that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from baselines.sam import MEAN, STD, Fit, TorchSam, card
from baselines.segmenter import ModelUnavailable, Precision
from baselines.ultralytics_offline import offline
from baselines.upsample import BAND, SIDE, Step, positive
from flip.checkpoint import WeightsBroken, load_state_dict_checked
from flip.lightning import CheckpointBroken, read_state_dict
from objascale.masks import RegionMask

with offline():
    from ultralytics.data.augment import LetterBox
    from ultralytics.models.sam import build as architectures

LEVELS = (256, 128, 64)  # sides of SAM 2's features of an image, from fine to coarse


SAM2_SIZES = ("t", "s", "b+", "l")


def build_mobilesam() -> nn.Module:
    """MobileSAM with random weights."""
    return architectures.build_mobile_sam()


def build_sam2(size: str) -> nn.Module:
    """SAM 2.1 (`size` one of SAM2_SIZES) with random weights, its memory of videos included."""
    builders = (
        architectures.build_sam2_t,
        architectures.build_sam2_s,
        architectures.build_sam2_b,
        architectures.build_sam2_l,
    )
    network = builders[SAM2_SIZES.index(size)]()
    # Ultralytics makes a 2.1 only while it reads a checkpoint, and that it would unpickle. These two differ from 2.0.
    network.no_obj_embed_spatial = nn.Parameter(torch.zeros(1, network.mem_dim))
    network.obj_ptr_tpos_proj = nn.Linear(network.hidden_dim, network.mem_dim)
    return network


def load_mobilesam(name: str, weights: Path | None, *, device: str = "cpu", precision: Precision = "fp32") -> TorchSam:
    """MobileSAM with the weights of mobile_sam.pt; None leaves them random. Raises ModelUnavailable."""
    network = build_mobilesam()
    if weights:
        _fill(network, weights, ())
    return TorchSam(network, card(name, "MobileSAM", network, weights), device=device, precision=precision)


def load_sam2(
    name: str, size: str, weights: Path | None, *, device: str = "cpu", precision: Precision = "fp32"
) -> TorchSam:
    """SAM 2.1 with the weights of sam2.1_t.pt or its like; None leaves them random. Raises ModelUnavailable."""
    network = build_sam2(size)
    if weights:
        _fill(network, weights, ("model",))
    described = card(name, "SAM 2.1", network, weights, resize="letterbox, not antialiased")
    return TorchSam(Sam2(network), described, device=device, precision=precision, fit=Fit(prepare, to_input, enlarge))


def _fill(network: nn.Module, path: Path, keys: tuple[str, ...]) -> None:
    try:
        load_state_dict_checked(network, read_state_dict(path, keys=keys), path)
    except (CheckpointBroken, WeightsBroken) as error:
        raise ModelUnavailable(str(error)) from None


class Sam2(nn.Module):
    """SAM 2.1 with SAM's three parts and their arguments."""

    def __init__(self, network: Any) -> None:
        """`network` from `build_sam2`."""
        super().__init__()
        self.network = network
        self.prompt_encoder = _Prompts(network.sam_prompt_encoder)

    def image_encoder(self, pixels: Tensor) -> list[Tensor]:
        """1×3×1024×1024 → features, from fine to coarse, as `SAM2Predictor.get_im_features` has them."""
        *_, features, _, _ = self.network._prepare_backbone_features(self.network.forward_image(pixels))
        features[-1] = features[-1] + self.network.no_mem_embed
        return [level.permute(1, 2, 0).view(1, -1, side, side) for level, side in zip(features, LEVELS, strict=True)]

    def mask_decoder(self, *, image_embeddings: list[Tensor], **arguments: Any) -> tuple[Tensor, Tensor]:
        """Logits (n, 1, 256, 256) and estimated IoU (n, 1)."""
        *fine, coarse = image_embeddings
        logits, quality, _, _ = self.network.sam_mask_decoder(
            image_embeddings=coarse,
            high_res_features=fine,
            repeat_image=len(arguments["sparse_prompt_embeddings"]) > 1,
            **arguments,
        )
        return logits, quality


class _Prompts(nn.Module):
    """SAM 2 takes a box as two points, with the labels 2 and 3."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.get_dense_pe = encoder.get_dense_pe

    def forward(self, points: tuple[Tensor, Tensor] | None, boxes: Tensor | None, masks: None) -> tuple[Tensor, Tensor]:
        if boxes is not None:
            labels = torch.tensor([[2, 3]], dtype=torch.int32, device=boxes.device)
            points = boxes.view(-1, 2, 2), labels.expand(len(boxes), -1)
        return self.encoder(points=points, boxes=None, masks=None)


def prepare(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """H×W×3 RGB → 1×3×1024×1024: bilinear resize, grey padding, then SAM's mean and deviation."""
    padded = np.asarray(LetterBox((SIDE, SIDE), auto=False, center=False)(image=image))
    return np.ascontiguousarray(((padded - MEAN) / STD).transpose(2, 0, 1)[None])


def to_input(points: NDArray[np.float64], width: int, height: int) -> NDArray[np.float32]:
    """Points (…, 2) in pixels of a `width`×`height` picture, in pixels of the 1024×1024 input; both axes alike."""
    return points.astype(np.float32) * np.float32(min(SIDE / width, SIDE / height))


def enlarge(logits: NDArray[np.float32], width: int, height: int) -> RegionMask:
    """The mask of 256×256 logits in the picture: one bilinear step, `scale_masks` of ultralytics.

    Where the padding begins inside a logit's pixel, the exact part of that pixel is still the picture's.
    """
    gain = min(SIDE / height, SIDE / width)
    tall, wide = (round(side * gain) * whole / SIDE for side, whole in zip((height, width), logits.shape, strict=True))
    rows, columns = max(round(tall), 1), max(round(wide), 1)
    if abs(tall - rows) + abs(wide - columns) <= 1e-3:
        return positive(logits, (Step(rows, height),), (Step(columns, width),))
    return _sampled(logits, tall, wide, width, height)


def _sampled(logits: NDArray[np.float32], tall: float, wide: float, width: int, height: int) -> RegionMask:
    """Of the logits, `tall`×`wide` from the upper left corner fill the picture; what lies beyond is still read."""
    share_y, share_x = tall / logits.shape[0], wide / logits.shape[1]
    theta = torch.tensor([[[share_x, 0, share_x - 1], [0, share_y, share_y - 1]]])
    xs = affine_grid(theta, [1, 1, 1, width], align_corners=False)[0, 0, :, 0]
    ys = affine_grid(theta, [1, 1, height, 1], align_corners=False)[0, :, 0, 1]
    top, bottom = _lit(ys, (logits > 0).any(1))
    left, right = _lit(xs, (logits > 0).any(0))
    mask = np.zeros((bottom - top, right - left), bool)
    values = torch.from_numpy(logits)[None, None]
    step = max(BAND // max(right - left, 1), 1)
    for start in range(top, bottom if right > left else top, step):
        band = slice(start, min(start + step, bottom))
        grid = torch.stack(torch.meshgrid(xs[left:right], ys[band], indexing="xy"), -1)[None]
        sampled = grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)
        mask[band.start - top : band.stop - top] = (sampled[0, 0] > 0).numpy()
    return RegionMask(left, top, mask, width, height).tight()


def _lit(positions: Tensor, lit: NDArray[np.bool_]) -> tuple[int, int]:
    """The outputs along an axis, whose ascending `positions` run from -1 to 1, that may read a lit sample."""
    samples = np.flatnonzero(lit)
    if len(samples) == 0:
        return 0, 0
    at = ((positions.double() + 1) * len(lit) - 1) / 2
    first = np.searchsorted(at, samples[0] - 1.01)
    end = np.searchsorted(at, samples[-1] + 1.01)
    if samples[-1] == len(lit) - 1:
        end = len(positions)
    return int(first), int(end)
