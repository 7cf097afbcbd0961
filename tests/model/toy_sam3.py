"""SAM 3's real code at toy size with random weights, as networks and as a folder of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.model.refiners.toy_edgetam import made_lively

SIDE = 112
WIDTH = 128  # what remembers has 64 channels and needs more to remember


def _eyes() -> dict[str, Any]:
    return {
        "model_type": "sam3_vision_model",
        "fpn_hidden_size": WIDTH,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "window_size": 4,
            "global_attn_indexes": [1],
            "pretrain_image_size": 56,
        },
    }


def tracker_config() -> Any:
    from transformers import Sam3TrackerVideoConfig

    return Sam3TrackerVideoConfig(
        image_size=SIDE,
        vision_config=_eyes(),
        prompt_encoder_config={"hidden_size": WIDTH},
        mask_decoder_config={"hidden_size": WIDTH, "mlp_dim": 64, "iou_head_hidden_dim": 64},
        memory_attention_hidden_size=WIDTH,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_encoder_hidden_size=WIDTH,
        mask_downsampler_embed_dim=WIDTH,
        memory_fuser_embed_dim=WIDTH,
        memory_fuser_intermediate_dim=64,
        memory_fuser_num_layers=1,
    )


def toy_tracker() -> Any:
    from transformers import Sam3TrackerVideoModel

    torch.manual_seed(7)
    return made_lively(Sam3TrackerVideoModel(tracker_config()))


def toy_config() -> Any:
    """Detector and tracker, as the official config.json describes them."""
    from transformers import Sam3VideoConfig

    part = {"hidden_size": WIDTH, "intermediate_size": 64, "num_attention_heads": 2}
    words = {
        "model_type": "clip_text_model",
        "vocab_size": 49408,
        "hidden_size": 16,
        "intermediate_size": 32,
        "projection_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
    }
    detector = {
        "model_type": "sam3",
        "vision_config": _eyes(),
        "text_config": words,
        "geometry_encoder_config": {**part, "num_layers": 1},
        "detr_encoder_config": {**part, "num_layers": 1},
        "detr_decoder_config": {**part, "num_layers": 1, "num_queries": 8},
        "mask_decoder_config": {"hidden_size": WIDTH, "num_attention_heads": 2},
    }
    return Sam3VideoConfig(
        detector_config=detector,
        tracker_config=tracker_config().to_dict(),
        low_res_mask_size=SIDE * 4 // 14,
        score_threshold_detection=0.3,  # an untrained detector is half sure of everything
        new_det_thresh=0.5,
    )


def toy_model() -> Any:
    """Of it come things that stay, things that are withdrawn, and things that come late."""
    from model.segmenters.sam3_video import build

    torch.manual_seed(7)
    model = build(toy_config().to_dict())
    for values in model.parameters():
        if values.dim() > 1:
            torch.nn.init.xavier_uniform_(values)
    made_lively(model.tracker_model)
    believing(model, 6.0)
    return model.eval()


def believing(model: Any, presence: float) -> Any:
    """`model`, as sure that what is named is there as the logit `presence` says."""
    torch.nn.init.constant_(model.detector_model.detr_decoder.presence_head.layer3.bias, presence)
    return model


def write_toy(folder: Path, model: Any = None) -> Path:
    """The toy as a person's own weights: the names are the official file's."""
    model = model or toy_model()
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder
