"""EdgeTAM's and SAM 3's trackers of the library transformers, driven frame by frame.

The two classes share their methods.  The library's own session is not used: it ignores the mask a
click corrects, overwrites a corrected frame when propagating again, and keeps every
frame.  Its methods for one frame are private ones; the tests hold them against that session, so
that a version in which they mean something else is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.pictures import Channels, squeezed
from model.refiners.memory_network import (
    CERTAIN,
    PictureFeatures,
    Remembered,
    cell_shares,
    multiplies_half,
    stretched,
)
from model.refiners.prompt_network import Decoded, Logits
from video_types import Box, Frame, Mask


@dataclass
class _OneFrame:
    """What the network's methods ask of a session, for one frame and one target."""

    vision: dict[str, list[Tensor]]
    output_dict_per_obj: list[dict[str, dict[int, Any]]]
    num_frames: None = None  # streaming: the network looks back as far as its memory goes
    dtype: torch.dtype = torch.float32
    cache: Any = field(init=False)

    def __post_init__(self) -> None:
        self.cache = self

    def get_vision_features(self, _frame_index: int) -> dict[str, list[Tensor]]:
        return self.vision


class TransformersMemory:
    """The network with its weights on one device.  A MemoryNetwork.

    `network` is an EdgeTamVideoModel or a Sam3TrackerVideoModel; `mean` and `deviation` are those
    its pictures had in training; `encodes_memory` says that its step on a frame returns the memory
    of it (EdgeTAM's does).  In half precision where the device multiplies it, unless `precise`.
    """

    finer_views = False

    def __init__(
        self,
        network: Any,
        device: str,
        *,
        mean: Channels,
        deviation: Channels,
        encodes_memory: bool = False,
        precise: bool = False,
    ) -> None:
        self._network = network.to(device).eval()
        self._device = torch.device(device)
        self._mean, self._deviation = mean, deviation
        self._half = multiplies_half(self._device) and not precise
        self._encodes_memory = encodes_memory
        self._positions: Tensor | None = None
        self._memory_positions: Tensor | None = None

    @property
    def frames_remembered(self) -> int:
        """As `MemoryNetwork.frames_remembered`."""
        settings = self._network.config
        return max(settings.num_maskmem, settings.max_object_pointers_in_encoder)

    @torch.inference_mode()
    def embed(self, picture: Frame) -> PictureFeatures:
        """The features of `picture`, (H, W, 3)."""
        pixels = squeezed(
            picture,
            self._network.config.image_size,
            self._device,
            mean=self._mean,
            deviation=self._deviation,
        )
        with self._precision():
            found = self._network.get_image_features(pixels, return_dict=True)
        if self._positions is None:  # the same for every picture, and most of what is answered
            self._positions = found.fpn_position_encoding[-1]
        sizes = self._network.backbone_feature_sizes
        kept = torch.bfloat16 if self._half else torch.float32
        levels = tuple(
            level.permute(1, 2, 0).unflatten(2, tuple(size)).to(kept)  # (hw, 1, C) -> (1, C, h, w)
            for level, size in zip(found.fpn_hidden_states, sizes, strict=True)
        )
        height, width = picture.shape[:2]
        return PictureFeatures(levels, (height, width))

    @torch.inference_mode()
    def decode(
        self,
        embedding: PictureFeatures,
        *,
        points: npt.NDArray[np.floating[Any]] | None = None,
        positive: npt.NDArray[np.bool_] | None = None,
        box: Box | None = None,
        logits: Logits | None = None,
        several: bool = False,
    ) -> Decoded:
        """As `PromptNetwork.decode`."""
        network = self._network
        places: list[tuple[float, float]] = []
        labels: list[int] = []
        if box is not None:  # the networks were trained with a box's corners before any point
            places += [(box.left, box.top), (box.right, box.bottom)]
            labels += [2, 3]
        if points is not None and positive is not None:
            places += [(float(x), float(y)) for x, y in points]
            labels += [int(label) for label in positive]
        height, width = embedding.size
        side = network.config.image_size
        scale = torch.tensor([side / width, side / height])
        inside = torch.tensor(places).reshape(-1, 2) * scale
        earlier = None
        if logits is not None:
            earlier = torch.from_numpy(logits).to(self._device)[None, None]
        *finer, coarsest = (level.float() for level in embedding.levels)
        with self._precision():
            sparse, dense = network.prompt_encoder(
                input_points=inside[None, None].to(self._device),
                input_labels=torch.tensor(labels, dtype=torch.int32)[None, None].to(self._device),
                input_boxes=None,
                input_masks=earlier,
            )
            # The decoder's doubt whether the target is in view is not asked: the person sees it.
            masks, scores, _, _ = network.mask_decoder(
                image_embeddings=coarsest + network.no_memory_embedding.view(1, -1, 1, 1),
                image_positional_embeddings=network.get_image_wide_positional_embeddings(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=several,
                high_resolution_features=finer,
            )
        return Decoded(masks[0, 0].float().cpu().numpy(), scores[0, 0].float().cpu().numpy())

    def to_picture(self, logits: Logits, embedding: PictureFeatures) -> Logits:
        """As `PromptNetwork.to_picture`."""
        return stretched(logits, embedding.size)

    def logits_of(self, mask: Mask, embedding: PictureFeatures) -> Logits:
        """As `PromptNetwork.logits_of`."""
        del embedding
        side = self._network.prompt_encoder.mask_input_size[0]  # not side / 4 for SAM 3
        return np.asarray((2 * cell_shares(mask, side) - 1) * CERTAIN, dtype=np.float32)

    @torch.inference_mode()
    def remember(self, frame_index: int, embedding: PictureFeatures, mask: Mask) -> Remembered:
        """As `MemoryNetwork.remember`."""
        share = cell_shares(mask, self._network.config.image_size)
        settled = torch.from_numpy(share >= 0.5).to(self._device)[None, None].float()
        return self._step(frame_index, embedding, settled, {}, {}, backwards=False)

    @torch.inference_mode()
    def track(
        self,
        frame_index: int,
        embedding: PictureFeatures,
        settled: Mapping[int, Remembered],
        passed: Mapping[int, Remembered],
        *,
        backwards: bool,
    ) -> Remembered:
        """As `MemoryNetwork.track`."""
        return self._step(frame_index, embedding, None, settled, passed, backwards=backwards)

    def _step(
        self,
        frame_index: int,
        embedding: PictureFeatures,
        mask: Tensor | None,
        settled: Mapping[int, Remembered],
        passed: Mapping[int, Remembered],
        *,
        backwards: bool,
    ) -> Remembered:
        levels = [level.float().flatten(2).permute(2, 0, 1) for level in embedding.levels]
        assert self._positions is not None, "a picture is embedded before its frame is tracked"
        session = _OneFrame(
            {"vision_feats": levels, "vision_pos_embeds": [self._positions]},
            [
                {
                    "cond_frame_outputs": {i: each.entry for i, each in settled.items()},
                    "non_cond_frame_outputs": {i: each.entry for i, each in passed.items()},
                }
            ],
        )
        how: dict[str, Any] = {
            "inference_session": session,
            "frame_idx": frame_index,
            "obj_idx": 0,
            "batch_size": 1,
            "is_init_cond_frame": mask is not None,
            "point_inputs": None,
            "mask_inputs": mask,
            "reverse": backwards,
            "streaming": True,  # the clip's length, unknown here, bounds nothing
        }
        network = self._network
        with self._precision():
            if self._encodes_memory:
                found = network._run_single_frame_inference(**how, run_mem_encoder=True)
                memory, positions = found["maskmem_features"], found["maskmem_pos_enc"]
            else:
                found = network._run_single_frame_inference(**how)
                memory, positions = network._encode_new_memory(
                    current_vision_feats=levels[-1],
                    pred_masks_high_res=found["high_res_masks"],
                    object_score_logits=found["object_score_logits"],
                    is_mask_from_pts=mask is not None,
                )
        if self._memory_positions is None:
            self._memory_positions = positions
        entry = {
            "maskmem_features": memory.bfloat16() if self._half else memory,
            "maskmem_pos_enc": self._memory_positions,
            "object_pointer": found["object_pointer"],
        }
        logits = found["pred_masks"].flatten(end_dim=-3)[0].float().cpu().numpy()
        in_view = float(torch.sigmoid(found["object_score_logits"].float()).mean())
        return Remembered(entry, logits, in_view)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._half)
