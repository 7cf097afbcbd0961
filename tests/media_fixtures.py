"""Small videos made on the spot: every frame says its own number, every corner its own colour.

The number is a row of eight black or white blocks along the top, so that it
survives compression; `frame_number` reads it back from a decoded frame.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from annotation_store.clips import Clip
from annotation_store.ingest import ingest_steps
from annotation_store.workspace import Workspace
from video_types import Frame

BITS = 8
RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (40, 40, 220)
MILLISECOND = Fraction(1, 1000)


def numbered_picture(number: int, height: int, width: int) -> Frame:
    """(H, W, 3) RGB, upright: the number along the top, red and green below left and right.

    The middle is grey with a lighter disc that moves with the number.
    """
    picture = np.full((height, width, 3), 90, dtype=np.uint8)
    yy, xx = np.mgrid[:height, :width]
    disc = (yy - height / 2) ** 2 + (xx - width * (0.3 + 0.002 * number)) ** 2 < (height / 8) ** 2
    picture[disc] = 170
    block, row = width / BITS, height // 4
    for bit in range(BITS):
        value = 255 if number >> bit & 1 else 0
        picture[:row, round(bit * block) : round((bit + 1) * block)] = value
    picture[-row:, : width // 4] = RED
    picture[-row:, -(width // 4) :] = GREEN
    return picture


def frame_number(frame: Frame) -> int:
    """The number `numbered_picture` wrote into an upright frame of any size."""
    height, width = frame.shape[:2]
    block = width / BITS
    middles = [frame[height // 8, int((bit + 0.5) * block)].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, value in enumerate(middles) if value > 127)


def is_upright(frame: Frame) -> bool:
    """Whether red lies below left and green below right."""
    height, width = frame.shape[:2]
    left = frame[height - height // 8, width // 8].astype(int)
    right = frame[height - height // 8, width - width // 8].astype(int)
    return bool(left[0] > left[1] + 60 and right[1] > right[0] + 60)


def write_video(
    path: Path,
    pictures: Sequence[Frame],
    *,
    times: Sequence[Fraction] | None = None,
    rate: Fraction | int = 24,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    sample_aspect_ratio: Fraction = Fraction(1),
    audio_s: float = 0.0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode `pictures`, shown at `times` (seconds; default one every 1/`rate`).

    The last picture is shown for 1/`rate`.
    """
    height, width = pictures[0].shape[:2]
    if times is None:
        times = [number / Fraction(rate) for number in range(len(pictures))]
    fine = Fraction(1, 90000)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=options or {})
        stream.width, stream.height = width, height
        stream.pix_fmt = pixel_format
        stream.sample_aspect_ratio = sample_aspect_ratio
        stream.time_base = fine if codec != "mpeg4" else Fraction(1, 1) / Fraction(rate)
        stream.codec_context.time_base = stream.time_base
        stream.codec_context.thread_count = 1
        voice = container.add_stream("aac", rate=16000, layout="mono") if audio_s else None
        ends = [*times[1:], times[-1] + 1 / Fraction(rate)]
        for picture, time_s, end_s in zip(pictures, times, ends, strict=True):
            length_s = end_s - time_s
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(time_s / frame.time_base)
            frame.duration = round(length_s / frame.time_base)
            for packet in stream.encode(frame):
                container.mux(packet)
        container.mux(stream.encode())
        if voice is not None:
            _add_tone(container, voice, audio_s)
    return path


def write_audio(path: Path, seconds: float = 1.0) -> Path:
    """A sound file without any picture."""
    with av.open(str(path), "w") as container:
        _add_tone(container, container.add_stream("aac", rate=16000, layout="mono"), seconds)
    return path


def _add_tone(
    container: av.container.OutputContainer, stream: av.AudioStream, seconds: float
) -> None:
    time = np.arange(int(seconds * 16000)) / 16000
    wave = (0.2 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    for start in range(0, wave.size, 1024):
        part = wave[start : start + 1024].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, start
        frame.time_base = Fraction(1, 16000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def numbered_video(path: Path, count: int, height: int = 54, width: int = 96, **kwargs) -> Path:
    """A video of `count` numbered pictures; further options as `write_video` has them."""
    return write_video(path, [numbered_picture(n, height, width) for n in range(count)], **kwargs)


def turned_video(path: Path, count: int, clockwise: int, height: int = 54, width: int = 96) -> Path:
    """A video stored lying, whose note tells the player to turn it `clockwise` degrees.

    Shown as the note says, it is the numbered pictures of (height, width), upright.
    """
    against = clockwise // 90  # np.rot90 turns against the clock
    pictures = [
        np.ascontiguousarray(np.rot90(numbered_picture(n, height, width), against))
        for n in range(count)
    ]
    write_video(path, pictures)
    set_display_matrix(path, DISPLAY_MATRICES[clockwise])
    return path


DISPLAY_MATRICES = {
    # (a, b, c, d) of QuickTime: (p, q) is shown at (a p + c q, b p + d q), y downwards.
    0: (1, 0, 0, 1),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}
MIRROR = (-1, 0, 0, 1)


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write `matrix` (a, b, c, d) into the first track header of an mp4 file."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd")
    assert data[header + 4] == 0, "expected a track header of version 0"
    a, b, c, d = (value << 16 for value in matrix)
    place = header + 4 + 40
    struct.pack_into(">9i", data, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def truncated(source: Path, path: Path, share: float) -> Path:
    """The first `share` of the bytes of `source`."""
    data = source.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def write_frames(
    folder: Path, count: int, height: int = 54, width: int = 96, suffix: str = ".jpg"
) -> Path:
    """A folder of numbered pictures named frame1, frame2, ... frame10 (not zero padded)."""
    folder.mkdir(parents=True)
    for number in range(count):
        picture = cv2.cvtColor(numbered_picture(number, height, width), cv2.COLOR_RGB2BGR)
        assert cv2.imwrite(str(folder / f"frame{number + 1}{suffix}"), picture)
    return folder


def ingested(workspace: Workspace, source: Path | Sequence[Path], **options: Any) -> Clip:
    """The clip made of `source`, with the options of `ingest_steps`."""
    steps = ingest_steps(workspace, source, **options)
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            clip: Clip = finished.value
            return clip
