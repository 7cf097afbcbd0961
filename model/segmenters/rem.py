"""REM on ModelScope text-to-video: a video diffusion network that paints masks.

ReferEverything (arXiv 2410.23287), by the official code's mst2v_wrapper.py.  Frames are encoded
by a frozen VAE, a very little noise is added, the denoiser predicts in one pass the latents of the
mask as the expression's words guide it, and the VAE's decoder paints the mask.

F is the number of frames of a chunk, (h, w) the VAE's latent size.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from cachetools import LRUCache
from diffusers import AutoencoderKL, UNet3DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from model.segmenter import ExpressionReport, ModelError, SegmentedFrame, SegmentStep
from model.segmenters import clip_tensor
from model.segmenters.inference import inference
from model.segmenters.schedule import (
    LATENT_SCALE,
    OFFICIAL_TEXT,
    OFFICIAL_UNET,
    OFFICIAL_VAE,
    chunks,
    noisy_latents,
    spread_chunks,
)
from model.segmenters.tokenizer import Tokenizer
from video_types import Frame, Size

OFFICIAL_SIZE: Size = (512, 512)
OFFICIAL_CHUNK = 72
VAE_BATCH = 16
FRAMES_KEPT = 4096  # latents of so many frames are 270 MB at the official size


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


@dataclass(frozen=True)
class _ClipLatents:
    """Latents (F, 4, h, w) of a clip's batches, by their first frame; filled as they are made."""

    frame_count: int
    batches: dict[int, Tensor] = field(default_factory=dict)


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
        self._latents: LRUCache[Hashable, _ClipLatents] = LRUCache(
            frames_kept, getsizeof=lambda clip: clip.frame_count
        )

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
        found = self._latents.get(clip)
        if found is None:
            found = self._latents[clip] = _ClipLatents(frame_count)
        return found.batches

    def _inference(self) -> AbstractContextManager[None]:
        return inference(self.name, self.chunk_frames, self.networks.device, self._autocast)


def _batches(chunk: range) -> list[range]:
    return [chunk[at : at + VAE_BATCH] for at in range(0, len(chunk), VAE_BATCH)]


def _chunk_seed(seed: int, first_frame: int) -> int:
    # Two seeds never share a chunk's noise within any clip a person could have.
    return (seed * 1_000_003 + first_frame) % 2**63
