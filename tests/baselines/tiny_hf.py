"""Tiny promptable segmenters of `transformers` with fixed random weights, for tests. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from baselines.torchvision_cpu import prepare_torchvision

SIDE = 64
"""Side of the networks' input in pixels."""

FEATURE_SIDES = [[16, 16], [8, 8], [4, 4]]

_MEMORY = {
    "image_size": SIDE,
    "memory_attention_hidden_size": 32,
    "memory_attention_num_layers": 1,
    "memory_attention_feed_forward_hidden_size": 32,
    "memory_attention_rope_feat_sizes": [4, 4],
    "memory_encoder_hidden_size": 32,
    "memory_encoder_output_channels": 8,
    "memory_fuser_num_layers": 1,
    "memory_fuser_embed_dim": 32,
    "memory_fuser_intermediate_dim": 32,
    "mask_downsampler_embed_dim": 32,
}
"""Of a model of videos. An adapter does not use this part."""


def _parts(family: str) -> dict[str, Any]:
    """Return the configurations of the prompt encoder and of the mask decoder."""
    import transformers

    decoder = {"vit_dim": 32} if family == "SamHQ" else {}
    return {
        "prompt_encoder_config": getattr(transformers, f"{family}PromptEncoderConfig")(
            hidden_size=32, image_size=SIDE, patch_size=4 if family in ("Sam", "SamHQ") else 16
        ),
        "mask_decoder_config": getattr(transformers, f"{family}MaskDecoderConfig")(
            hidden_size=32, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16, **decoder
        ),
    }


def _sam(family: str) -> Any:
    import transformers

    vision = getattr(transformers, f"{family}VisionConfig")(
        hidden_size=32,
        output_channels=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=4,
        window_size=4,
        global_attn_indexes=[1],
        num_pos_feats=16,
        mlp_dim=32,
    )
    return getattr(transformers, f"{family}Config")(vision_config=vision, **_parts(family))


def _sam2_vision() -> Any:
    from transformers import Sam2HieraDetConfig, Sam2VisionConfig

    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 4, 4, 4],
        global_attention_blocks=[3],
    )
    return Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=FEATURE_SIDES,
        fpn_hidden_size=32,
    )


def _edgetam_vision() -> Any:
    from transformers import EdgeTamVisionConfig, TimmWrapperConfig

    arguments = {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]}
    backbone = TimmWrapperConfig(
        architecture="repvit_m1", model_args={**arguments, "embed_dim": (8, 16, 16, 16), "depth": (1, 1, 1, 1)}
    )
    return EdgeTamVisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[16, 16, 16, 8],
        backbone_feature_sizes=FEATURE_SIDES,
        fpn_hidden_size=32,
    )


def _sam3_vision() -> Any:
    from transformers import Sam3VisionConfig, Sam3ViTConfig

    backbone = Sam3ViTConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=16,
        window_size=2,
        global_attn_indexes=[1],
        pretrain_image_size=SIDE,
    )
    return Sam3VisionConfig(backbone_config=backbone, backbone_feature_sizes=FEATURE_SIDES, fpn_hidden_size=32)


def _sam2_kin(family: str, vision: Callable[[], Any]) -> Any:
    import transformers

    return getattr(transformers, f"{family}Config")(vision_config=vision(), **_parts(family))


def _video(family: str, vision: Callable[[], Any]) -> Any:
    import transformers

    return getattr(transformers, f"{family}VideoConfig")(
        vision_config=vision(),
        **{name: part.to_dict() for name, part in _parts(family).items()},
        **_MEMORY,
    )


def _sam3_video() -> Any:
    from transformers import Sam3Config, Sam3TrackerVideoConfig, Sam3VideoConfig

    vision = _sam3_vision().to_dict()
    narrow = {"hidden_size": 32, "num_attention_heads": 2}
    layer = {**narrow, "num_layers": 1, "intermediate_size": 32}
    detector = Sam3Config(
        vision_config=vision,
        text_config={**narrow, "vocab_size": 64, "intermediate_size": 32, "num_hidden_layers": 1, "projection_dim": 32},
        geometry_encoder_config=layer,
        detr_encoder_config=layer,
        detr_decoder_config={**layer, "num_queries": 5},
        mask_decoder_config=narrow,
    )
    tracker = Sam3TrackerVideoConfig(
        vision_config=vision, **{name: part.to_dict() for name, part in _parts("Sam3Tracker").items()}, **_MEMORY
    )
    return Sam3VideoConfig(detector_config=detector.to_dict(), tracker_config=tracker.to_dict())


CONFIGS: dict[str, Callable[[], Any]] = {
    "sam": lambda: _sam("Sam"),
    "sam_hq": lambda: _sam("SamHQ"),
    "sam2": lambda: _sam2_kin("Sam2", _sam2_vision),
    "edgetam": lambda: _sam2_kin("EdgeTam", _edgetam_vision),
    "sam3_tracker": lambda: _sam2_kin("Sam3Tracker", _sam3_vision),
    "sam2_video": lambda: _video("Sam2", _sam2_vision),
    "edgetam_video": lambda: _video("EdgeTam", _edgetam_vision),
    "sam3_video": _sam3_video,
}
"""Configurations by `model_type`."""

PROCESSORS = {
    "sam": ("SamProcessor", "SamImageProcessor"),
    "sam_hq": ("SamHQProcessor", "SamImageProcessor"),
    "sam2": ("Sam2Processor", "Sam2ImageProcessor"),
    "edgetam": ("Sam2Processor", "Sam2ImageProcessor"),
    "sam3_tracker": ("Sam3TrackerProcessor", "Sam3ImageProcessor"),
    "sam2_video": ("Sam2Processor", "Sam2ImageProcessor"),
    "edgetam_video": ("Sam2Processor", "Sam2ImageProcessor"),
    "sam3_video": ("Sam3TrackerProcessor", "Sam3ImageProcessor"),
}
"""Classes of the processor and of its image processor by `model_type`."""


def save_tiny(model_type: str, folder: Path) -> Path:
    """Save a tiny network and its processor as on the hub, and return the folder."""
    prepare_torchvision()
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = transformers.AutoModel.from_config(CONFIGS[model_type]())
        with torch.no_grad():
            for parameter in network.parameters():  # the usual small weights would give logits near 0 for any prompt
                if parameter.dim() > 1:
                    parameter.normal_(std=(parameter.numel() / len(parameter)) ** -0.5)
    processor, image_processor = (getattr(transformers, name) for name in PROCESSORS[model_type])
    square = {"height": SIDE, "width": SIDE}
    if model_type in ("sam", "sam_hq"):
        sizes = {"size": {"longest_edge": SIDE}, "pad_size": square}
    else:
        sizes = {"size": square}
    processor(image_processor(**sizes)).save_pretrained(folder)
    network.config.save_pretrained(folder)
    # `save_pretrained` of 5.24 writes a prefix of SAM 3 twice, which the file on the hub has once
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
