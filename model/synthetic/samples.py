"""The clips a first start offers: three rendered processes, as videos."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from model.synthetic.clips import SyntheticClip, render
from video_types import Size

SIZE: Size = (360, 640)
FRAMES = 60
FPS = 24


@dataclass(frozen=True)
class Sample:
    """A rendered clip that is worth showing; `expression` singles out one of its things."""

    name: str
    concept: str
    category: str
    expression: str
    seed: int  # far from those that are trained on


SAMPLES = (
    Sample(
        "candle burning down",
        "candle burning",
        "temporal object changes",
        "the pink one on fire",
        900_003,
    ),
    Sample(
        "heart melting",
        "heart melting",
        "temporal object changes",
        "the heart melting",
        900_005,
    ),
    Sample(
        "star drifting like smoke",
        "smoke drifting",
        "motion patterns",
        "the star drifting away",
        900_012,
    ),
)


def rendered(sample: Sample, *, size: Size = SIZE, frame_count: int = FRAMES) -> SyntheticClip:
    """The sample's frames and exact masks."""
    return render(sample.seed, size=size, frame_count=frame_count, fps=FPS)


def write_sample(sample: Sample, path: Path) -> None:
    """Render a sample into an H.264 video at `path`."""
    write_video(rendered(sample), path)


def write_video(clip: SyntheticClip, path: Path) -> None:
    """Write a rendered clip as H.264 at `path`; sides are cut to even numbers of pixels."""
    height, width = (side - side % 2 for side in clip.frames.shape[1:3])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(clip.fps).limit_denominator(1001))
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "16"}
        for image in clip.frames:
            picture = av.VideoFrame.from_ndarray(image[:height, :width], format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
