"""Draws a scene from a seed: which things, where, in what colours, on what ground."""

from __future__ import annotations

import math

import numpy as np

from model.synthetic.scene import COLOURS, MOTIONS, RGB, Clutter, Scene, Style, Thing
from model.synthetic.shapes import KINDS

_TEXTURES: dict[Style, tuple[str, ...]] = {
    "training": ("plain", "shade", "stripes", "dots", "grain"),
    "unlike": ("checker", "rings", "patches"),
}
_BACKGROUNDS: dict[Style, tuple[str, ...]] = {
    "training": ("plain", "waves", "bands"),
    "unlike": ("patches",),
}


def sample_scene(seed: int, *, aspect: float, style: Style = "training") -> Scene:
    """The scene of `seed`.

    Colours and kinds come from a few per clip, so that one word alone often fits several things.
    """
    rng = np.random.default_rng([seed, 0x5EED])
    count = int(rng.choice([2, 3, 4, 5], p=[0.2, 0.35, 0.3, 0.15]))
    names = rng.choice(list(COLOURS), size=int(rng.integers(2, 5)), replace=False)
    kinds = rng.choice(KINDS, size=int(rng.integers(2, 5)), replace=False)
    motions = rng.choice(MOTIONS, size=count, replace=bool(rng.random() < 0.3))

    things: list[Thing] = []
    looks: set[tuple[str, str]] = set()
    for index in range(count):
        for _ in range(8):
            colour, kind = str(rng.choice(names)), str(rng.choice(kinds))
            if (colour, kind) not in looks or rng.random() < 0.15:
                break
        looks.add((colour, kind))
        things.append(_sample_thing(rng, kind, colour, str(motions[index]), aspect, style, things))

    moving_camera = rng.random() < 0.3
    return Scene(
        aspect=aspect,
        style=style,
        things=tuple(things),
        clutter=_sample_clutter(rng, aspect),
        background=str(rng.choice(_BACKGROUNDS[style])),
        background_rgb=_sample_background(rng, things),
        background_seed=int(rng.integers(1 << 30)),
        pan=(float(rng.normal(0, 0.06)), float(rng.normal(0, 0.04))) if moving_camera else (0, 0),
        shake=float(rng.uniform(0, 0.012)) if moving_camera else 0.0,
        light=_sample_light(rng),
        grain=float(rng.uniform(8, 18) if style == "unlike" else rng.uniform(0, 6)),
    )


def _sample_thing(
    rng: np.random.Generator,
    kind: str,
    colour: str,
    motion: str,
    aspect: float,
    style: Style,
    others: list[Thing],
) -> Thing:
    scale = min(1.0, aspect) ** 0.5
    radius = float(rng.uniform(0.12, 0.25)) * scale
    reach = _sample_reach(rng, motion, aspect)
    across = reach / 2 if motion in ("left", "right") else 0.0
    along = reach / 2 if motion in ("up", "down") else 0.0
    best, best_gap = (aspect / 2, 0.5), -9.0
    for _ in range(12):  # the place with most room around it, out of a few
        x = float(rng.uniform(radius * 0.8 + across, aspect - radius * 0.8 - across))
        y = float(rng.uniform(radius * 0.8 + along, 1 - radius * 0.8 - along))
        gap = min((math.hypot(x - o.x, y - o.y) - radius - o.radius for o in others), default=1.0)
        if gap > best_gap:
            best, best_gap = (x, y), gap
        if best_gap > 0.02:
            break
    jitter = rng.normal(0, 11, size=3)
    rgb = tuple(float(np.clip(c + j, 0, 255)) for c, j in zip(COLOURS[colour], jitter, strict=True))
    darker = float(rng.choice([0.78, 0.85, 1.15, 1.22]))
    return Thing(
        kind=kind,
        colour=colour,
        rgb=(rgb[0], rgb[1], rgb[2]),
        radius=radius,
        x=best[0],
        y=best[1],
        angle=_sample_angle(rng, kind, motion),
        motion=motion,
        reach=reach,
        phase=float(rng.uniform(0, 2 * math.pi)),
        texture=str(rng.choice(_TEXTURES[style])),
        second_rgb=(
            min(255, rgb[0] * darker), min(255, rgb[1] * darker), min(255, rgb[2] * darker)
        ),
    )  # fmt: skip


def _sample_reach(rng: np.random.Generator, motion: str, aspect: float) -> float:
    if motion in ("left", "right"):
        return float(rng.uniform(0.25, 0.45)) * aspect
    if motion in ("up", "down"):
        return float(rng.uniform(0.28, 0.5))
    if motion == "spin":
        return float(rng.uniform(0.3, 0.8) * rng.choice([-1, 1]))
    return float(rng.uniform(0.7, 1.0))


def _sample_angle(rng: np.random.Generator, kind: str, motion: str) -> float:
    """Mostly upright; what melts, burns or drips stands upright."""
    if motion in ("melt", "burn", "drip"):
        return 0.0
    if kind == "arrow":
        return float(rng.choice(4)) * math.pi / 2 + float(rng.normal(0, 0.1))
    return float(rng.normal(0, 0.2))


def _sample_background(rng: np.random.Generator, things: list[Thing]) -> tuple[RGB, RGB]:
    """Two colours every thing stands out from."""
    taken = np.array([thing.rgb for thing in things])
    best, best_gap = np.zeros((2, 3)), -1.0
    for _ in range(12):
        grey = rng.uniform(20, 235)
        tint = rng.normal(0, 28 if rng.random() < 0.7 else 60, size=3)
        pair = np.clip(grey + tint + rng.normal(0, 16, size=(2, 3)), 5, 250)
        gap = float(np.min(np.linalg.norm(pair[:, None] - taken[None], axis=2)))
        if gap > best_gap:
            best, best_gap = pair, gap
        if gap > 75:
            break
    first, second = best.tolist()
    return (first[0], first[1], first[2]), (second[0], second[1], second[2])


def _sample_light(rng: np.random.Generator) -> tuple[float, float]:
    start = float(rng.uniform(0.85, 1.12))
    if rng.random() < 0.3:
        return start, float(rng.uniform(0.72, 1.15))
    return start, start


def _sample_clutter(rng: np.random.Generator, aspect: float) -> tuple[Clutter, ...]:
    def one(in_front: bool) -> Clutter:
        thin = float(rng.uniform(0.02, 0.05) if in_front else rng.uniform(0.05, 0.15))
        long = float(rng.uniform(0.6, 1.6) if in_front else rng.uniform(0.1, 0.3))
        upright = bool(rng.random() < 0.6)
        return Clutter(
            x=float(rng.uniform(0, aspect)),
            y=float(rng.uniform(0, 1)),
            width=thin if upright else long,
            height=long if upright else thin,
            angle=float(rng.normal(0, 0.15)),
            grey=float(rng.uniform(60, 190)),
            in_front=in_front,
        )

    behind = int(rng.integers(1, 4)) if rng.random() < 0.35 else 0
    return tuple([one(False) for _ in range(behind)] + [one(True)] * (rng.random() < 0.2))
