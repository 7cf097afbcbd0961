"""SAM 3's detector and tracker, driven frame by frame: everything that a noun phrase names.

The network is transformers', whose import takes seconds: it waits until a network is built.  Two
things its own code leaves to a package that fetches compiled code while it runs are done here:
dropping what was detected twice, and filling holes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.checkpoint import load_strictly, read_tensors
from model.pictures import SAM3_DEVIATION, SAM3_MEAN, squeezed
from model.postprocess import drop_islands, fill_holes
from model.segmenter import ExpressionReport
from model.segmenters.inference import inference
from model.segmenters.tokenizer import BEGIN, END, byte_pairs, framed, kept_text
from model.transformers_folder import described, weights_in
from video_types import Frame

CONTEXT = 32
"""Tokens the text encoder reads; its own processor refuses more."""
MOST_THINGS = 16
"""Followed at a time; each costs as much as the target of a refiner."""
SAME_OVERLAP = 0.1
"""Of two detections on a frame that overlap more than this (intersection over union), one is the
other again."""
SMALL_PIXELS = 16
"""Holes and islands up to this size, of the network's own pixels, are its noise."""
FAINT = 0.1
"""Logit of what was filled, and minus it of what was taken away."""

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """What stands on one frame: `logits` (h, w) by the number of each thing, the `scores` of all
    things so far, 0 to 1, and the numbers of those `withdrawn`, which were none after all."""

    frame_index: int
    logits: dict[int, Logits]
    scores: dict[int, float]
    withdrawn: frozenset[int]


class Sam3Video:
    """The network with its weights on one device; built by `build`, so that it does not tidy."""

    def __init__(self, network: Any, device: str) -> None:
        self._network = network.to(device).eval()
        self._device = torch.device(device)
        # Its own advice is to compute in half precision, not to hold the weights in it.
        self._autocast = torch.bfloat16 if self._device.type == "cuda" else None
        detect, track = network.run_detection, network.run_tracker_propagation
        build_outputs = network.build_outputs

        def detect_once(*given: Any, **named: Any) -> Any:
            return {key: distinct(found) for key, found in detect(*given, **named).items()}

        def track_tidily(*given: Any, **named: Any) -> Any:
            logits, scores = track(*given, **named)
            return tidied(logits), scores

        def build_tidily(*given: Any, **named: Any) -> Any:
            return {key: tidied(one) for key, one in build_outputs(*given, **named).items()}

        network.run_detection = detect_once
        network.run_tracker_propagation = track_tidily
        network.build_outputs = build_tidily

    def describe(self, text: str) -> ExpressionReport:
        """What of `text` fits the text encoder."""
        tokens = byte_pairs().encode(text)
        if len(tokens) <= CONTEXT - 2:
            return ExpressionReport(text)
        return ExpressionReport(kept_text(tokens, CONTEXT), cut=True)

    def follow(self, frames: Sequence[Frame], expression: str) -> Iterator[Seen]:
        """Go through a clip once, forwards, and yield after each frame.

        Raises:
            ModelError: the device has no memory left.
        """
        session = self._session(frames, expression)
        for index in range(len(frames)):
            with inference("SAM 3", 1, self._device, self._autocast):
                found = self._network(session, frame_idx=index)
            self._forget(session, index)
            hidden = found.suppressed_obj_ids or set()
            yield Seen(
                index,
                {
                    number: one[0].float().cpu().numpy()
                    for number, one in found.obj_id_to_mask.items()
                    if number not in hidden
                },
                dict(found.obj_id_to_score),
                frozenset(found.removed_obj_ids),
            )

    def _session(self, frames: Sequence[Frame], expression: str) -> Any:
        """A session of its own for each run: a second one would hide what the first withdrew."""
        from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

        height, width = frames[0].shape[:2]
        session = Sam3VideoInferenceSession(
            video_height=height,
            video_width=width,
            inference_device=self._device,
            inference_state_device=self._device,
            dtype=torch.float32,
        )
        side = self._network.config.tracker_config.image_size
        session.processed_frames = _Frames(frames, side, self._device)
        words = byte_pairs().encode(expression)
        ids = framed(words, begin=BEGIN, end=END, pad=END, context=CONTEXT)
        read = min(len(words) + 2, CONTEXT)
        prompt = session.add_prompt(expression)
        session.prompt_input_ids[prompt] = torch.tensor([ids], device=self._device)
        session.prompt_attention_masks[prompt] = torch.tensor(
            [[1] * read + [0] * (CONTEXT - read)], device=self._device
        )
        return session

    def _forget(self, session: Any, index: int) -> None:
        """Drop what no later frame looks at: of a long clip, nearly everything."""
        settings = self._network.config.tracker_config
        oldest = index - max(settings.num_maskmem, settings.max_object_pointers_in_encoder)
        for outputs in session.output_dict_per_obj.values():
            passed = outputs["non_cond_frame_outputs"]
            for old in [other for other in passed if other <= oldest]:
                del passed[old]
            anchors = outputs["cond_frame_outputs"]
            most = settings.max_cond_frame_num
            for old in sorted(anchors)[:-most] if most > 0 else []:
                del anchors[old]  # the nearest are attended to, and the clip is only gone forwards
            for entry in (*passed.values(), *outputs["cond_frame_outputs"].values()):
                entry.pop("high_res_masks", None)
        # Copied anew with every frame, and read on none but its own.
        session.obj_id_to_tracker_score_frame_wise = defaultdict(dict)
        session.suppressed_obj_ids = defaultdict(set)


class _Frames(dict[int, Tensor]):
    """A clip as the session holds it, (3, S, S) by frame index, each frame made when asked for.

    The session must know the clip's length: without it every later mask would be empty.
    """

    def __init__(self, frames: Sequence[Frame], side: int, device: torch.device) -> None:
        super().__init__()
        self._frames, self._side, self._device = frames, side, device

    def __len__(self) -> int:
        return len(self._frames)

    def __missing__(self, index: int) -> Tensor:
        return squeezed(
            self._frames[index], self._side, self._device, mean=SAM3_MEAN, deviation=SAM3_DEVIATION
        )[0]


def distinct(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Detections of one frame, `bbox` (n, 4), `mask` (n, h, w) logits and `scores` (n,), without
    those that overlap a surer one."""
    inside = (found["mask"] > 0).flatten(1)
    kept: list[int] = []
    for place in found["scores"].argsort(descending=True).tolist():
        others = inside[kept]
        shared = (others & inside[place]).sum(1)
        either = (others | inside[place]).sum(1)
        if bool((shared <= SAME_OVERLAP * either).all()):
            kept.append(place)
    kept.sort()
    return {name: values[kept] for name, values in found.items()}


def tidied(logits: Tensor) -> Tensor:
    """(n, h, w) logits whose small holes are filled and whose small islands are gone.

    A target of a few pixels stays: no more than half of a mask is taken for noise.
    """
    tidy = logits.float().cpu().numpy().copy()
    for one in tidy:
        mask = one > 0
        filled = fill_holes(mask, largest=SMALL_PIXELS)
        noise = min(SMALL_PIXELS, int(filled.sum()) // 2)
        kept = drop_islands(filled, smallest=noise + 1)
        one[filled & ~mask] = FAINT
        one[filled & ~kept] = -FAINT
    return torch.from_numpy(tidy).to(logits)


def build(description: dict[str, Any] | None = None) -> Any:
    """The network with untrained weights: of the official ones, or of a Sam3VideoConfig."""
    from transformers import Sam3VideoConfig, Sam3VideoModel

    given = dict(description or {})
    kind = given.pop("model_type", "sam3_video")
    if kind != "sam3_video":
        raise ValueError(f"it describes {kind}")
    # With these two it would ask for compiled code: see the head of this file.
    given |= {"det_nms_thresh": 0.0, "fill_hole_area": 0, "max_num_objects": MOST_THINGS}
    return Sam3VideoModel(Sam3VideoConfig(**given))


def load_network(weights: Path, device: str) -> Sam3Video:
    """SAM 3 with the weights of a file, the official one, or of a folder that describes its own.

    Raises:
        ModelError: the weights cannot be read, or do not fit.
    """
    if weights.is_dir():
        network, tensors = described(weights, build, "SAM 3"), weights_in(weights)
    else:
        tensors = read_tensors(weights)
        network = build()
    load_strictly(network, tensors, "SAM 3")
    return Sam3Video(network, device)
