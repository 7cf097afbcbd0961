"""What VD-IT is trained with: one query is matched to the target of the clip, then scored.

The criterion of ReferFormer as the official VD-IT code configures it (its models/criterion
and models/matcher).  One clip, one target; F frames, Q queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_convert, generalized_box_iou

from model.segmenters.vdit import PIXEL_SHUFFLE, Queries, VdIt

FOCAL_ALPHA = 0.25
FOCAL_GAMMA = 2.0
WEIGHTS: Mapping[str, float] = {
    "ce": 2.0,
    "bbox": 5.0,
    "giou": 2.0,
    "mask": 2.0,
    "dice": 5.0,
    "mask_low": 2.0,
    "dice_low": 5.0,
}


@dataclass(frozen=True)
class ClipTarget:
    """The target in one clip.

    Attributes:
        boxes: (F, 4), (cx, cy, w, h) in 0 to 1 of the frame.
        masks: (F, H, W) of 0 and 1, H and W multiples of 32.
        present: (F,) bool, False on frames that do not show the target.
    """

    boxes: Tensor
    masks: Tensor
    present: Tensor


def focal(logits: Tensor, truth: Tensor) -> Tensor:
    """Sigmoid focal loss per element, shapes equal (RetinaNet, arXiv 1708.02002, eq. 5)."""
    probability = logits.sigmoid()
    hit = probability * truth + (1 - probability) * (1 - truth)
    weight = FOCAL_ALPHA * truth + (1 - FOCAL_ALPHA) * (1 - truth)
    plain = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return weight * plain * (1 - hit) ** FOCAL_GAMMA


def dice(logits: Tensor, truth: Tensor) -> Tensor:
    """1 - Dice over everything but the first axis: (n, ...), (n, ...) -> (n,), smoothed by 1."""
    probability, truth = logits.sigmoid().flatten(1), truth.flatten(1)
    overlap = 2 * (probability * truth).sum(1) + 1
    return 1 - overlap / (probability.sum(1) + truth.sum(1) + 1)


def half_size(masks: Tensor) -> Tensor:
    """(F, H, W) -> (F, H/2, W/2): every second pixel, starting with the second."""
    return masks[:, 1::2, 1::2]


def matched_query(scores: Tensor, boxes: Tensor, low_masks: Tensor, target: ClipTarget) -> int:
    """The query closest to the target over the whole clip.

    Args:
        scores: (F, Q) logits; boxes (F, Q, 4); low_masks (F, Q, H/2, W/2) logits.
    """
    seen = target.present
    probability = scores[seen].sigmoid()
    found = FOCAL_ALPHA * (1 - probability) ** FOCAL_GAMMA * -(probability + 1e-8).log()
    missed = (1 - FOCAL_ALPHA) * probability**FOCAL_GAMMA * -(1 - probability + 1e-8).log()
    by_class = (found - missed).mean(0)
    by_box = (boxes[seen] - target.boxes[seen][:, None]).abs().sum(-1).mean(0)
    by_overlap = -_overlap(boxes[seen], target.boxes[seen]).mean(0)

    truth = half_size(target.masks).expand(low_masks.shape[1], -1, -1, -1)
    masks = low_masks.transpose(0, 1)  # (Q, F, H/2, W/2)
    by_mask = focal(masks, truth).flatten(1).mean(1)
    by_dice = dice(masks, truth)
    cost = (
        WEIGHTS["ce"] * by_class
        + WEIGHTS["bbox"] * by_box
        + WEIGHTS["giou"] * by_overlap
        + WEIGHTS["mask"] * by_mask
        + WEIGHTS["dice"] * by_dice
    )
    return int(cost.argmin())


def _overlap(boxes: Tensor, truth: Tensor) -> Tensor:
    """Generalised IoU (F, Q) of boxes (F, Q, 4) with one box per frame (F, 4)."""
    corners = box_convert(boxes, "cxcywh", "xyxy")
    wanted = box_convert(truth, "cxcywh", "xyxy")
    return torch.stack(
        [
            generalized_box_iou(frame, box[None])[:, 0]
            for frame, box in zip(corners, wanted, strict=True)
        ]
    )


def vdit_losses(network: VdIt, queries: Queries, target: ClipTarget) -> dict[str, Tensor]:
    """Every unweighted loss by name; those of earlier decoder layers end in `_0`, `_1`, ...

    Each decoder layer matches for itself.  Sums are divided by the number of frames that show
    the target, so that a mask loss weighs half as much in a clip of two as in a single frame.
    """
    last = len(queries.scores) - 1
    losses: dict[str, Tensor] = {}
    for layer in range(last + 1):
        suffix = "" if layer == last else f"_{layer}"
        for name, value in _layer_losses(network, queries, layer, target).items():
            losses[name + suffix] = value
    return losses


def total_loss(losses: Mapping[str, Tensor]) -> Tensor:
    """The weighted sum that is minimised."""
    weighted = [WEIGHTS[_without_layer(name)] * value for name, value in losses.items()]
    return torch.stack(weighted).sum()


def _without_layer(name: str) -> str:
    return name.rstrip("0123456789").removesuffix("_")


def _layer_losses(
    network: VdIt, queries: Queries, layer: int, target: ClipTarget
) -> dict[str, Tensor]:
    count = max(int(target.present.sum()), 1)
    every = torch.arange(queries.scores.shape[2], device=queries.scores.device)
    low_features = network.low_masks(queries, layer, every)
    low = F.pixel_shuffle(low_features.flatten(0, 1), PIXEL_SHUFFLE)[:, 0].unflatten(
        0, (-1, len(every))
    )
    scores, boxes = queries.scores[layer], queries.boxes[layer]
    with torch.no_grad():
        matched = matched_query(scores, boxes, low, target)

    truth = torch.zeros_like(scores)
    truth[target.present, matched] = 1
    seen = target.present
    found, wanted = boxes[seen, matched], target.boxes[seen]
    masks = network.refined(low_features[:, matched : matched + 1], queries)[:, 0]
    half = half_size(target.masks)
    return {
        "ce": focal(scores, truth).sum() / count,
        "bbox": (found - wanted).abs().sum() / count,
        "giou": (1 - _overlap(found[:, None], wanted)).sum() / count,
        "mask": focal(masks, target.masks).mean() / count,
        "dice": dice(masks[None], target.masks[None]).sum() / count,
        "mask_low": focal(low[:, matched], half).mean() / count,
        "dice_low": dice(low[:, matched][None], half[None]).sum() / count,
    }
