"""Short clips of coloured things that move, melt, burn or drift, with exact masks and expressions.

They train and test the demo weights, and show what Refscribe does before a first clip of one's own
is there.  numpy and OpenCV only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from model.synthetic.drawing import Picture, draw
from model.synthetic.expressions import expressions
from model.synthetic.sampling import sample_scene
from model.synthetic.scene import Scene, Style
from video_types import Frame, Size

# A pixel is the target's from this share on, nobody's below `_CLEAR`, and Ignore between.
_OWN = 0.5
_CLEAR = 0.1

MaskStack = npt.NDArray[np.bool_]
"""(T, H, W)."""


@dataclass(frozen=True)
class SyntheticTarget:
    """One thing of a clip: where it is seen, and what singles it out."""

    masks: MaskStack
    ignore: MaskStack  # disjoint from `masks`: the thing covers some of these pixels, not most
    expressions: tuple[tuple[str, str], ...]  # (type, text), never empty


@dataclass(frozen=True)
class SyntheticClip:
    """A rendered clip; every thing something singles out is a target, the others distract."""

    frames: npt.NDArray[np.uint8]  # (T, H, W, 3) RGB
    fps: float
    targets: tuple[SyntheticTarget, ...]
    distractors: MaskStack  # (things that are no target, T, H, W)


def render(
    seed: int,
    *,
    size: Size,
    frame_count: int,
    fps: float = 24.0,
    style: Style = "training",
    aspect: float | None = None,
    moments: Sequence[float] | None = None,
    photographs: Sequence[Frame] | None = None,
) -> SyntheticClip:
    """The clip of `seed` at `size` (H, W): the same scene at every size, the same bytes each time.

    Args:
        aspect: width over height of the scene, where the pixels are not square.
        moments: one per frame, 0 to 1, where the frames are not spread evenly over the clip.
        photographs: one background per frame, of `size`, instead of a drawn one.

    Raises:
        ValueError: `size` or `frame_count` is not positive, or the numbers of frames differ.
    """
    if min(size) < 1 or frame_count < 1:
        raise ValueError(f"expected a positive size and frame count, got {size} and {frame_count}")
    for given in (moments, photographs):
        if given is not None and len(given) != frame_count:
            raise ValueError(f"expected {frame_count} moments or photographs, got {len(given)}")
    scene = sample_scene(seed, aspect=size[1] / size[0] if aspect is None else aspect, style=style)
    rng = np.random.default_rng([seed, 0xF4A3E])
    if moments is None:
        moments = np.linspace(0, 1, frame_count).tolist() if frame_count > 1 else [0.5]
    frames = np.empty((frame_count, *size, 3), dtype=np.uint8)
    own = np.empty((len(scene.things), frame_count, *size), dtype=np.bool_)
    ignore = np.empty_like(own)
    for index, moment in enumerate(moments):
        photograph = None if photographs is None else photographs[index]
        picture, alphas = draw(scene, moment, size, photograph)
        frames[index] = _develop(picture, scene, rng)
        for thing, alpha in enumerate(alphas):
            own[thing, index] = alpha >= _OWN
            ignore[thing, index] = (alpha > _CLEAR) & (alpha < _OWN)
    return _clip(scene, frames, fps, own, ignore, np.random.default_rng([seed, 0x7E87]))


def _develop(picture: Picture, scene: Scene, rng: np.random.Generator) -> Frame:
    """Noise, and for `unlike` blur and strong JPEG compression."""
    if scene.style == "unlike":
        picture = cv2.GaussianBlur(picture, (0, 0), sigmaX=0.006 * picture.shape[0] + 0.1)
    if scene.grain > 0:
        picture = picture + rng.standard_normal(picture.shape, dtype=np.float32) * scene.grain
    frame = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    if scene.style == "unlike":
        quality = [cv2.IMWRITE_JPEG_QUALITY, 25]
        _, jpeg = cv2.imencode(".jpg", frame[..., ::-1], quality)
        frame = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))[..., ::-1]
    return frame


def _clip(
    scene: Scene,
    frames: npt.NDArray[np.uint8],
    fps: float,
    own: MaskStack,
    ignore: MaskStack,
    rng: np.random.Generator,
) -> SyntheticClip:
    """Turn things something singles out, and that are not mostly hidden, into targets."""
    targets, rest = [], []
    least = 0.004 * frames.shape[1] * frames.shape[2]
    for index in range(len(scene.things)):
        said = expressions(scene, index, rng)
        seen = np.count_nonzero(own[index], axis=(1, 2)) > least
        if said and 2 * np.count_nonzero(seen) >= len(seen):
            targets.append(SyntheticTarget(own[index], ignore[index], tuple(said)))
        else:
            rest.append(own[index])
    distractors = np.stack(rest) if rest else np.zeros((0, *own.shape[1:]), dtype=np.bool_)
    return SyntheticClip(frames, fps, tuple(targets), distractors)
