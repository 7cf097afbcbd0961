"""SAM 2.1 with its memory, driven frame by frame.

The package `sam2` is the network; its video predictor is not used.  It keeps the memory of
every frame it ever saw, forgets a correction when propagating anew, and holds features with
their position encodings, which are four fifths of their size and the same for every frame.  Here
a caller holds what it needs and drops the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.checkpoint import load_strictly, read_tensors
from model.pictures import IMAGENET_DEVIATION, IMAGENET_MEAN, squeezed
from model.refiners.memory_network import (
    CERTAIN,
    PictureFeatures,
    Remembered,
    cell_shares,
    multiplies_half,
    stretched,
)
from model.refiners.prompt_network import Decoded, Logits
from model.segmenter import ModelError
from video_types import Box, Frame, Mask, require_mask

NO_LIMIT = 10**9
"""The network asks for the clip's length only to bound how far back it looks."""

CONFIGURATIONS = {
    "tiny": "sam2.1_hiera_t.yaml",
    "small": "sam2.1_hiera_s.yaml",
    "base-plus": "sam2.1_hiera_b+.yaml",
    "large": "sam2.1_hiera_l.yaml",
}


class Sam2Network:
    """The network with its weights on one device.  A MemoryNetwork."""

    finer_views = False

    def __init__(self, network: Any, device: str, *, compiled: bool = False) -> None:
        """`compiled` makes the first picture take a minute and the others less time each."""
        self._network = network.to(device).eval()
        if compiled:  # the encoder is most of the work, and its input never changes size
            self._network.image_encoder.forward = torch.compile(self._network.image_encoder.forward)
        self._device = torch.device(device)
        self._half = multiplies_half(self._device)
        self._positions: Tensor | None = None
        self._memory_positions: list[Tensor] | None = None

    @property
    def frames_remembered(self) -> int:
        """As `MemoryNetwork.frames_remembered`."""
        return max(self._network.num_maskmem, self._network.max_obj_ptrs_in_encoder)

    @torch.inference_mode()
    def embed(self, picture: Frame) -> PictureFeatures:
        """The features of `picture`, (H, W, 3)."""
        pixels = squeezed(
            picture,
            self._network.image_size,
            self._device,
            mean=IMAGENET_MEAN,
            deviation=IMAGENET_DEVIATION,
        )
        with self._precision():
            found = self._network.forward_image(pixels)
        levels = found["backbone_fpn"][-self._network.num_feature_levels :]
        if self._positions is None:
            self._positions = found["vision_pos_enc"][-1].flatten(2).permute(2, 0, 1)
        kept = torch.bfloat16 if self._half else torch.float32
        height, width = picture.shape[:2]
        return PictureFeatures(tuple(level.to(kept) for level in levels), (height, width))

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
        if box is not None:  # the network was trained with a box's corners before any point
            places += [(box.left, box.top), (box.right, box.bottom)]
            labels += [2, 3]
        if points is not None and positive is not None:
            places += [(float(x), float(y)) for x, y in points]
            labels += [int(label) for label in positive]
        height, width = embedding.size
        scale = torch.tensor([network.image_size / width, network.image_size / height])
        places_inside = torch.tensor(places).reshape(-1, 2) * scale
        earlier = None
        if logits is not None:
            earlier = torch.from_numpy(logits).to(self._device)[None, None]
        *finer, coarsest = (level.float() for level in embedding.levels)
        with self._precision():
            sparse, dense = network.sam_prompt_encoder(
                points=(
                    places_inside[None].to(self._device),
                    torch.tensor(labels, dtype=torch.int32)[None].to(self._device),
                ),
                boxes=None,
                masks=earlier,
            )
            # The decoder's doubt whether the target is in view is not asked: the person sees it.
            masks, scores, _, _ = network.sam_mask_decoder(
                image_embeddings=coarsest + network.no_mem_embed.view(1, -1, 1, 1),
                image_pe=network.sam_prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=several,
                repeat_image=False,
                high_res_features=finer or None,
            )
        return Decoded(masks[0].float().cpu().numpy(), scores[0].float().cpu().numpy())

    def to_picture(self, logits: Logits, embedding: PictureFeatures) -> Logits:
        """As `PromptNetwork.to_picture`."""
        return stretched(logits, embedding.size)

    def logits_of(self, mask: Mask, embedding: PictureFeatures) -> Logits:
        """As `PromptNetwork.logits_of`."""
        require_mask(mask, embedding.size)
        share = cell_shares(mask, self._network.image_size // 4)
        return np.asarray((2 * share - 1) * CERTAIN, dtype=np.float32)

    @torch.inference_mode()
    def remember(self, frame_index: int, embedding: PictureFeatures, mask: Mask) -> Remembered:
        """As `MemoryNetwork.remember`."""
        share = cell_shares(mask, self._network.image_size)
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
        levels = [level.float() for level in embedding.levels]
        with self._precision():
            found = self._network.track_step(
                frame_idx=frame_index,
                is_init_cond_frame=mask is not None,
                current_vision_feats=[level.flatten(2).permute(2, 0, 1) for level in levels],
                current_vision_pos_embeds=[self._positions],
                feat_sizes=[tuple(level.shape[-2:]) for level in levels],
                point_inputs=None,
                mask_inputs=mask,
                output_dict={
                    "cond_frame_outputs": {i: each.entry for i, each in settled.items()},
                    "non_cond_frame_outputs": {i: each.entry for i, each in passed.items()},
                },
                num_frames=NO_LIMIT,
                track_in_reverse=backwards,
            )
        if self._memory_positions is None:
            self._memory_positions = found["maskmem_pos_enc"]
        entry = {
            "maskmem_features": found["maskmem_features"].to(embedding.levels[-1].dtype),
            "maskmem_pos_enc": self._memory_positions,
            "obj_ptr": found["obj_ptr"],
        }
        logits = found["pred_masks"][0, 0].float().cpu().numpy()
        in_view = float(torch.sigmoid(found["object_score_logits"].float()).mean())
        return Remembered(entry, logits, in_view)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._half)


def build(size: str, *, image_size: int = 1024, changes: Mapping[str, Any] | None = None) -> Any:
    """The network of one size with untrained weights.

    Args:
        size: a key of CONFIGURATIONS.
        image_size: pixels on a side of the square every picture is squeezed to; 512 costs a
            sixth of 1024.
        changes: dotted names of the package's configuration -> other values.
    """
    import sam2
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    folder = Path(sam2.__file__).parent / "configs" / "sam2.1"
    settings = OmegaConf.load(folder / CONFIGURATIONS[size]).model
    settings.image_size = image_size
    # More settled frames than this only make each step slower.
    settings.max_cond_frames_in_attn = 4
    # As the package's own builder has it: an unsteady single mask gives way to the best of three.
    settings.sam_mask_decoder_extra_args = {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    }
    for name, value in (changes or {}).items():
        OmegaConf.update(settings, name, value)
    return instantiate(settings, _recursive_=True)


def load_network(
    size: str, weights: Path, device: str, *, image_size: int = 1024, compiled: bool = False
) -> Sam2Network:
    """SAM 2.1 of one size with the official weights in `weights`.

    Raises:
        ModelError: the file cannot be read, or is not that checkpoint.
    """
    tensors = read_tensors(weights).get("model")
    if not isinstance(tensors, Mapping):
        raise ModelError(
            f"{weights} is not a checkpoint of SAM 2.1 {size}: it has no entry called “model”. "
            "Take the file from the official place."
        )
    network = build(size, image_size=image_size)
    load_strictly(network, tensors, f"SAM 2.1 {size}")
    return Sam2Network(network, device, compiled=compiled)
