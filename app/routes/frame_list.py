"""Frames as a browser names several of them: 3,4,9-20."""

from __future__ import annotations

import re

from app.notices import RefusedError


def frame_numbers(text: str) -> list[int]:
    """The frames of a list such as a browser writes it.

    >>> frame_numbers("3,4,9-11")
    [3, 4, 9, 10, 11]
    """
    found: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"([0-9]{1,7})(?:-([0-9]{1,7}))?", part)
        if ends is None:
            raise RefusedError(f"Expected frames such as 3,4,9-20, got {text[:40]!r}.")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if last < first or len(found) + last - first > 100_000:
            raise RefusedError(f"Expected frames such as 3,4,9-20, got {text[:40]!r}.")
        found += range(first, last + 1)
    return found
