"""Judging what a network proposes for clicks: which reading, and whether to follow it.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from model.metrics import region_similarity
from model.refiners.click_rules import component_at, pixel_of
from model.refiners.prompt_network import Decoded, Logits
from model.refiners.view import box_of, united
from video_types import Box, Click, Mask

STEADY = 0.6
"""Stability of a reading whose border is somewhere: one that leaks into its surroundings stays
far below."""
BELIEVED = 0.2
"""A reading is plausible that scores at most this much less than the one that scores most."""
ALIKE = 0.9
"""J from which two readings of a click are one to a person."""
MUCH = 0.6
"""Change, as a share of the mask before it, that is much for one click: it is looked at twice."""
ISLAND = 0.25
"""Share of a mask up to which a part that touches no other is an island."""
LIKELY = 0.4
"""J with a mask from close by from which a reading is one of the same thing."""
STRAYS = 0.5
"""Share of a correction beyond the reach of its click from which it is about something else."""


def stability(logits: Logits) -> float:
    """How little the mask depends on the threshold: overlap of those at +1 and -1.

    >>> import numpy as np
    >>> round(stability(np.array([[3, 3, 0.5, -3]], np.float32)), 2)
    0.67
    """
    loose = int((logits > -1).sum())
    return int((logits > 1).sum()) / loose if loose else 0.0


def plausible(decoded: Decoded, maps: Sequence[Logits]) -> list[int]:
    """Which readings have a border of their own and are believed by the network.

    `maps` are the readings at the picture's size, (H, W) each.
    """
    least = decoded.scores.max() - BELIEVED
    return [
        k
        for k, drawn in enumerate(maps)
        if decoded.scores[k] >= least and stability(drawn) >= STEADY
    ]


def whole_of(decoded: Decoded, maps: Sequence[Logits]) -> int:
    """Which reading of a first click to take: the largest plausible one.

    Where none is plausible, the one that is best in score and stability together.
    """
    return max(
        plausible(decoded, maps) or by_worth(decoded, maps)[:1],
        key=lambda k: int((maps[k] > 0).sum()),
    )


def most_like(likely: Mask, maps: Sequence[Logits]) -> int | None:
    """The reading most like a mask of the target close by in time, or a draft's.

    None where none is alike: what moved away or was drafted wrong says nothing of size.
    """
    overlaps = [region_similarity(drawn > 0, likely) for drawn in maps]
    best = int(np.argmax(overlaps))
    return best if overlaps[best] >= LIKELY else None


def by_worth(decoded: Decoded, maps: Sequence[Logits]) -> list[int]:
    """The readings in order, the best in score and stability together first."""
    worth = [
        float(score) + stability(drawn) for score, drawn in zip(decoded.scores, maps, strict=True)
    ]
    return sorted(range(len(maps)), key=lambda k: -worth[k])


def unlike(mask: Mask, others: Iterable[Mask]) -> tuple[Mask, ...]:
    """Those of `others` that a person would tell from `mask` and from each other.

    >>> import numpy as np
    >>> whole, part = np.array([[True, True]]), np.array([[True, False]])
    >>> len(unlike(whole, [whole, part, part]))
    1
    """
    shown = [mask]
    for other in others:
        if other.any() and all(region_similarity(other, each) < ALIKE for each in shown):
            shown.append(other)
    return tuple(shown[1:])


def box_with(mask: Mask, clicks: Sequence[Click]) -> Box | None:
    """The box around a mask and what was clicked on beside it; None around nothing."""
    shown = box_of(mask)
    return None if shown is None else with_clicks(shown, clicks)


def with_clicks(box: Box, clicks: Sequence[Click]) -> Box:
    """A box grown to hold every positive click."""
    for click in clicks:
        if click.positive:
            box = united(box, Box(click.x, click.y, click.x + 1, click.y + 1))
    return box


def is_much(change: Mask, before: Mask) -> bool:
    """Whether a change is large beside the mask that it changes."""
    return int(change.sum()) > MUCH * int(before.sum())


def touches_border(mask: Mask) -> bool:
    """Whether a mask reaches a border of the frame, as surroundings do and most things do not."""
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def is_bearable(before: Mask, after: Mask, click: Click) -> bool:
    """Whether a click may take from a mask what `after` does not hold.

    Most of a mask goes only where it is a thing by itself: a part that the others do not touch.
    """
    gone = before & ~after
    if not is_much(gone, before):
        return True
    thing = component_at(before, pixel_of(click))
    return bool((before & ~thing).any()) and not (gone & ~thing).any()


def island_at(mask: Mask, clicks: Sequence[Click]) -> Mask | None:
    """The part of a mask, apart from the rest, that the last click takes away whole; or None.

    A small part, or one of any size where another click says that the target is elsewhere.

    >>> mask = np.ones((4, 8), dtype=bool)
    >>> mask[:, 4] = False
    >>> there, here = Click(0, 1, 1, True), Click(0, 7, 2, False)
    >>> int(island_at(mask, [there, here]).sum()), island_at(mask, [here]) is None
    (12, True)
    """
    click = clicks[-1]
    if click.positive or not mask[pixel_of(click)]:
        return None
    part = component_at(mask, pixel_of(click))
    wanted = [pixel_of(each) for each in clicks if each.positive and mask[pixel_of(each)]]
    elsewhere = bool(wanted) and not any(part[pixel] for pixel in wanted)
    return part if elsewhere or int(part.sum()) <= ISLAND * int(mask.sum()) else None


def is_about(change: Mask, near: Mask) -> bool:
    """Whether at least half of a change lies `near` the click it was made for."""
    return int((change & ~near).sum()) <= STRAYS * int(change.sum())
