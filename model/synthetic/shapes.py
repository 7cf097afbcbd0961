"""Outlines of the things in synthetic clips: closed polygons around (0, 0), within about 1.

`x` runs right and `y` runs down.  An outline is one or two rings of points; the second ring,
where there is one, is a hole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ring: TypeAlias = npt.NDArray[np.float64]
"""(N, 2), x and y."""

Outline: TypeAlias = tuple[Ring, ...]

_POINTS = 72  # of a round outline: no corner shows at 640 x 360


def _polar(radius: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Outline:
    """The ring whose distance from (0, 0) at each angle is `radius(angle)`."""
    angles = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
    distances = radius(angles)
    return (np.stack([distances * np.cos(angles), distances * np.sin(angles)], axis=1),)


def _corners(*points: tuple[float, float], per_edge: int = 9) -> Outline:
    """The polygon through `points`, each edge cut into `per_edge` so that it can bend."""
    ring = np.array(points, dtype=np.float64)
    following = np.roll(ring, -1, axis=0)
    steps = np.arange(per_edge)[None, :, None] / per_edge
    return ((ring[:, None] * (1 - steps) + following[:, None] * steps).reshape(-1, 2),)


def _regular(corners: int, inner: float | None = None) -> Outline:
    """A regular polygon standing on a side, or a star of as many points with `inner` radius."""
    count = corners if inner is None else 2 * corners
    points = []
    for index in range(count):
        angle = -math.pi / 2 + 2 * math.pi * index / count
        radius = 1.0 if inner is None or index % 2 == 0 else inner
        points.append((radius * math.cos(angle), radius * math.sin(angle)))
    return _corners(*points, per_edge=6)


def _circle() -> Outline:
    return _polar(lambda angle: np.full_like(angle, 0.95))


def _ring() -> Outline:
    outer = _circle()[0]
    return (outer, outer[::-1] * 0.52)


def _square() -> Outline:
    return _corners((-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82))


def _triangle() -> Outline:
    return _corners((0, -1.0), (0.98, 0.78), (-0.98, 0.78))


def _star() -> Outline:
    return _regular(5, inner=0.42)


def _cross() -> Outline:
    a, b = 0.95, 0.32
    return _corners(
        (-b, -a), (b, -a), (b, -b), (a, -b), (a, b), (b, b),
        (b, a), (-b, a), (-b, b), (-a, b), (-a, -b), (-b, -b),
        per_edge=4,
    )  # fmt: skip


def _heart() -> Outline:
    t = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    return (np.stack([x / 17, (y - 2.5) / 16], axis=1),)


def _moon() -> Outline:
    outer = np.linspace(np.radians(40), np.radians(320), 44)
    back = outer[0], -outer[0]
    arc = np.stack([np.cos(outer), np.sin(outer)], axis=1)
    tip = np.array([np.cos(back[0]), np.sin(back[0])])
    centre = 0.75
    radius = float(np.hypot(tip[0] - centre, tip[1]))
    start = math.atan2(-tip[1], tip[0] - centre) % (2 * math.pi)
    end = math.atan2(tip[1], tip[0] - centre) % (2 * math.pi)
    inner = np.linspace(start, end, 28)[1:-1]
    bite = np.stack([centre + radius * np.cos(inner), radius * np.sin(inner)], axis=1)
    return (np.concatenate([arc, bite]) * 0.95 + np.array([0.25, 0.0]),)


def _drop() -> Outline:
    t = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
    return (np.stack([0.85 * np.sin(t) * np.sin(t / 2) ** 1.4, -np.cos(t) * 0.98], axis=1),)


def _candle() -> Outline:
    return _corners((-0.36, -1.0), (0.36, -1.0), (0.36, 1.0), (-0.36, 1.0))


def _cloud() -> Outline:
    return _polar(
        lambda angle: (
            (0.62 + 0.2 * np.abs(np.sin(2.5 * angle + 0.6))) * (1 + 0.25 * np.cos(angle) ** 2)
        )
    )


def _arrow() -> Outline:
    return _corners(
        (-0.95, -0.3), (0.1, -0.3), (0.1, -0.8), (1.0, 0.0), (0.1, 0.8), (0.1, 0.3), (-0.95, 0.3),
        per_edge=6,
    )  # fmt: skip


_OUTLINES: dict[str, Callable[[], Outline]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
    "heart": _heart,
    "moon": _moon,
    "drop": _drop,
    "candle": _candle,
    "cloud": _cloud,
    "arrow": _arrow,
}

KINDS: tuple[str, ...] = tuple(_OUTLINES)


def outline(kind: str) -> Outline:
    """The outline of a `kind` of thing, fresh arrays each time.

    Raises:
        KeyError: no such kind.

    >>> [ring.shape for ring in outline("ring")]
    [(72, 2), (72, 2)]
    """
    return _OUTLINES[kind]()
