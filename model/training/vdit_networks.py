"""The demo's VD-IT at its sizes, fresh, and its text as ids."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from torch import Tensor, nn

from model.segmenters.tokenizer import CompactTokenizer
from model.segmenters.vdit import VdIt, VdItConfig
from model.segmenters.vdit_demo import build
from model.segmenters.vdit_head import DeformableAttention
from model.training.networks import TEXT_LENGTH, demo_vocabulary
from model.training.vae import let_colour_through

SHORT_SIDE = 63  # 16:9 frames become 112 x 63, padded to 112 x 64
LATENT_CHANNELS = 16
_TEXT_WIDTH = 96
_CERTAINTY = -2.0  # the logit every query starts with
_POSTERIOR_LOG_VARIANCE = -12.0


def demo_config(vocabulary_size: int) -> VdItConfig:
    """The sizes of the demo."""
    text = {
        "vocab_size": vocabulary_size,
        "hidden_size": _TEXT_WIDTH,
        "intermediate_size": 2 * _TEXT_WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return VdItConfig(
        unet={
            "sample_size": 8,
            "in_channels": LATENT_CHANNELS,
            "out_channels": LATENT_CHANNELS,
            "down_block_types": [*["CrossAttnDownBlock3D"] * 3, "DownBlock3D"],
            "up_block_types": ["UpBlock3D", *["CrossAttnUpBlock3D"] * 3],
            "block_out_channels": [32, 64, 64, 64],
            "layers_per_block": 1,
            "cross_attention_dim": _TEXT_WIDTH,
            "attention_head_dim": 16,
            "norm_num_groups": 16,
        },
        vae={
            "block_out_channels": [16, 32, 48, 64],
            "down_block_types": ["DownEncoderBlock2D"] * 4,
            "up_block_types": ["UpDecoderBlock2D"] * 4,
            "layers_per_block": 2,
            "latent_channels": LATENT_CHANNELS,
            "norm_num_groups": 8,
            "sample_size": SHORT_SIDE,
        },
        text={**text, "max_position_embeddings": TEXT_LENGTH, "hidden_act": "quick_gelu"},
        vision={
            "hidden_size": 64,
            "intermediate_size": 128,
            "projection_dim": _TEXT_WIDTH,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 64,
            "patch_size": 16,
            "hidden_act": "gelu",
        },
        words={**text, "max_position_embeddings": TEXT_LENGTH + 1, "type_vocab_size": 1},
        prompt_heads=4,
        prompt_head_width=24,
        prompt_hidden_width=192,
        map_hidden_widths=(48, 96, 96, 96),
        map_widths=(32, 64, 64, 64),
        width=64,
        heads=4,
        encoder_layers=2,
        decoder_layers=3,
        feed_forward=192,
    )


def sizes(config: VdItConfig) -> dict[str, Any]:
    """`config` as JSON can hold it."""
    return asdict(config)


def demo_tokenizer() -> CompactTokenizer:
    """CLIP's byte pairs that synthetic expressions use; both text towers read them."""
    return CompactTokenizer(demo_vocabulary(), TEXT_LENGTH)


def tokens(texts: Iterable[str], tokenizer: CompactTokenizer) -> Tensor:
    """(N, TEXT_LENGTH) ids, 0 behind the end."""
    return torch.tensor([tokenizer.encode(text) for text in texts])


def new_network(config: VdItConfig) -> VdIt:
    """A fresh network: its temporal layers are identities, its queries doubt themselves."""
    torch.manual_seed(4)
    network = build(config).eval()  # without dropout
    unet = network.features.unet
    unet.set_attn_processor(AttnProcessor())  # on a CPU, twice as fast for so few tokens
    with torch.no_grad():
        for layer in unet.modules():
            if isinstance(layer, TransformerTemporalModel):
                _zero(layer.proj_out)
        let_colour_through(network.features.vae.encoder)
        _quiet_posterior(network.features.vae.quant_conv)
        _start_head(network)
    return network


def _quiet_posterior(layer: Any) -> None:
    """Pass the encoder's means on, and let the draw from the posterior hardly differ from them."""
    layer.weight.copy_(torch.eye(2 * LATENT_CHANNELS)[..., None, None])
    layer.weight[LATENT_CHANNELS:].zero_()
    layer.bias.copy_(
        torch.tensor([0.0, _POSTERIOR_LOG_VARIANCE]).repeat_interleave(LATENT_CHANNELS)
    )


def _start_head(network: VdIt) -> None:
    """Start the head as Deformable DETR does: look around in rings, refine boxes by nothing."""
    for module in network.transformer.modules():
        if isinstance(module, DeformableAttention):
            module.sampling_offsets.weight.zero_()
            module.sampling_offsets.bias.copy_(_rings(module))
            _zero(module.attention_weights)
    boxing: list[Any] = list(network.transformer.decoder.bbox_embed)
    refining = [embed.layers[-1] for embed in boxing]
    for layer in refining:
        _zero(layer)
    refining[0].bias[2:].fill_(-1.5)  # a first box of a fifth of the frame
    nn.init.normal_(network.transformer.level_embed)
    scoring: Any
    for scoring in network.class_embed:
        scoring.bias.fill_(_CERTAINTY)
    # The masks' first layer also takes coordinates in pixels, a hundred times larger than features.
    last: Any = network.controller.layers[-1]
    width = network.config.width
    first = last.weight[: (width + 2) * 16].view(16, width + 2, -1)
    first.mul_(0.5)[:, width:].mul_(0.04)
    last.bias[: (width + 2) * 16].view(16, width + 2)[:, width:].mul_(0.04)


def _rings(attention: DeformableAttention) -> Tensor:
    """Offsets: each head in a direction of its own, each point one step further."""
    angles = torch.arange(attention.heads) * (2 * math.pi / attention.heads)
    directions = torch.stack([angles.cos(), angles.sin()], dim=-1)
    directions = directions / directions.abs().max(dim=-1, keepdim=True).values
    steps = torch.arange(1, attention.points + 1)
    grid = directions[:, None, None] * steps[None, None, :, None]
    return grid.expand(-1, attention.levels, -1, -1).flatten()


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.zero_()
