"""First stage of the demo weights: the autoencoder, for frames in [-1, 1] and masks in {0, 1}."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D

from model.training.clips import HELD_OUT_SEED, Shard, ShardPlan, render_shard, shards
from model.training.loop import Recipe, run
from video_types import Size

VAE_FILE = "vae.pt"

VAE_CONFIG: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "block_out_channels": [16, 32, 64],
    "layers_per_block": 1,
    "latent_channels": 8,  # three for colour, the others for outlines within a cell
    "norm_num_groups": 2,  # more groups of so few channels would level out colour
    "mid_block_add_attention": False,
}

_RECIPE = Recipe(
    learning_rate=1.5e-3, warm_up=100, mean_decay=0.998, weight_decay=0.0, betas=(0.9, 0.999)
)
_BATCH = 8  # frames, and as many masks
_KL = 1e-6  # per value of the latent
_NOISE = 0.05  # added to latents: the decoder forgives small errors


@dataclass(frozen=True)
class VaeScore:
    """On clips never trained on."""

    mask_j: float  # mean region similarity of masks that went through the latent
    frame_error: float  # mean absolute difference, of 255

    def __str__(self) -> str:
        return f"masks J {self.mask_j:.3f}, frames off by {self.frame_error:.1f} of 255"


def new_vae() -> AutoencoderKL:
    """A fresh autoencoder of the demo's size: latents are a quarter of the frame each way."""
    vae = AutoencoderKL(**VAE_CONFIG)
    with torch.no_grad():
        _start_as_average(vae)
    return vae


def _start_as_average(vae: AutoencoderKL) -> None:
    """Lay a path for red, green and blue straight through, so that colour need not be discovered.

    The fresh autoencoder then shrinks its input by averaging, and repeats pixels to enlarge it.
    Channels 3 and 4 are constants that keep the group norms from levelling the picture.
    """
    channels = VAE_CONFIG["latent_channels"]
    vae.quant_conv.weight.copy_(torch.eye(2 * channels)[..., None, None])
    vae.quant_conv.weight[channels:].zero_()  # sharp posteriors
    vae.quant_conv.bias.copy_(torch.tensor([0.0, -6.0]).repeat_interleave(channels))
    vae.post_quant_conv.weight.copy_(torch.eye(channels)[..., None, None])
    vae.post_quant_conv.bias.zero_()
    for coder in (vae.encoder, vae.decoder):
        let_colour_through(coder)


def let_colour_through(coder: Any) -> None:
    """The same for one half of an autoencoder: diffusers' Encoder or Decoder."""
    for module in coder.modules():
        if isinstance(module, ResnetBlock2D):
            module.conv2.weight.zero_()
            module.conv2.bias.zero_()
            if module.conv_shortcut is not None:
                _carry(module.conv_shortcut, 5)
        elif isinstance(module, Downsample2D):
            _carry(module.conv, 5, average=True)
        elif isinstance(module, Upsample2D):
            _carry(module.conv, 5)
    _carry(coder.conv_in, 3)
    coder.conv_in.weight[3:5].zero_()
    coder.conv_in.bias[3:5] = torch.tensor([3.0, -3.0])
    coder.conv_norm_out.bias[:3] = 2.0  # where SiLU is almost a line
    _carry(coder.conv_out, 3)
    coder.conv_out.weight[:3].mul_(1.25)
    coder.conv_out.bias[:3] = -2.2


def _carry(conv: torch.nn.Conv2d, channels: int, *, average: bool = False) -> None:
    """Let the first channels of a convolution pass unchanged, or as the mean of four pixels."""
    conv.weight[:channels].zero_()
    if conv.bias is not None:
        conv.bias[:channels] = 0.0
    for channel in range(min(channels, conv.in_channels)):
        if average:
            conv.weight[channel, channel, :2, :2] = 0.25
        else:
            middle = conv.kernel_size[0] // 2
            conv.weight[channel, channel, middle, middle] = 1.0


def frame_tensor(frames: np.ndarray) -> torch.Tensor:
    """(..., H, W, 3) uint8 to (..., 3, H, W) in [-1, 1]."""
    return torch.from_numpy(frames).movedim(-1, -3).float() / 127.5 - 1


def mask_tensor(masks: np.ndarray) -> torch.Tensor:
    """(N, H, W) bool to (N, 3, H, W) of 0 and 1."""
    return torch.from_numpy(masks).float()[:, None].expand(-1, 3, -1, -1)


def vae_loss(vae: AutoencoderKL, frames: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """What the first stage minimises, for frames and masks (N, 3, H, W) each."""
    with half(frames):
        posterior = vae.encode(torch.cat([frames, masks])).latent_dist
    count = len(frames)
    latent = posterior.sample().float()
    latent = latent + _NOISE * torch.randn_like(latent)
    with half(frames):
        decoded = vae.decode(latent).sample
    decoded = decoded.float()
    value = decoded[count:].mean(dim=1)
    share = masks[:, 0].mean().clamp(0.02, 0.5)
    weight = torch.where(masks[:, 0] > 0.5, 0.5 / share, 0.5 / (1 - share)).clamp(max=6)
    off = decoded[:count] - frames
    outline = F.binary_cross_entropy_with_logits(10 * (value - 0.5), masks[:, 0], weight=weight)
    return (
        off.abs().mean()
        + 2 * F.avg_pool2d(off, 4).abs().mean()  # colours, apart from edges
        + (decoded[count:] - masks).square().mean()
        + outline
        + _KL * posterior.kl().float().mean() / latent[0].numel()
    )


def half(images: torch.Tensor) -> torch.autocast:
    """bfloat16 where it is safe; more than twice as fast, on a CPU too."""
    return torch.autocast(images.device.type, torch.bfloat16)


def score_vae(vae: Any, shard: Shard) -> VaeScore:
    """How well frames and masks come back."""
    device = next(vae.parameters()).device
    with torch.no_grad():
        masks = shard.masks[:, 0]
        masks = masks[masks.any(axis=(1, 2))]
        value = through(vae, mask_tensor(masks).to(device)).mean(dim=1).cpu().numpy() > 0.5
        frames = frame_tensor(shard.frames[:, 0]).to(device)
        error = (through(vae, frames) - frames).abs().mean().item() * 127.5
    overlap = (value & masks).sum(axis=(1, 2)) / (value | masks).sum(axis=(1, 2))
    return VaeScore(float(overlap.mean()), error)


def through(vae: AutoencoderKL, images: torch.Tensor) -> torch.Tensor:
    """Images (N, 3, H, W) encoded and decoded again."""
    return vae.decode(vae.encode(images).latent_dist.mode()).sample


def train_vae(folder: Path, *, size: Size, seconds: float, device: torch.device) -> None:
    """Train for `seconds` in all, over as many calls as it takes; leaves `vae.pt` in `folder`."""
    torch.manual_seed(1)
    vae = new_vae().to(device)
    held_out = render_shard(ShardPlan(size, 1, 48, HELD_OUT_SEED), 0)
    run(
        folder / VAE_FILE,
        _RECIPE,
        vae,
        seconds=seconds,
        batches=lambda step: _batches(size, step, device),
        loss=lambda batch: vae_loss(vae, *batch),
        check=lambda average: score_vae(average, held_out),
    )


def _batches(
    size: Size, step: int, device: torch.device
) -> Generator[tuple[torch.Tensor, torch.Tensor], None, None]:
    """Frames and as many masks, (N, 3, H, W) each; a shard for each step."""
    with shards(ShardPlan(size, 1, _BATCH, 0), step, render_shard) as source:
        for at, shard in enumerate(source, start=step):
            chosen = np.random.default_rng(at).choice(
                len(shard.masks), size=_BATCH, replace=len(shard.masks) < _BATCH
            )
            frames, masks = frame_tensor(shard.frames[:, 0]), mask_tensor(shard.masks[chosen, 0])
            yield frames.to(device), masks.to(device)
