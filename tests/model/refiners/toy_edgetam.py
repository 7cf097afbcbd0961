"""EdgeTAM's real code at toy size with random weights, as a network and as a folder of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from model.refiners.edgetam import build

SIDE = 256


def toy_config() -> Any:
    from transformers import EdgeTamVideoConfig, EdgeTamVisionConfig, TimmWrapperConfig

    cells = [[SIDE // stride] * 2 for stride in (4, 8, 16)]
    encoder = TimmWrapperConfig(
        architecture="repvit_m1",
        model_args={
            "in_chans": 3,
            "features_only": True,
            "out_indices": (0, 1, 2, 3),
            "embed_dim": (16, 16, 32, 32),
            "depth": (1, 1, 1, 1),
        },
    )
    return EdgeTamVideoConfig(
        vision_config=EdgeTamVisionConfig(
            backbone_config=encoder,
            backbone_channel_list=[32, 32, 16, 16],
            backbone_feature_sizes=cells,
            fpn_hidden_size=128,
        ),
        prompt_encoder_config={"image_size": SIDE, "hidden_size": 128},
        mask_decoder_config={"hidden_size": 128, "mlp_dim": 64, "iou_head_hidden_dim": 64},
        image_size=SIDE,
        memory_attention_rope_feat_sizes=cells[-1],
        memory_attention_hidden_size=128,
        memory_attention_num_layers=1,
        memory_attention_mlp_hidden_size=64,
        memory_encoder_hidden_size=128,
        mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=64,
        memory_fuser_num_layers=1,
        enable_temporal_pos_encoding_for_object_pointers=False,
        enable_occlusion_spatial_embedding=False,
    )


def toy_model() -> Any:
    torch.manual_seed(7)
    return made_lively(build(toy_config()))


def made_lively(model: Any) -> Any:
    """An untrained tracker whose masks depend on what it sees and remembers."""
    for values in model.parameters():
        if values.dim() > 1:
            torch.nn.init.xavier_uniform_(values)
    # It may as well believe that the target is nowhere, and draw nothing.
    torch.nn.init.constant_(model.mask_decoder.pred_obj_score_head.proj_out.bias, 30.0)
    return model.eval()


def write_toy(folder: Path) -> Path:
    """The toy as a person's own weights: config.json and model.safetensors."""
    toy_model().save_pretrained(folder)
    return folder
