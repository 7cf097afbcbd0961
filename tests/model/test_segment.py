"""The command line drafts masks for a folder of frames or a video, and refuses with a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from model import segment
from model.segment import FrameFiles, draft, frames_of_folder, frames_of_video
from model.segmenter import ExpressionReport, ModelError, SegmentedFrame, SegmentStep
from tests.conftest import REPOSITORY

HEIGHT, WIDTH = 38, 54


class BrightSegmenter:
    """A segmenter that needs no weights: what is brighter than the middle is the target."""

    name = "bright"
    weights_hash = "none"

    def describe_expression(self, text):
        return ExpressionReport(text)

    def segment(self, frames, expression, *, seed=0, clip_key=None):
        del expression, seed, clip_key
        for place in reversed(range(len(frames))):
            gray = frames[place].mean(axis=2).astype(np.uint8)
            one = SegmentedFrame(place, gray > 127, gray[::2, ::2])
            yield SegmentStep(len(frames) - place, len(frames), "looking", (one,))


def shade(place: int) -> np.ndarray:
    """A frame whose left part, `place` + 10 wide, is bright."""
    frame = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    frame[:, : place + 10] = (250, 200, 180)
    return frame


def write_frames(folder, names) -> None:
    for place, name in enumerate(names):
        cv2.imwrite(str(folder / name), cv2.cvtColor(shade(place), cv2.COLOR_RGB2BGR))


def write_video(path, frame_count: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for place in range(frame_count):
            picture = av.VideoFrame.from_ndarray(shade(place), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def test_a_mask_is_called_as_its_frame_and_lies_where_the_frame_says(tmp_path):
    (tmp_path / "clip").mkdir()
    names = ["f9.png", "f10.png", "f11.png"]
    write_frames(tmp_path / "clip", names)

    frames = frames_of_folder(tmp_path / "clip")
    steps = list(draft(BrightSegmenter(), frames, "the bright part", tmp_path / "out", seed=0))

    assert len(steps) == 3
    for place, name in enumerate(names):
        mask = cv2.imread(str(tmp_path / "out" / "masks" / name), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (HEIGHT, WIDTH)
        assert np.array_equal(mask == 255, shade(place)[..., 0] > 0)
        assert set(np.unique(mask)) == {0, 255}
        soft_map = cv2.imread(str(tmp_path / "out" / "soft_maps" / name), cv2.IMREAD_UNCHANGED)
        assert soft_map.shape == (HEIGHT // 2, WIDTH // 2)


def test_every_frame_of_a_video_is_taken_in_order(tmp_path):
    write_video(tmp_path / "clip.mp4", 7)

    frames = frames_of_video(tmp_path / "clip.mp4", tmp_path)

    assert len(frames) == 7
    for place, frame in enumerate(frames):
        assert frame.shape == (HEIGHT, WIDTH, 3)
        assert np.abs(frame.astype(int) - shade(place)).mean() < 8


def test_frames_are_read_from_disk_when_asked_for(tmp_path):
    write_frames(tmp_path, ["0.png", "1.png"])
    frames = frames_of_folder(tmp_path)
    (tmp_path / "1.png").unlink()

    assert np.array_equal(frames[0], shade(0))
    assert isinstance(frames[:1], FrameFiles)
    with pytest.raises(ModelError, match="not an image that can be read"):
        frames[1]


def test_what_is_no_clip_is_refused(tmp_path):
    (tmp_path / "notes.mp4").write_text("not a video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "twice").mkdir()
    write_frames(tmp_path / "twice", ["0.png", "0.jpg"])

    with pytest.raises(ModelError, match="not a video that can be read"):
        frames_of_video(tmp_path / "notes.mp4", tmp_path)
    with pytest.raises(ModelError, match="no images"):
        frames_of_folder(tmp_path / "empty")
    with pytest.raises(ModelError, match="differ in their ending alone"):
        frames_of_folder(tmp_path / "twice")


def test_a_folder_that_holds_something_is_not_written_over(tmp_path, capsys):
    write_frames(tmp_path, ["0.png"])

    code = segment.main([str(tmp_path), "--expression", "it", "--out", str(tmp_path)])

    assert code == 2
    assert "is not empty; name another folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["0.png"]


def test_the_command_line_drafts_a_clip_with_weights_of_the_demo_s_kind(tmp_path):
    from tests.model.test_weights import write_demo

    (tmp_path / "weights").mkdir()
    write_demo(tmp_path / "weights")
    (tmp_path / "clip").mkdir()
    write_frames(tmp_path / "clip", [f"{place:05d}.png" for place in range(6)])

    ran = subprocess.run(
        [
            *(sys.executable, "-m", "model.segment", str(tmp_path / "clip")),
            *("--expression", "the red zebra", "--out", str(tmp_path / "out")),
            *("--weights", str(tmp_path / "weights"), "--seed", "7", "--device", "cpu"),
        ],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert "rem-demo does not know: zebra" in ran.stderr
    assert len(list((tmp_path / "out" / "masks").glob("*.png"))) == 6
    facts = json.loads((tmp_path / "out" / "draft.json").read_text())
    assert facts["seed"] == 7
    assert facts["unknown_words"] == ["zebra"]
    assert len(facts["weights_sha256"]) == 64
