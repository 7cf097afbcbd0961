"""The demo's networks at their sizes: the classes REM uses, made small, and its text as tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet3DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.resnet import TemporalConvLayer
from diffusers.models.transformers.transformer_temporal import TransformerTemporalModel
from transformers import CLIPTextConfig, CLIPTextModel

from model.segmenters.schedule import noisy_latents
from model.segmenters.tokenizer import CompactTokenizer, compact_vocabulary
from model.synthetic.expressions import every_text

TEXT_LENGTH = 24

UNET_CONFIG: dict[str, Any] = {
    "sample_size": 16,
    "in_channels": 8,
    "out_channels": 8,
    "down_block_types": ["DownBlock3D", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D"],
    "up_block_types": ["CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "UpBlock3D"],
    "block_out_channels": [32, 64, 80],
    "layers_per_block": 1,
    "cross_attention_dim": 128,
    "attention_head_dim": 16,
    "norm_num_groups": 16,
}

SCHEDULER_CONFIG: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


@dataclass(frozen=True)
class Networks:
    """What is trained after the autoencoder; the text tower comes along, unlike REM's."""

    unet: torch.nn.Module
    text_encoder: torch.nn.Module
    vocabulary: tuple[str, ...]

    def together(self) -> torch.nn.ModuleDict:
        """Both as one module, for an optimizer and a checkpoint."""
        return torch.nn.ModuleDict({"unet": self.unet, "text_encoder": self.text_encoder})


def demo_vocabulary() -> tuple[str, ...]:
    """The pieces of CLIP's vocabulary that synthetic expressions use, behind the special ones."""
    return compact_vocabulary(every_text())


def tokens(texts: Iterable[str], vocabulary: Sequence[str]) -> torch.Tensor:
    """(N, TEXT_LENGTH) ids."""
    tokenizer = CompactTokenizer(tuple(vocabulary), TEXT_LENGTH)
    return torch.tensor([tokenizer.encode(text) for text in texts])


def new_networks(empty_latent: torch.Tensor) -> Networks:
    """Fresh networks that answer every expression with the empty mask.

    `empty_latent` (C,) is the scaled latent of an empty mask.  Temporal layers start as identities.
    """
    torch.manual_seed(2)
    vocabulary = demo_vocabulary()
    text_config = text_encoder_config(len(vocabulary))
    unet = UNet3DConditionModel(**UNET_CONFIG).eval()  # without dropout, as REM trains
    unet.set_attn_processor(AttnProcessor())  # on a CPU, twice as fast for so few tokens
    with torch.no_grad():
        for layer in unet.modules():
            if isinstance(layer, TransformerTemporalModel):
                layer.proj_out.weight.zero_()
                layer.proj_out.bias.zero_()
        unet.conv_out.weight.mul_(0.1)
        unet.conv_out.bias.copy_(empty_latent)
    return Networks(unet, CLIPTextModel(CLIPTextConfig(**text_config)).eval(), vocabulary)


def text_encoder_config(vocabulary_size: int) -> dict[str, Any]:
    """The configuration of the text tower."""
    return {
        "vocab_size": vocabulary_size,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": TEXT_LENGTH,
        "projection_dim": 128,
        "hidden_act": "quick_gelu",
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


class _WithoutTime(torch.nn.Module):
    """Stands in for a temporal layer that is still an identity, in the single-frame stage."""

    def __init__(self, wrap: bool) -> None:
        super().__init__()
        self._wrap = wrap

    def forward(self, hidden: torch.Tensor, *_: object, **__: object) -> object:
        return (hidden,) if self._wrap else hidden


def leave_out_time(unet: torch.nn.Module) -> None:
    """Drop every temporal layer of a fresh `unet`: the same answers for half the work."""
    for parent in list(unet.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, TransformerTemporalModel):
                setattr(parent, name, _WithoutTime(wrap=True))
            elif isinstance(child, TemporalConvLayer):
                setattr(parent, name, _WithoutTime(wrap=False))
        if isinstance(parent, torch.nn.ModuleList):
            for index, child in enumerate(parent):
                if isinstance(child, TransformerTemporalModel):
                    parent[index] = _WithoutTime(wrap=True)
                elif isinstance(child, TemporalConvLayer):
                    parent[index] = _WithoutTime(wrap=False)


def predict(
    unet: torch.nn.Module,
    text_encoder: torch.nn.Module,
    latents: torch.Tensor,
    token_ids: torch.Tensor,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """The mask latents for scaled frame latents (N, C, T, h, w) and tokens (N, L).

    A little noise is mixed in, as REM does at its first timestep.
    """
    noise = torch.randn(latents.shape, generator=generator, device=latents.device)
    words = text_encoder(input_ids=token_ids).last_hidden_state
    return unet(noisy_latents(latents, noise), 0, encoder_hidden_states=words).sample
