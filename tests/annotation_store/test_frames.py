"""Reading stored frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from annotation_store.errors import NotFoundError
from annotation_store.frames import ClipFrames, FrameStore, frame_name, strip_frames

CLIP = 7
HEIGHT, WIDTH = 36, 52


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    """Five grey frames, each lighter than the one before, the top left corner red."""
    folder = tmp_path / "clips" / str(CLIP) / "frames"
    folder.mkdir(parents=True)
    for frame_index in range(5):
        image = np.full((HEIGHT, WIDTH, 3), 40 * frame_index, dtype=np.uint8)
        image[:16, :16] = (0, 0, 255)  # OpenCV writes BGR
        cv2.imwrite(str(folder / frame_name(frame_index)), image)
    return FrameStore(tmp_path)


def test_a_frame_is_read_by_clip_and_number_as_upright_rgb(store):
    frame = store.read(CLIP, 3)

    assert frame.shape == (HEIGHT, WIDTH, 3)
    assert frame.dtype == np.uint8
    assert abs(int(frame[30, 40, 0]) - 120) < 4
    red, green, blue = frame[8, 8]
    assert red > 200
    assert green < 60
    assert blue < 60


def test_a_frame_that_is_not_there_is_named(store):
    with pytest.raises(NotFoundError, match=r"00005\.jpg"):
        store.read(CLIP, 5)
    with pytest.raises(NotFoundError, match="no frame -1"):
        store.path(CLIP, -1)


def test_a_damaged_frame_says_what_to_do(store):
    store.path(CLIP, 2).write_bytes(b"not a picture")
    store.path(CLIP, 3).write_bytes(b"")

    for frame_index in (2, 3):
        with pytest.raises(NotFoundError, match="damaged"):
            store.read(CLIP, frame_index)


def test_a_sequence_reads_lazily_and_keeps_only_the_last_few(store):
    frames = ClipFrames(store, CLIP, 5, kept=2)

    assert len(frames) == 5
    first = frames[0]
    assert frames[0] is first
    assert abs(int(frames[-1][30, 40, 0]) - 160) < 4
    assert frames[1] is not None
    assert frames[0] is not first  # two others were asked for in between
    with pytest.raises(IndexError):
        frames[5]


def test_a_slice_of_a_sequence_stays_lazy(store):
    store.path(CLIP, 2).unlink()

    every_other = store.sequence(CLIP, 5)[1::2]

    assert len(every_other) == 2
    assert abs(int(every_other[0][30, 40, 0]) - 40) < 4
    assert abs(int(every_other[1][30, 40, 0]) - 120) < 4


def test_a_kept_frame_cannot_be_painted_over(store):
    frame = store.sequence(CLIP, 5)[0]

    with pytest.raises(ValueError, match="read-only"):
        frame[0, 0] = 0


@pytest.mark.parametrize("frame_count", [1, 2, 23, 24, 25, 480])
def test_the_strip_spans_the_clip_without_repeats(frame_count):
    shown = strip_frames(frame_count)

    assert len(shown) == min(24, frame_count)
    assert len(set(shown)) == len(shown)
    assert shown[0] == 0
    assert shown[-1] == frame_count - 1
    assert list(shown) == sorted(shown)


def test_a_glimpse_is_the_frame_at_a_quarter_of_its_size(store):
    glimpse = store.glimpse(CLIP, 3)

    assert glimpse.shape == (HEIGHT // 4, WIDTH // 4, 3)
    assert abs(int(glimpse[7, 10, 0]) - 120) < 4
    red, green, blue = glimpse[1, 1]
    assert red > 200 > 60 > max(green, blue)
