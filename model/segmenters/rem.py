"""REM on ModelScope text-to-video: a video diffusion network that paints masks.

ReferEverything (arXiv 2410.23287), by the official code's mst2v_wrapper.py.  Frames are encoded
by a frozen VAE, a very little noise is added, the denoiser predicts in one pass the latents of the
mask as the expression's words guide it, and the VAE's decoder paints the mask.

F is the number of frames of a chunk, (h, w) the VAE's latent size.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet3DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from model.segmenter import ExpressionReport, ModelError, SegmentedFrame, SegmentStep
from model.segmenters import clip_tensor
from model.segmenters.tokenizer import Tokenizer
from video_types import Frame, Size

# sqrt of alphas_cumprod[0] and of its complement for betas 0.00085 to 0.012, scaled linear.  The
# scheduler's set_timesteps is never called, so its last timestep is 0: this is all the noise.
SIGNAL_AT_ZERO = 0.9995748996734619
NOISE_AT_ZERO = 0.029155133292078972
LATENT_SCALE = 0.18215
OFFICIAL_SIZE: Size = (512, 512)
OFFICIAL_CHUNK = 72
VAE_BATCH = 16
FRAMES_KEPT = 4096  # latents of so many frames are 270 MB at the official size

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


@dataclass(frozen=True)
class RemNetworks:
    """The three networks; all in eval mode, as the official code keeps them even to train."""

    unet: Any
    vae: Any
    text_encoder: Any
    latent_scale: float = LATENT_SCALE

    @classmethod
    def build(
        cls,
        unet: Mapping[str, Any] = OFFICIAL_UNET,
        vae: Mapping[str, Any] = OFFICIAL_VAE,
        text_encoder: Mapping[str, Any] = OFFICIAL_TEXT,
        *,
        latent_scale: float = LATENT_SCALE,
    ) -> RemNetworks:
        """Networks of these sizes with random weights; the defaults are the official ones."""
        return cls(
            UNet3DConditionModel(**unet).eval(),
            AutoencoderKL(**vae).eval(),
            CLIPTextModel(CLIPTextConfig(**text_encoder)).eval(),
            latent_scale,
        )

    def to(self, device: torch.device | str) -> RemNetworks:
        """The same networks on `device`."""
        return RemNetworks(
            self.unet.to(device),
            self.vae.to(device),
            self.text_encoder.to(device),
            self.latent_scale,
        )

    @property
    def device(self) -> torch.device:
        return next(self.unet.parameters()).device

    def encode_text(self, ids: Tensor) -> Tensor:
        """(1, 77) token ids -> (1, 77, D), after the final layer norm.

        No attention mask: padding is read like any word, as in the official code.
        """
        return self.text_encoder(input_ids=ids)[0]

    def encode_frames(self, pixel_values: Tensor) -> Tensor:
        """(F, 3, H, W) in -1 to 1 -> scaled latents (F, 4, h, w), the posterior's mode."""
        return self.vae.encode(pixel_values, return_dict=False)[0].mode() * self.latent_scale

    def predict(self, latents: Tensor, noise: Tensor, text: Tensor) -> Tensor:
        """Mask latents (F, 4, h, w) of a chunk in one pass at timestep 0.

        Args:
            latents: (F, 4, h, w) of the frames; noise like it, normal.
            text: (1, 77, D).
        """
        noisy = noisy_latents(latents, noise).transpose(0, 1).unsqueeze(0)  # (1, 4, F, h, w)
        predicted = self.unet(noisy, 0, text, return_dict=False)[0]
        return predicted[0].transpose(0, 1)

    def decode(self, latents: Tensor) -> Tensor:
        """Mask latents (F, 4, h, w) -> (F, 3, H, W), about 0 off and 1 on the target."""
        return self.vae.decode(latents / self.latent_scale, return_dict=False)[0]


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


class RemSegmenter:
    """REM as a TextSegmenter: any clip length, bounded memory, seeded noise.

    `frame_size` (h, w) is what frames are stretched to, `chunk_frames` how many the denoiser sees
    at once: 512 x 512 and 72 in the official scripts.  Chunks are consecutive frames, or
    with `spread` frames from all over the clip; then frames are delivered out of order.
    `autocast` lets the networks compute in a shorter float; the official code does not.
    """

    def __init__(
        self,
        name: str,
        networks: RemNetworks,
        tokenizer: Tokenizer,
        *,
        weights_hash: str,
        frame_size: Size = OFFICIAL_SIZE,
        chunk_frames: int = OFFICIAL_CHUNK,
        spread: bool = False,
        autocast: torch.dtype | None = None,
        frames_kept: int = FRAMES_KEPT,
    ) -> None:
        self.name = name
        self.weights_hash = weights_hash
        self.networks = networks
        self.tokenizer = tokenizer
        self.frame_size = frame_size
        self.chunk_frames = chunk_frames
        self._chunks = spread_chunks if spread else chunks
        self._autocast = autocast
        # Latents do not depend on the expression: a second one on a clip skips the encoder.
        self._frames_kept = frames_kept
        self._latents: OrderedDict[Hashable, dict[int, Tensor]] = OrderedDict()

    def describe_expression(self, text: str) -> ExpressionReport:
        return self.tokenizer.describe(text)

    def segment(
        self,
        frames: Sequence[Frame],
        expression: str,
        *,
        seed: int = 0,
        clip_key: Hashable | None = None,
    ) -> Iterator[SegmentStep]:
        """See TextSegmenter.  Each step is one VAE batch of 16 frames or one denoiser pass.

        The noise of a chunk comes from `seed` and the chunk's first frame, on the CPU, so that a
        seed means the same on every device and does not depend on where a run was cancelled.
        """
        if not len(frames):
            raise ModelError("The clip has no frames to segment.")
        if not expression.strip():
            raise ModelError("The expression has no words; type what you see.")
        keep = clip_key is not None and len(frames) <= self._frames_kept
        clip = (clip_key, len(frames), self.chunk_frames)
        kept = self._latents_of(clip, len(frames)) if keep else {}
        work = 3 * len(frames)  # each frame is encoded, denoised and decoded
        done = 0
        with self._inference():
            ids = torch.tensor([self.tokenizer.encode(expression)], device=self.networks.device)
            text = self.networks.encode_text(ids)
        for chunk in self._chunks(len(frames), self.chunk_frames):
            missing = [batch for batch in _batches(chunk) if batch.start not in kept]
            done += len(chunk) - sum(map(len, missing))
            for batch in missing:
                with self._inference():
                    pixels = clip_tensor.pixel_values([frames[i] for i in batch], self.frame_size)
                    kept[batch.start] = self.networks.encode_frames(
                        pixels.to(self.networks.device)
                    ).cpu()
                done += len(batch)
                yield SegmentStep(done, work, "encoding frames")
            with self._inference():
                latents = torch.cat([kept[batch.start] for batch in _batches(chunk)])
                generator = torch.Generator().manual_seed(_chunk_seed(seed, chunk.start))
                noise = torch.randn(latents.shape, generator=generator)
                predicted = self.networks.predict(
                    latents.to(text.device), noise.to(text.device), text
                )
            if not keep:
                kept.clear()
            done += len(chunk)
            yield SegmentStep(done, work, "reading the expression into the frames")
            for batch in _batches(chunk):
                with self._inference():
                    first = chunk.index(batch.start)
                    part = predicted[first : first + len(batch)]
                    decoded = self.networks.decode(part).float()
                    size = frames[batch.start].shape[:2]
                    masks = clip_tensor.masks(decoded, (size[0], size[1]))
                    maps = clip_tensor.soft_maps(decoded)
                done += len(batch)
                yield SegmentStep(
                    done,
                    work,
                    "painting masks",
                    tuple(map(SegmentedFrame, batch, masks, maps)),
                )

    def _latents_of(self, clip: Hashable, frame_count: int) -> dict[int, Tensor]:
        """Latents of `clip` by the first frame of a batch; clips not asked for lately make room."""
        kept = self._latents.pop(clip, {})
        others = sum(len(batch) for one in self._latents.values() for batch in one.values())
        while others + frame_count > self._frames_kept:
            others -= sum(map(len, self._latents.popitem(last=False)[1].values()))
        self._latents[clip] = kept
        return kept

    @contextmanager
    def _inference(self) -> Iterator[None]:
        """No gradients and, when asked for, autocast; never held across a step."""
        device = self.networks.device.type
        shorter = torch.autocast(device, self._autocast) if self._autocast else nullcontext()
        try:
            with torch.inference_mode(), shorter:
                yield
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.name} ran out of memory on {self.chunk_frames} frames at once. Close what "
                "else uses the GPU, or let it see fewer frames at once."
            ) from error


def _batches(chunk: range) -> list[range]:
    return [chunk[at : at + VAE_BATCH] for at in range(0, len(chunk), VAE_BATCH)]


def _chunk_seed(seed: int, first_frame: int) -> int:
    # Two seeds never share a chunk's noise within any clip a person could have.
    return (seed * 1_000_003 + first_frame) % 2**63
