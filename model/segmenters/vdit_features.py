"""VD-IT's features: what a frozen text-to-video diffusion network sees in a clip.

Exploring Pre-trained Text-to-Video Diffusion Models for Referring Video Object
Segmentation (arXiv 2403.12042), sections 3.2 and 3.3, as the official code computes
it.  Where the code differs from the paper the code is followed, and the docstring says so.

Frames are called F here, as in the network; a clip is one batch item.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from model.segmenters.schedule import LATENT_SCALE, noisy_latents
from video_types import Frame

Condition = Literal["image and text", "image", "text"]
"""What conditions the denoiser: VD-IT, and the paper's ablations VD-I and VD-T (table 4)."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def vae_frames(pixel_values: Tensor) -> Tensor:
    """Turn ImageNet-normalised frames (F, 3, H, W) into the VAE's range, -1 to 1.

    Padding, which is 0 after normalisation, becomes the ImageNet mean colour, as in the
    official code.
    """
    mean = pixel_values.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = pixel_values.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
    return (pixel_values * std + mean) * 2 - 1


def clip_frames(frames: Tensor, edge: int) -> Tensor:
    """Prepare VAE frames (F, 3, H, W) for CLIP's image tower: (F, 3, edge, edge).

    The official code hands `(x + 1) * 127.5` cut to whole numbers to the slow PIL image
    processor: shortest side to `edge`, bicubic, then the centre square.  The sides of a
    wide frame are therefore not seen.
    """
    # uint8 conversion truncates, which leaves about one value in eight one step darker.
    pixels = ((frames + 1) * 127.5).clamp(0, 255).to(torch.uint8)
    squares = [_centre_square(array, edge) for array in pixels.permute(0, 2, 3, 1).cpu().numpy()]
    values = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(CLIP_MEAN).view(1, 3, 1, 1)
    std = torch.tensor(CLIP_STD).view(1, 3, 1, 1)
    return ((values - mean) / std).to(frames.device)


def _centre_square(frame: Frame, edge: int) -> Frame:
    height, width = frame.shape[:2]
    # The shorter side becomes `edge`; the longer one is cut to a whole number of pixels.
    size = (
        (edge, int(edge * height / width))
        if width <= height
        else (int(edge * width / height), edge)
    )
    resized = Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
    top, left = (size[1] - edge) // 2, (size[0] - edge) // 2
    return np.asarray(resized.crop((left, top, left + edge, top + edge)))


class ImageProjection(nn.Module):
    """CLIP image tokens to the width of the text: a residual pair of linear layers.

    The paper projects keys and values alone; the code has this before them.
    """

    def __init__(self, image_width: int, text_width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(image_width, text_width)
        self.linear2 = nn.Linear(text_width, text_width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(F, n, image_width) -> (F, n, text_width)."""
        projected = self.linear1(tokens)
        return self.linear2(projected) + projected


class _CrossAttention(nn.Module):
    """Text asks, the image answers; post-norm, without biases."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.w_qs = nn.Linear(width, heads * head_width, bias=False)
        self.w_ks = nn.Linear(width, heads * head_width, bias=False)
        self.w_vs = nn.Linear(width, heads * head_width, bias=False)
        self.fc = nn.Linear(heads * head_width, width, bias=False)
        self.layer_norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        """(F, L, width), (F, n, width) -> (F, L, width)."""

        def heads(tokens: Tensor) -> Tensor:  # (F, heads, tokens, head width)
            return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        attended = nn.functional.scaled_dot_product_attention(
            heads(self.w_qs(text)), heads(self.w_ks(image)), heads(self.w_vs(image))
        )
        return self.layer_norm(self.fc(attended.transpose(1, 2).flatten(2)) + text)


class _FeedForward(nn.Module):
    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        self.w_1 = nn.Linear(width, hidden_width)
        self.w_2 = nn.Linear(hidden_width, width)
        self.layer_norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.layer_norm(self.w_2(self.w_1(tokens).relu()) + tokens)


class TextGuidedImagePrompt(nn.Module):
    """p_ve, one prompt per frame: image tokens as the text attends to them.

    Paper eq. 2 is MLP(p_e + attention); the code adds an output projection and two layer
    norms, and the MLP has a residual of its own.
    """

    def __init__(self, width: int, heads: int, head_width: int, hidden_width: int) -> None:
        super().__init__()
        self.cros_attn = _CrossAttention(width, heads, head_width)
        self.pos_ffn = _FeedForward(width, hidden_width)

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        """(F, 77, width), (F, n, width) -> (F, 77, width)."""
        return self.pos_ffn(self.cros_attn(text, image))


class NoisePrediction(nn.Module):
    """Video-specific noise instead of a random draw (paper section 3.3).

    The code has two 4x4 layers with ReLU and sigmoid where the paper has one, and
    normalises over the whole clip where the paper does so per frame: the result depends on
    how many frames are given together.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.noise_pred = nn.Conv2d(channels, channels, 3, padding=1)
        self.noise_fc = nn.Sequential(
            nn.Linear(channels, channels, bias=False),
            nn.ReLU(),
            nn.Linear(channels, channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, latents: Tensor) -> Tensor:
        """(F, 4, h, w) scaled latents -> (F, 4, h, w) noise of mean 0 and deviation 1."""
        per_pixel = self.noise_pred(latents).permute(0, 2, 3, 1)  # (F, h, w, 4)
        noise: Tensor = self.noise_fc(per_pixel).permute(0, 3, 1, 2)
        return (noise - noise.mean()) / (noise.std() + 1e-5)


@dataclass(frozen=True)
class DenoiserFeatures:
    """What is tapped from the UNet; sides are fractions of the frame's.

    Attributes:
        entry: (F, 320, /8), after `transformer_in`.
        down: (F, 320, /16) and (F, 640, /32), first two down blocks after downsampling.
        up: (F, 1280, /32), (F, 1280, /16), (F, 640, /8), first three up blocks after upsampling.
        skips: what the last up block would take; that block is not needed for features.
        time: (F, 4 * 320), the embedding of timestep 0.
    """

    entry: Tensor
    down: tuple[Tensor, Tensor]
    up: tuple[Tensor, Tensor, Tensor]
    skips: tuple[Tensor, ...]
    time: Tensor


def denoiser_features(
    unet: Any, latents: Tensor, prompt: Tensor, clips: int = 1
) -> DenoiserFeatures:
    """Run `unet` (diffusers UNet3DConditionModel) at timestep 0 up to its third up block.

    A clip of one frame skips every temporal layer, as the official code does, but for the
    first temporal convolution of the middle block, which always runs (its
    unet_3d_blocks.py, line 387).  REM runs them all.

    Args:
        latents: (F, 4, h, w).
        prompt: (F, 77, width), one prompt per frame; not repeated here.
        clips: how many clips of equal length the F frames are, one after the other.
    """
    frames = latents.shape[0] // clips
    zeros = torch.zeros(len(latents), dtype=torch.long, device=latents.device)
    time = unet.time_embedding(unet.time_proj(zeros).to(latents.dtype))

    entry = unet.conv_in(latents)
    if frames > 1:
        entry = unet.transformer_in(entry, num_frames=frames, return_dict=False)[0]

    hidden, skips = entry, [entry]
    downsampled = []
    for block in unet.down_blocks:
        for layers in block_layers(block):
            hidden = run_layers(layers, hidden, time, prompt, clips)
            skips.append(hidden)
        for downsampler in block.downsamplers or ():
            hidden = downsampler(hidden)
            skips.append(hidden)
            downsampled.append(hidden)

    hidden = _run_middle(unet.mid_block, hidden, time, prompt, clips)

    upsampled = []
    for block in unet.up_blocks[:-1]:
        for layers in block_layers(block):
            joined = torch.cat([hidden, skips.pop()], dim=1)
            hidden = run_layers(layers, joined, time, prompt, clips)
        for upsampler in block.upsamplers:
            # Sides that do not halve evenly come back to the size of what they are joined with.
            hidden = upsampler(hidden, skips[-1].shape[2:])
        upsampled.append(hidden)

    return DenoiserFeatures(
        entry, (downsampled[0], downsampled[1]), tuple(upsampled), tuple(skips), time
    )


def block_layers(block: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
    """(resnet, temporal convolution, attention, temporal attention) of each layer of a block."""
    blank = [None] * len(block.resnets)
    return zip(
        block.resnets,
        block.temp_convs,
        getattr(block, "attentions", blank),
        getattr(block, "temp_attentions", blank),
        strict=True,
    )


def run_layers(
    layers: tuple[Any, Any, Any, Any],
    hidden: Tensor,
    time: Tensor,
    prompt: Tensor,
    clips: int = 1,
) -> Tensor:
    """One layer of a UNet block on (F, C, h, w); temporal parts only for more than one frame."""
    resnet, temporal_conv, attention, temporal_attention = layers
    frames = hidden.shape[0] // clips
    hidden = resnet(hidden, time)
    if frames > 1:
        hidden = temporal_conv(hidden, num_frames=frames)
    if attention is not None:
        hidden = attention(hidden, encoder_hidden_states=prompt, return_dict=False)[0]
        if frames > 1:
            hidden = temporal_attention(hidden, num_frames=frames, return_dict=False)[0]
    return hidden


def _run_middle(block: Any, hidden: Tensor, time: Tensor, prompt: Tensor, clips: int) -> Tensor:
    frames = hidden.shape[0] // clips
    hidden = block.resnets[0](hidden, time)
    hidden = block.temp_convs[0](hidden, num_frames=frames)
    for attention, temporal_attention, resnet, temporal_conv in zip(
        block.attentions,
        block.temp_attentions,
        block.resnets[1:],
        block.temp_convs[1:],
        strict=True,
    ):
        hidden = attention(hidden, encoder_hidden_states=prompt, return_dict=False)[0]
        if frames > 1:
            hidden = temporal_attention(hidden, num_frames=frames, return_dict=False)[0]
        hidden = resnet(hidden, time)
        if frames > 1:
            hidden = temporal_conv(hidden, num_frames=frames)
    return hidden


@contextmanager
def _kept_output(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what `module` returns while the block runs."""
    kept: list[Tensor] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        yield kept
    finally:
        handle.remove()


def encode_frames(
    vae: Any, frames: Tensor, noise: Tensor, batch: int = 16
) -> tuple[Tensor, Tensor]:
    """Encode VAE frames (F, 3, H, W) in bounded batches.

    Unlike REM, VD-IT samples the posterior: `noise` (F, 4, H/8, W/8) is that draw, and the
    only random number of the model.

    Returns:
        scaled latents (F, 4, H/8, W/8), and the encoder's own features at a quarter of the
        frame's size, which the code uses where the paper has a UNet feature.
    """
    latents, quarters = [], []
    with _kept_output(vae.encoder.down_blocks[2].resnets[1]) as kept:
        for start in range(0, len(frames), batch):
            part = slice(start, start + batch)
            posterior = vae.encode(frames[part], return_dict=False)[0]
            latents.append((posterior.mean + posterior.std * noise[part]) * LATENT_SCALE)
            quarters.append(kept.pop())
    return torch.cat(latents), torch.cat(quarters)


def _two_convolutions(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, hidden, 1), nn.Conv2d(hidden, outputs, 1))


class VdItFeatures(nn.Module):
    """Frames and the text's hidden states in, four feature maps out.

    Attribute names are those of the official checkpoint, so that it loads strictly.
    """

    def __init__(
        self,
        *,
        unet: Any,
        vae: Any,
        text_encoder: Any,
        image_encoder: Any,
        prompt_heads: int,
        prompt_head_width: int,
        prompt_hidden_width: int,
        map_hidden_widths: Sequence[int],
        map_widths: Sequence[int],
        condition: Condition = "image and text",
        predict_noise: bool = True,
    ) -> None:
        super().__init__()
        self.unet = unet
        self.vae = vae
        self.text_encoder = text_encoder
        self.cv_model = image_encoder
        self.condition = condition
        self.predict_noise = predict_noise

        text_width = unet.config.cross_attention_dim
        image_width = image_encoder.config.hidden_size
        self.projection = ImageProjection(image_width, text_width)
        self.cross_attn = TextGuidedImagePrompt(
            text_width, prompt_heads, prompt_head_width, prompt_hidden_width
        )
        self.noise = NoisePrediction(unet.config.in_channels)

        first, second, third, fourth = unet.config.block_out_channels
        entering = (
            vae.config.block_out_channels[2],
            first + second,
            first + third,
            second + fourth,
        )
        self.act_postprocess = nn.ModuleList(
            _two_convolutions(inputs, hidden, outputs)
            for inputs, hidden, outputs in zip(entering, map_hidden_widths, map_widths, strict=True)
        )

    def prompt(self, text_ids: Tensor, frames: Tensor) -> Tensor:
        """p_ve (F, 77, width) of VAE frames (F, 3, H, W) and CLIP token ids (clips, 77)."""
        if self.condition != "image":
            text = self.text_encoder(input_ids=text_ids)[0]
            text = text.repeat_interleave(len(frames) // len(text), dim=0)
        if self.condition == "text":
            return text
        pixels = clip_frames(frames, self.cv_model.config.image_size)
        image = self.projection(self.cv_model.vision_model(pixels).last_hidden_state)
        if self.condition == "image":
            return image
        return self.cross_attn(text, image)

    def denoiser_input(self, latents: Tensor, random_noise: Tensor) -> Tensor:
        """z_0 (F, 4, h, w): latents with the predicted noise, or with `random_noise` added.

        The weights are the schedule's square roots; the paper writes alpha_0 itself.
        """
        noise = self.noise(latents) if self.predict_noise else random_noise
        return noisy_latents(latents, noise)

    def forward(self, pixel_values: Tensor, text_ids: Tensor, noise: Tensor) -> list[Tensor]:
        """
        Args:
            pixel_values: (F, 3, H, W) ImageNet-normalised, padded; sides multiples of 16.
            text_ids: (1, 77) CLIP token ids.
            noise: (F, 4, H/8, W/8) normal; the draw from the VAE's posterior.

        Returns:
            maps of (F, 128, /4), (F, 256, /8), (F, 512, /16), (F, 1024, /32).
        """
        frames = vae_frames(pixel_values)
        prompt = self.prompt(text_ids, frames)
        latents, quarter = encode_frames(self.vae, frames, noise)
        return self.maps(self.denoiser_input(latents, noise), quarter, prompt)

    def maps(
        self, denoiser_input: Tensor, quarter: Tensor, prompt: Tensor, clips: int = 1
    ) -> list[Tensor]:
        """The four maps of what the encoder saw; of several clips where they are stacked."""
        tapped = denoiser_features(self.unet, denoiser_input, prompt, clips)
        joined = (
            quarter,
            torch.cat([tapped.entry, tapped.up[2]], dim=1),
            torch.cat([tapped.down[0], tapped.up[1]], dim=1),
            torch.cat([tapped.down[1], tapped.up[0]], dim=1),
        )
        return [
            convs(features) for convs, features in zip(self.act_postprocess, joined, strict=True)
        ]
