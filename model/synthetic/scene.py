"""What happens in a synthetic clip: which things there are, how each moves, how the light goes.

Lengths are in frame heights, `x` runs right from the left edge to `aspect` and `y` down from the
top edge to 1, so a scene looks the same at every size.  Moments run from 0 (first frame) to 1
(last frame).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from model.synthetic.shapes import outline

Style: TypeAlias = Literal["training", "unlike"]
"""`unlike` draws the same kinds of things with textures, backgrounds and noise never trained on."""

RGB: TypeAlias = tuple[float, float, float]
"""0 to 255 each."""

COLOURS: dict[str, RGB] = {
    "red": (212, 38, 42),
    "orange": (242, 135, 25),
    "yellow": (242, 216, 50),
    "green": (52, 165, 64),
    "blue": (42, 84, 216),
    "purple": (128, 58, 182),
    "pink": (246, 135, 190),
    "white": (240, 240, 238),
    "black": (24, 24, 28),
    "cyan": (62, 204, 210),
    "brown": (118, 70, 34),
}

MOTIONS: tuple[str, ...] = (
    "still", "left", "right", "up", "down", "spin", "bounce",
    "grow", "shrink", "melt", "burn", "ripple", "fade", "drip", "drift",
)  # fmt: skip


@dataclass(frozen=True)
class Thing:
    """One thing: what it looks like and what becomes of it."""

    kind: str
    colour: str
    rgb: RGB
    radius: float
    x: float  # at moment 0.5, for things that travel
    y: float
    angle: float  # radians, clockwise
    motion: str
    reach: float  # how strongly it moves: travelled length, or share of the whole process
    phase: float  # radians; tells two things with the same motion apart
    texture: str
    second_rgb: RGB  # of the texture


@dataclass(frozen=True)
class Pose:
    """Where a thing is at one moment, and in what state."""

    x: float
    y: float
    scale_x: float
    scale_y: float
    angle: float
    opacity: float = 1.0
    cut: float = -2.0  # everything above this height of the outline is gone
    wobble: float = 0.0  # share of the radius
    wobble_phase: float = 0.0
    drops: tuple[tuple[float, float, float], ...] = ()  # x, y, radius, of the outline
    softness: float = 0.0  # blur of the edge, in radii


@dataclass(frozen=True)
class Clutter:
    """A grey shape nobody speaks of: a bar in front of things, or a patch behind them."""

    x: float
    y: float
    width: float
    height: float
    angle: float
    grey: float
    in_front: bool


@dataclass(frozen=True)
class Scene:
    """Everything a clip shows, back to front."""

    aspect: float  # width of the picture over its height, as seen
    style: Style
    things: tuple[Thing, ...]
    clutter: tuple[Clutter, ...]
    background: str
    background_rgb: tuple[RGB, RGB]
    background_seed: int
    pan: tuple[float, float]  # how far the camera travels over the clip
    shake: float
    light: tuple[float, float]  # gain in the first and in the last frame
    grain: float  # standard deviation of the noise, 0 to 255

    def camera(self, moment: float) -> tuple[float, float]:
        """How far the picture is shifted, (x, y)."""
        swing = self.shake * math.sin(11.0 * moment + self.background_seed % 7)
        return self.pan[0] * (moment - 0.5) + swing, self.pan[1] * (moment - 0.5) + 0.6 * swing


def pose(thing: Thing, moment: float) -> Pose:
    """Where `thing` is, and in what state, before the camera moves.

    Raises:
        ValueError: no such motion.
    """
    x, y, angle, reach = thing.x, thing.y, thing.angle, thing.reach
    travelled = reach * (moment - 0.5)
    done = reach * moment  # of a process
    match thing.motion:
        case "still":
            return Pose(x, y, 1, 1, angle)
        case "left":
            return Pose(x - travelled, y, 1, 1, angle)
        case "right":
            return Pose(x + travelled, y, 1, 1, angle)
        case "up":
            return Pose(x, y - travelled, 1, 1, angle)
        case "down":
            return Pose(x, y + travelled, 1, 1, angle)
        case "spin":
            return Pose(x, y, 1, 1, angle + 2 * math.pi * reach * moment)
        case "bounce":
            hop = 0.22 * abs(math.sin(2.5 * math.pi * moment + thing.phase))
            return Pose(x, y + 0.1 - hop, 1, 1, angle)
        case "grow":
            size = 0.55 + 0.75 * done
            return Pose(x, y, size, size, angle)
        case "shrink":
            size = 1.2 - 0.75 * done
            return Pose(x, y, size, size, angle)
        case "melt":
            flat = 1 - 0.75 * done
            sunk = thing.radius * (1 - flat)
            return Pose(x, y + sunk, 1 + 0.55 * done, flat, angle, wobble=0.06 * done)
        case "burn":
            return Pose(x, y, 1, 1, angle, cut=-1 + 1.5 * done)
        case "ripple":
            return Pose(
                x, y, 1, 1, angle,
                wobble=0.1 + 0.08 * reach, wobble_phase=thing.phase + 9.0 * moment,
            )  # fmt: skip
        case "fade":
            return Pose(x, y, 1, 1, angle, opacity=1 - 0.9 * done)
        case "drip":
            drops = tuple(
                (-0.4 + 0.4 * index, 0.7 + 1.5 * fallen, 0.2 * (1 - 0.25 * fallen))
                for index in range(3)
                if (fallen := (2.2 * moment + 0.37 * index + thing.phase) % 1.0) < 0.95
            )
            return Pose(x, y, 1, 1, angle, drops=drops)
        case "drift":
            spread = 0.8 + 0.5 * done
            return Pose(
                x + 0.04 * math.sin(5 * moment + thing.phase), y + 0.1 - 0.28 * done,
                spread, spread, angle,
                opacity=1 - 0.35 * done, wobble=0.12, wobble_phase=thing.phase + 4 * moment,
                softness=0.12 + 0.1 * done,
            )  # fmt: skip
        case other:
            raise ValueError(f"no motion is called {other}")


_KIND_AREA: dict[str, float] = {}


def outline_area(kind: str) -> float:
    """The area of a `kind` of thing of radius 1; about 3.1 for the largest."""
    if kind not in _KIND_AREA:
        rings = outline(kind)
        signed = [
            0.5 * float(np.sum(r[:, 0] * np.roll(r[:, 1], -1) - np.roll(r[:, 0], -1) * r[:, 1]))
            for r in rings
        ]
        _KIND_AREA[kind] = abs(sum(signed))
    return _KIND_AREA[kind]


def area(thing: Thing, moment: float) -> float:
    """About how much of the picture `thing` covers, in squared frame heights."""
    state = pose(thing, moment)
    left = min(1.0, 1 - (state.cut + 1) / 2)
    return outline_area(thing.kind) * thing.radius**2 * state.scale_x * state.scale_y * left
