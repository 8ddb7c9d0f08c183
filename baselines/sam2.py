"""SAM 2.1 (Ravi et al., arXiv 2408.00714) by ultralytics, without its memory of videos.

The image is prepared as in ultralytics 8.4 (`LetterBox`): the longest side is resized to 1024 without antialiasing, and
the right and the bottom are padded with grey. Meta's own code resizes the image to a square instead. Masks equal
ultralytics' masks at any size, with one exception: ultralytics hides a mask whose estimated quality is below 0.25, and
this adapter returns it.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from baselines.lazy import torch
from baselines.model import Files, Model
from baselines.sam import PIXEL_MEAN, PIXEL_STD, TorchSam
from baselines.segmenter import Options
from baselines.torch_loading import load_weights, network_card, random_weights, torch_device
from baselines.ultralytics_offline import augment, sam_build, ultralytics_file
from baselines.upsample import BAND_PIXELS, INPUT_SIDE, ResizeStep, positive_mask
from flip.training_data import TrainingData
from flip.weights import WeightsRecord
from objascale.masks import RegionMask

FEATURE_SIDES = (256, 128, 64)
"""Sides of the image features, from fine to coarse."""


def load_sam2(name: str, size: str, files: Files | None, options: Options) -> Sam2:
    """Load SAM 2.1 (`size` is t, s, b+ or l). Raises ModelUnavailable for broken weights."""
    device = torch_device(options)
    with random_weights():
        network = build_sam2(size)
    if files:
        load_weights(network, files[0], ("model",))
    resize = "letterbox, not antialiased"
    card = network_card(name, "SAM 2.1", network, files[0] if files else None, resize=resize)
    return Sam2(network, card, device=device, precision=options.precision)


def build_sam2(size: str) -> torch.nn.Module:
    """Build the network (`size` is t, s, b+ or l) with random weights, including its memory of videos."""
    builders = {
        "t": sam_build.build_sam2_t,
        "s": sam_build.build_sam2_s,
        "b+": sam_build.build_sam2_b,
        "l": sam_build.build_sam2_l,
    }
    network = builders[size]()
    # Ultralytics builds a 2.1 only while it unpickles a checkpoint. These two modules differ from 2.0.
    network.no_obj_embed_spatial = torch.nn.Parameter(torch.zeros(1, network.mem_dim))
    network.obj_ptr_tpos_proj = torch.nn.Linear(network.hidden_dim, network.mem_dim)
    return network


SAM2_TRAINING = TrainingData(
    "arXiv 2408.00714, section 6 and appendix D: SA-1B, SA-V, Meta's internal videos, and in a second mix DAVIS, MOSE "
    "and YouTubeVOS; the mix of the published files is not stated, so all are listed. Encoders pre-trained on "
    "ImageNet-1k (Hiera, arXiv 2306.00989)",
    ("sa1b", "sa-v", "meta-internal-videos", "davis", "mose", "youtubevos", "imagenet-1k"),
)


def _sam2_model(size: str, parameters: int) -> Model:
    name = f"sam2.1-{size}"
    return Model(
        name=name,
        family="SAM 2.1",
        parameters=parameters,
        prompts=("box", "point", "clicks"),
        licence="Apache-2.0, AGPL-3.0 (ultralytics)",
        load=partial(load_sam2, name, size),
        weights=WeightsRecord(
            name=name,
            files=(ultralytics_file(f"sam2.1_{size[0]}.pt"),),
            licence="Apache-2.0",
            publisher="copy",
            source="github.com/ultralytics/assets (by github.com/facebookresearch/sam2)",
        ),
        extra="fastsam",
        encodes_image=True,
        training=SAM2_TRAINING,
    )


SAM2_MODELS = (
    _sam2_model("t", 38_962_498),
    _sam2_model("s", 46_060_354),
    _sam2_model("b+", 80_850_178),
    _sam2_model("l", 224_446_642),
)


class Sam2(TorchSam):
    """SAM 2.1 behind the `Segmenter` protocol. Its network is one of `build_sam2`."""

    def _prepare(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return letterbox_pixels(image)

    def _to_input(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        return letterbox_points(points, *self._size)

    def _encode(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Return the features from fine to coarse, as `SAM2Predictor.get_im_features`."""
        network = self._network
        *_, features, _, _ = network._prepare_backbone_features(network.forward_image(pixels))
        features[-1] = features[-1] + network.no_mem_embed
        return [
            level.permute(1, 2, 0).view(1, -1, side, side) for level, side in zip(features, FEATURE_SIDES, strict=True)
        ]

    def _encode_prompts(self, points: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """SAM 2 takes a box as two labelled points too."""
        return self._network.sam_prompt_encoder(points=(points, labels), boxes=None, masks=None)

    def _decode_masks(self, sparse: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
        *fine, coarse = self._embedding
        logits, *_ = self._network.sam_mask_decoder(
            image_embeddings=coarse,
            image_pe=self._network.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
            repeat_image=len(sparse) > 1,
            high_res_features=fine,
        )
        return logits

    def _to_mask(self, logits: NDArray[np.float32]) -> RegionMask:
        return letterbox_mask(logits, *self._size)


def letterbox_pixels(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Convert an image, uint8 RGB H×W×3, to 1×3×1024×1024: bilinear resize, grey padding, then SAM's normalisation."""
    padded = np.asarray(augment.LetterBox((INPUT_SIDE, INPUT_SIDE), auto=False, center=False)(image=image))
    return np.ascontiguousarray(((padded - PIXEL_MEAN) / PIXEL_STD).transpose(2, 0, 1)[None])


def letterbox_points(points: NDArray[np.float64], width: int, height: int) -> NDArray[np.float32]:
    """Convert points (…, 2) from pixels of a `width`×`height` image to pixels of the input. Both axes scale alike."""
    return points.astype(np.float32) * np.float32(min(INPUT_SIDE / width, INPUT_SIDE / height))


def letterbox_mask(logits: NDArray[np.float32], width: int, height: int) -> RegionMask:
    """Convert logits (256, 256) to a mask of a `width`×`height` image in one bilinear step, as `scale_masks` does.

    If the padding begins inside a logit's pixel, the exact part of that pixel belongs to the image.
    """
    gain = min(INPUT_SIDE / height, INPUT_SIDE / width)
    image_rows, image_columns = (
        round(side * gain) * whole / INPUT_SIDE for side, whole in zip((height, width), logits.shape, strict=True)
    )
    rows, columns = max(round(image_rows), 1), max(round(image_columns), 1)
    if abs(image_rows - rows) + abs(image_columns - columns) <= 1e-3:
        return positive_mask(logits, (ResizeStep(rows, height),), (ResizeStep(columns, width),))
    return _sample_mask(logits, image_rows, image_columns, width, height)


def _sample_mask(
    logits: NDArray[np.float32], image_rows: float, image_columns: float, width: int, height: int
) -> RegionMask:
    """Sample the top left `image_rows`×`image_columns` logits at the pixels. Interpolation also reads beyond them."""
    affine_grid, grid_sample = torch.nn.functional.affine_grid, torch.nn.functional.grid_sample
    share_y, share_x = image_rows / logits.shape[0], image_columns / logits.shape[1]
    theta = torch.tensor([[[share_x, 0, share_x - 1], [0, share_y, share_y - 1]]])
    xs = affine_grid(theta, [1, 1, 1, width], align_corners=False)[0, 0, :, 0]
    ys = affine_grid(theta, [1, 1, height, 1], align_corners=False)[0, :, 0, 1]
    top, bottom = _positive_outputs(ys, (logits > 0).any(1))
    left, right = _positive_outputs(xs, (logits > 0).any(0))
    mask = np.zeros((bottom - top, right - left), bool)
    values = torch.from_numpy(logits)[None, None]
    step = max(BAND_PIXELS // max(right - left, 1), 1)
    for start in range(top, bottom if right > left else top, step):
        band = slice(start, min(start + step, bottom))
        grid = torch.stack(torch.meshgrid(xs[left:right], ys[band], indexing="xy"), -1)[None]
        sampled = grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)
        mask[band.start - top : band.stop - top] = (sampled[0, 0] > 0).numpy()
    return RegionMask(left, top, mask, width, height).tight()


def _positive_outputs(positions: torch.Tensor, is_positive: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first and end output along an axis that may read a positive sample.

    `positions` are those of the outputs, ascending, from -1 to 1 across the samples.
    """
    samples = np.flatnonzero(is_positive)
    if len(samples) == 0:
        return 0, 0
    # A bilinear output reads the samples less than 1 away; 0.01 more allows for float32's rounding.
    at = ((positions.double() + 1) * len(is_positive) - 1) / 2
    first = np.searchsorted(at, samples[0] - 1.01)
    end = np.searchsorted(at, samples[-1] + 1.01)
    if samples[-1] == len(is_positive) - 1:
        end = len(positions)
    return int(first), int(end)
