"""Draws one moment of a synthetic scene, and says which thing each pixel shows.

Everything is drawn at `_SUPER` times the size and averaged down, so that `alpha` is the share of a
pixel a thing covers, at any size.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from model.synthetic.scene import Clutter, Pose, Scene, Thing, pose
from model.synthetic.shapes import Ring, outline
from video_types import Frame, Size

Picture: TypeAlias = npt.NDArray[np.float32]
"""(H, W, 3), 0 to 255, or (H, W), 0 to 1."""

_SUPER = 3
_SHIFT = 4  # bits of the fraction in the corners given to OpenCV


class Canvas:
    """A picture of `size` (H, W) being painted back to front."""

    def __init__(self, size: Size, aspect: float) -> None:
        self.size = size
        self.scale = np.array([size[1] / aspect, size[0]], dtype=np.float64)  # pixels per length
        rows = (np.arange(size[0], dtype=np.float32) + 0.5) / size[0]
        columns = (np.arange(size[1], dtype=np.float32) + 0.5) * np.float32(aspect / size[1])
        self.x: Picture = np.broadcast_to(columns[None], size)
        self.y: Picture = np.broadcast_to(rows[:, None], size)
        self.picture: Picture = np.zeros((*size, 3), dtype=np.float32)
        self.alphas: list[Picture] = []

    def cover(
        self, parts: list[list[Ring]], softness: float
    ) -> tuple[slice, slice, Picture] | None:
        """How much of each pixel the outlines cover: rows, columns, and alpha there.

        Each part is filled on its own, a ring within a ring being a hole.  `softness` blurs the
        edge and is a length.  None where nothing lies within the picture.
        """
        height, width = self.size
        corners = np.concatenate([ring for part in parts for ring in part]) * self.scale
        margin = 1 + 2 * softness * self.scale.max()
        left, top = np.maximum(np.floor(corners.min(axis=0) - margin), 0).astype(int)
        right, bottom = np.ceil(corners.max(axis=0) + margin).astype(int)
        right, bottom = min(int(right), width), min(int(bottom), height)
        if left >= right or top >= bottom:
            return None
        large = np.zeros(((bottom - top) * _SUPER, (right - left) * _SUPER), dtype=np.uint8)
        for part in parts:
            # OpenCV counts from the middle of the first pixel, we from its corner.
            points = [(ring * self.scale - (left, top)) * _SUPER - 0.5 for ring in part]
            fixed = [np.round(p * (1 << _SHIFT)).astype(np.int32) for p in points]
            layer = large if len(parts) == 1 else np.zeros_like(large)
            cv2.fillPoly(layer, fixed, 255, shift=_SHIFT)
            if layer is not large:
                np.maximum(large, layer, out=large)
        if softness > 0:
            sigma = softness * _SUPER * self.scale
            large = cv2.GaussianBlur(large, (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
        alpha = cv2.resize(large, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        return slice(top, bottom), slice(left, right), alpha.astype(np.float32) / 255

    def paint(self, rows: slice, columns: slice, alpha: Picture, rgb: Picture) -> None:
        """Lay `rgb` over the picture; what is below shows through where `alpha` is under 1."""
        below = self.picture[rows, columns]
        below += alpha[..., None] * (rgb - below)
        for lower in self.alphas:
            lower[rows, columns] *= 1 - alpha


def draw(
    scene: Scene, moment: float, size: Size, photograph: Frame | None = None
) -> tuple[Picture, list[Picture]]:
    """The scene at `moment`, and per thing the share of each pixel that shows it.

    `photograph`, of `size`, takes the place of the drawn background.
    """
    canvas = Canvas(size, scene.aspect)
    shift = scene.camera(moment)
    if photograph is None:
        canvas.picture = _background(scene, canvas.x - shift[0], canvas.y - shift[1])
    else:
        canvas.picture = photograph.astype(np.float32)
    for clutter in scene.clutter:
        if not clutter.in_front:
            _draw_clutter(canvas, clutter, shift)
    for index, thing in enumerate(scene.things):
        if index == len(scene.things) - 1:  # bars stand before all but the last thing
            for clutter in scene.clutter:
                if clutter.in_front:
                    _draw_clutter(canvas, clutter, shift)
        _draw_thing(canvas, thing, pose(thing, moment), scene, moment, shift)
    gain = scene.light[0] + (scene.light[1] - scene.light[0]) * moment
    return canvas.picture * gain, canvas.alphas


def placed(thing: Thing, state: Pose, shift: tuple[float, float]) -> list[list[Ring]]:
    """The outline of a thing in the picture, as parts to fill, in frame heights."""
    parts = [list(outline(thing.kind))]
    parts += [[_round(x, y, radius)] for x, y, radius in state.drops]  # drops fall off the outline
    out = []
    turn = np.array(
        [
            [math.cos(state.angle), math.sin(state.angle)],
            [-math.sin(state.angle), math.cos(state.angle)],
        ]
    )
    for part in parts:
        rings = []
        for ring in part:
            bent = ring.copy()
            if state.wobble:
                around = np.arctan2(bent[:, 1], bent[:, 0])
                bent *= (1 + state.wobble * np.sin(5 * around + state.wobble_phase))[:, None]
            bent[:, 1] = np.maximum(bent[:, 1], state.cut)
            bent = (bent * thing.radius * (state.scale_x, state.scale_y)) @ turn
            rings.append(bent + np.array([state.x + shift[0], state.y + shift[1]]))
        out.append(rings)
    return out


def _round(x: float, y: float, radius: float) -> Ring:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def _draw_thing(
    canvas: Canvas,
    thing: Thing,
    state: Pose,
    scene: Scene,
    moment: float,
    shift: tuple[float, float],
) -> None:
    canvas_alpha = np.zeros(canvas.size, dtype=np.float32)
    found = canvas.cover(placed(thing, state, shift), state.softness * thing.radius)
    if found is not None:
        rows, columns, alpha = found
        alpha = alpha * np.float32(state.opacity)
        rgb = _texture(
            thing, scene, canvas.x[rows, columns] - state.x - shift[0],
            canvas.y[rows, columns] - state.y - shift[1], state.angle,
        )  # fmt: skip
        canvas.paint(rows, columns, alpha, rgb)
        canvas_alpha[rows, columns] = alpha
    canvas.alphas.append(canvas_alpha)
    if thing.motion == "burn":
        _draw_flame(canvas, thing, state, moment, shift)


def _draw_flame(
    canvas: Canvas, thing: Thing, state: Pose, moment: float, shift: tuple[float, float]
) -> None:
    """A flame where the thing burns; it hides what is behind it and belongs to nothing."""
    ring = outline("drop")[0] * (0.34, 0.5)
    flicker = 0.12 * math.sin(40 * moment + thing.phase)
    ring[:, 0] += flicker * (ring[:, 1] < 0) * -ring[:, 1]
    top = max(state.cut, float(outline(thing.kind)[0][:, 1].min()))
    ring = (ring + np.array([0, top - 0.42])) * thing.radius
    ring = ring + np.array([state.x + shift[0], state.y + shift[1]])
    found = canvas.cover([[ring]], 0.04 * thing.radius)
    if found is None:
        return
    rows, columns, alpha = found
    hot = np.clip((canvas.y[rows, columns] - ring[:, 1].min()) / (1.0 * thing.radius), 0, 1)[
        ..., None
    ]
    outer, inner = np.array([255, 120, 20], np.float32), np.array([255, 240, 150], np.float32)
    canvas.paint(rows, columns, alpha, outer + hot * (inner - outer))


def _draw_clutter(canvas: Canvas, clutter: Clutter, shift: tuple[float, float]) -> None:
    half = np.array([clutter.width, clutter.height]) / 2
    ring = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64) * half
    c, s = math.cos(clutter.angle), math.sin(clutter.angle)
    ring = ring @ np.array([[c, s], [-s, c]]) + (clutter.x + shift[0], clutter.y + shift[1])
    found = canvas.cover([[ring]], 0.0)
    if found is None:
        return
    rows, columns, alpha = found
    canvas.paint(rows, columns, alpha, np.full((1, 1, 3), clutter.grey, dtype=np.float32))


def _texture(thing: Thing, scene: Scene, x: Picture, y: Picture, angle: float) -> Picture:
    """The colour of a thing at offsets `x`, `y` from its middle."""
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    u: Picture = ((c * x + s * y) / thing.radius).astype(np.float32)
    v: Picture = ((c * y - s * x) / thing.radius).astype(np.float32)
    share: Picture
    match thing.texture:
        case "plain":
            share = np.zeros((1, 1), dtype=np.float32)
        case "shade":
            share = np.clip(0.5 + 0.6 * (u + v), 0, 1)
        case "stripes":
            share = 0.5 + 0.5 * np.sign(np.sin(7 * u + thing.phase))
        case "dots":
            share = (np.sin(8 * u) * np.sin(8 * v) > 0.35).astype(np.float32)
        case "grain":
            share = 0.5 + 0.25 * (np.sin(17 * u + 5 * v) + np.sin(13 * v - 7 * u + thing.phase))
        case "checker":
            share = ((np.floor(3 * u) + np.floor(3 * v)) % 2).astype(np.float32)
        case "rings":
            share = (0.5 + 0.5 * np.sin(12 * np.hypot(u, v) + thing.phase)).astype(np.float32)
        case "patches":
            share = _patches(scene.background_seed + 1, u, v)
        case other:
            raise ValueError(f"no texture is called {other}")
    first = np.array(thing.rgb, dtype=np.float32)
    second = np.array(thing.second_rgb, dtype=np.float32)
    return first + share[..., None] * (second - first)


def _background(scene: Scene, x: Picture, y: Picture) -> Picture:
    rng = np.random.default_rng(scene.background_seed)
    angle, waves, phases = rng.uniform(0, 2 * np.pi), rng.uniform(3, 22, 3), rng.uniform(0, 6.3, 3)
    along = np.float32(math.cos(angle)) * x + np.float32(math.sin(angle)) * y
    share: Picture = np.clip(0.5 + 0.7 * (along - along.mean()), 0, 1)
    if scene.background == "waves":
        across = np.float32(math.cos(angle + 1.2)) * x + np.float32(math.sin(angle + 1.2)) * y
        ripple = np.sin(waves[0] * across + phases[0] + 1.5 * np.sin(waves[1] * along + phases[1]))
        share = 0.6 * share + 0.2 + 0.2 * ripple
    elif scene.background == "bands":
        share = 0.5 * share + 0.25 * (1 + np.sign(np.sin(waves[2] * along + phases[2])))
    elif scene.background == "patches":
        share = _patches(scene.background_seed, 2 * x, 2 * y)
    first = np.array(scene.background_rgb[0], dtype=np.float32)
    second = np.array(scene.background_rgb[1], dtype=np.float32)
    spread = 1.6 if scene.style == "unlike" else 1.0  # stronger contrasts than ever trained on
    return np.clip(first + (spread * (share[..., None] - 0.5) + 0.5) * (second - first), 0, 255)


def _patches(seed: int, x: Picture, y: Picture) -> Picture:
    """Smooth random patches of several sizes, 0 to 1, at any points."""
    rng = np.random.default_rng(seed)
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    for octave in range(3):
        grid = rng.random((32, 32), dtype=np.float32)
        step = np.float32(2.5 * 2**octave)
        columns = (np.broadcast_to(x, total.shape) * step + 16) % 31
        rows = (np.broadcast_to(y, total.shape) * step + 16) % 31
        values = cv2.remap(grid, columns, rows, cv2.INTER_LINEAR)
        total += values * np.float32(0.55 / 1.6**octave)
    return np.clip(total, 0, 1)
