"""What the demo's VD-IT minimises, for many clips at once.

`stacked_loss` is `vdit_criterion`'s: the same numbers, a tenth of the time.  `Pointer` comes on
top.  Clips of equal length are stacked frame after frame, as `VdIt.answer` takes them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_convert, generalized_box_iou_loss

from model.segmenters.vdit import PIXEL_SHUFFLE, Queries, VdIt
from model.training.vdit_criterion import (
    FOCAL_ALPHA,
    FOCAL_GAMMA,
    WEIGHTS,
    ClipTarget,
    dice,
    focal,
    half_size,
    total_loss,
)


def stacked_loss(network: VdIt, queries: Queries, targets: ClipTarget, clips: int) -> Tensor:
    """The mean over `clips` of what `total_loss` gives for each.

    Every clip shows its target on at least one frame.
    """
    per_layer = [_layer(network, queries, n, targets, clips) for n in range(len(queries.scores))]
    return torch.stack([total_loss(losses) for losses in per_layer]).sum()


def _layer(
    network: VdIt, queries: Queries, layer: int, targets: ClipTarget, clips: int
) -> dict[str, Tensor]:
    scores, boxes = queries.scores[layer], queries.boxes[layer]
    count = scores.shape[1]
    every = torch.arange(count, device=scores.device)
    low_features = network.low_masks(queries, layer, every)
    low = F.pixel_shuffle(low_features.flatten(0, 1), PIXEL_SHUFFLE)[:, 0].unflatten(0, (-1, count))
    half = half_size(targets.masks)
    with torch.no_grad():
        matched = matched_queries(scores, boxes, low, targets, clips)  # (clips,)
    of_frame = matched.repeat_interleave(len(scores) // clips)
    frame = torch.arange(len(scores), device=scores.device)

    truth = torch.zeros_like(scores)
    truth[frame, of_frame] = targets.present.float()
    found, chosen_low = boxes[frame, of_frame], low[frame, of_frame]
    masks = network.refined(low_features[frame, of_frame][:, None], queries)[:, 0]
    seen = targets.present.float()
    share = 1 / _by_clip(seen, clips).sum(1)  # one over the frames that show the target

    def over_seen(values: Tensor) -> Tensor:
        """Of values per frame: summed over the clip's frames with the target, per such frame."""
        return (_by_clip(values * seen, clips).sum(1) * share).mean()

    def over_all(values: Tensor) -> Tensor:
        return (_by_clip(values, clips).mean(1) * share).mean()

    return {
        "ce": (_by_clip(focal(scores, truth).sum(1), clips).sum(1) * share).mean(),
        "bbox": over_seen((found - targets.boxes).abs().sum(1)),
        "giou": over_seen(_apart(found, targets.boxes)),
        "mask": over_all(focal(masks, targets.masks).flatten(1).mean(1)),
        "dice": (dice(_by_clip(masks, clips), _by_clip(targets.masks, clips)) * share).mean(),
        "mask_low": over_all(focal(chosen_low, half).flatten(1).mean(1)),
        "dice_low": (dice(_by_clip(chosen_low, clips), _by_clip(half, clips)) * share).mean(),
    }


class Pointer(nn.Module):
    """Reads the thing asked for straight off the denoiser's maps; thrown away after training.

    Deformable attention looks where its query says, not where the words fit: the words have to
    leave their mark in the maps, where the official network finds it from its pretraining.  Here
    this asks for it, or hours would pass before a gradient does.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.read = nn.ModuleList(nn.Conv2d(width, 16, 1) for width in widths)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (F, width, h, w) -> logits (F, 4h, 4w)."""
        return [
            F.pixel_shuffle(read(one), 4)[:, 0] for read, one in zip(self.read, maps, strict=True)
        ]


def pointing_loss(pointed: Sequence[Tensor], masks: Tensor) -> Tensor:
    """Cross-entropy and dice of the logits with masks (F, H, W), the mean over maps."""
    losses = []
    for logits in pointed:
        truth = F.interpolate(masks[:, None], logits.shape[1:], mode="area")[:, 0]
        plain = F.binary_cross_entropy_with_logits(logits, truth)
        losses.append(plain + dice(logits, truth).mean())
    return torch.stack(losses).mean()


def matched_queries(
    scores: Tensor, boxes: Tensor, low_masks: Tensor, targets: ClipTarget, clips: int
) -> Tensor:
    """(clips,) what `matched_query` gives for each; shapes as there, of all frames."""
    seen = targets.present.float()[:, None]
    number = _by_clip(seen, clips).sum(1)

    def over_seen(values: Tensor) -> Tensor:  # (F, Q) -> (clips, Q)
        return _by_clip(values * seen, clips).sum(1) / number

    probability = scores.sigmoid()
    hit = FOCAL_ALPHA * (1 - probability) ** FOCAL_GAMMA * -(probability + 1e-8).log()
    missed = (1 - FOCAL_ALPHA) * probability**FOCAL_GAMMA * -(1 - probability + 1e-8).log()
    wanted = targets.boxes[:, None].expand_as(boxes)
    truth = half_size(targets.masks)[:, None].expand_as(low_masks)
    by_clip = (  # (clips, Q, T, H/2, W/2)
        _by_clip(low_masks, clips).transpose(1, 2),
        _by_clip(truth, clips).transpose(1, 2),
    )
    by_dice = torch.stack([dice(*pair) for pair in zip(*by_clip, strict=True)])
    cost = (
        WEIGHTS["ce"] * over_seen(hit - missed)
        + WEIGHTS["bbox"] * over_seen((boxes - wanted).abs().sum(-1))
        + WEIGHTS["giou"] * over_seen(_apart(boxes, wanted))
        + WEIGHTS["mask"] * focal(*by_clip).flatten(2).mean(2)
        + WEIGHTS["dice"] * by_dice
    )
    return cost.argmin(dim=1)


def _by_clip(values: Tensor, clips: int) -> Tensor:
    return values.unflatten(0, (clips, -1))


def _apart(boxes: Tensor, others: Tensor) -> Tensor:
    """1 - generalised IoU of boxes (..., 4) with boxes (..., 4), (cx, cy, w, h)."""
    corners = [box_convert(each, "cxcywh", "xyxy") for each in (boxes, others)]
    return generalized_box_iou_loss(*corners)
