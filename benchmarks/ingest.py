"""How fast video becomes a clip, and how much memory that takes.

python -m benchmarks.ingest                    # a clip drawn on the spot
python -m benchmarks.ingest --frames 2000
python -m benchmarks.ingest my-video.mp4
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from annotation_store.ingest import ingest_steps
from annotation_store.workspace import Workspace
from video_types import Size

HEIGHT, WIDTH = 720, 1280
EARLY = 200
"""The frame whose memory the last one's is compared with."""


def draw_video(path: Path, frames: int, size: Size = (HEIGHT, WIDTH)) -> None:
    """An H.264 video of drifting blotches with fine grain.

    Stored at 2.2 bits a pixel, it is as heavy as detailed footage (1.2 to 2.8).
    """
    random = np.random.default_rng(0)
    height, width = size[0] + 256, size[1] + 256
    coarse = random.integers(0, 256, (height // 24, width // 24, 3), dtype=np.uint8)
    texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    texture += random.normal(0, 1.5, (height, width, 1)).astype(np.int16)
    texture = np.clip(texture, 0, 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=24, options={"preset": "ultrafast", "crf": "23"}
        )
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            x, y = number % 256, number // 2 % 256
            picture = np.ascontiguousarray(texture[y : y + size[0], x : x + size[1]])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def peak_mb() -> float:
    """The most memory this process has held so far, in megabytes."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure(video: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, Workspace.open(Path(folder)) as workspace:
        before = peak_mb()
        early = before
        started, worked = time.perf_counter(), time.process_time()
        done = compared = 0
        for done, total in ingest_steps(workspace, video):
            if done == min(EARLY, (total or 0) // 2):
                early, compared = peak_mb(), done
        seconds, worked = time.perf_counter() - started, time.process_time() - worked
        clip = workspace.clips.list()[0]
        stored = sum(path.stat().st_size for path in Path(folder).rglob("*.jpg"))
        print(
            f"{video.name}: {clip.frame_count} frames of {clip.width}x{clip.height} in "
            f"{seconds:.2f} s, {clip.frame_count / seconds:.0f} frames per second "
            f"({1000 * worked / clip.frame_count:.1f} ms of processor time a frame)"
        )
        print(
            f"peak memory: {before:.0f} MB before, {early:.0f} MB at frame {compared}, "
            f"{peak_mb():.0f} MB at frame {done}; {stored / done / 1e3:.0f} KB a frame on disk"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("video", nargs="*", type=Path, help="videos of your own")
    parser.add_argument("--frames", type=int, default=480, help="length of the drawn video")
    options = parser.parse_args(arguments)
    if options.video:
        for video in options.video:
            measure(video)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / f"drawn-{options.frames}.mp4"
        draw_video(video, options.frames)
        measure(video)
    return 0


if __name__ == "__main__":
    sys.exit(main())
