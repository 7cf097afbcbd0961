"""The text-to-video network that REM and VD-IT both begin from, ModelScope's: its sizes, its noise
at the first timestep, and how a clip is cut into what it sees at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

# sqrt of alphas_cumprod[0] and of its complement for betas 0.00085 to 0.012, scaled linear.  The
# scheduler's set_timesteps is never called, so its last timestep is 0: this is all the noise.
SIGNAL_AT_ZERO = 0.9995748996734619
NOISE_AT_ZERO = 0.029155133292078972
LATENT_SCALE = 0.18215

OFFICIAL_UNET: Mapping[str, Any] = {
    "sample_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": (*["CrossAttnDownBlock3D"] * 3, "DownBlock3D"),
    "up_block_types": ("UpBlock3D", *["CrossAttnUpBlock3D"] * 3),
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "attention_head_dim": 64,
}
OFFICIAL_VAE: Mapping[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "norm_num_groups": 32,
    "sample_size": 512,
}
OFFICIAL_TEXT: Mapping[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 1,
}


def noisy_latents(latents: Tensor, noise: Tensor) -> Tensor:
    """z_t at timestep 0, any shape: almost the latents themselves."""
    return SIGNAL_AT_ZERO * latents + NOISE_AT_ZERO * noise


def chunks(frame_count: int, length: int) -> list[range]:
    """Consecutive frame ranges without overlap; the last is shorter.

    >>> chunks(5, 2)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    return [
        range(start, min(start + length, frame_count)) for start in range(0, frame_count, length)
    ]


def spread_chunks(frame_count: int, length: int) -> list[range]:
    """As few chunks of up to `length` frames as hold all, each spread over the whole clip.

    A network that sees few frames at once then still sees what becomes of things.

    >>> spread_chunks(5, 2)
    [range(0, 5, 3), range(1, 5, 3), range(2, 5, 3)]
    """
    step = -(-frame_count // length)
    return [range(start, frame_count, step) for start in range(step)]
