"""Sources become clips whole, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy import event

from annotation_store import frame_writer
from annotation_store.errors import DuplicateClipError, IngestError, StoreError
from annotation_store.frames import strip_frames
from annotation_store.ingest import (
    Limits,
    ingest_steps,
    main,
)
from annotation_store.picture_file import PictureError
from annotation_store.workspace import Workspace
from tests.conftest import REPOSITORY
from tests.media_fixtures import (
    frame_number,
    ingested,
    is_upright,
    numbered_video,
    truncated,
    turned_video,
    write_audio,
    write_frames,
)

HEIGHT, WIDTH = 54, 96


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "workspace") as opened:
        yield opened


@pytest.fixture
def video(tmp_path) -> Path:
    return numbered_video(tmp_path / "candle.mp4", 30, HEIGHT, WIDTH)


def numbers_of(workspace, clip):
    frames = workspace.frames.sequence(clip.id, clip.frame_count)
    return [frame_number(frame) for frame in frames]


def left_behind(workspace) -> list[Path]:
    """Every file of the workspace that is not its database."""
    return [
        path
        for path in workspace.folder.rglob("*")
        if path.is_file() and not path.name.startswith("refscribe.")
    ]


def assert_nothing_was_kept(workspace) -> None:
    assert workspace.clips.list() == []
    assert left_behind(workspace) == []


def test_a_video_becomes_a_clip_with_everything_known_of_its_source(workspace, video):
    clip = ingested(workspace, video)

    assert (clip.name, clip.width, clip.height, clip.frame_count) == ("candle", WIDTH, HEIGHT, 30)
    assert clip.fps == 24
    assert clip.source_name == "candle.mp4"
    assert clip.source_sha256 == hashlib.sha256(video.read_bytes()).hexdigest()
    assert (clip.trim_start_s, clip.trim_end_s, clip.crop, clip.rotation) == (None, None, None, 0)
    assert workspace.clips.get(clip.id) == clip
    times = workspace.clips.time_table(clip.id)
    assert np.allclose(times, [n / 24 for n in range(30)], atol=1e-4)
    assert numbers_of(workspace, clip) == list(range(30))
    assert list((workspace.folder / "incoming").iterdir()) == []


def test_thumbnail_and_strip_show_the_clip(workspace, tmp_path):
    clip = ingested(workspace, numbered_video(tmp_path / "long.mp4", 60, 270, 480))

    thumb = cv2.imread(str(workspace.frames.thumb_path(clip.id)), cv2.IMREAD_COLOR_RGB)
    strip = cv2.imread(str(workspace.frames.strip_path(clip.id)), cv2.IMREAD_COLOR_RGB)

    assert thumb.shape == (180, 320, 3)
    assert frame_number(thumb) == 30
    shown = strip_frames(60)
    width = strip.shape[1] // len(shown)
    assert strip.shape == (48, width * len(shown), 3)
    assert width == round(480 * 48 / 270)
    parts = [strip[:, place * width : (place + 1) * width] for place in range(len(shown))]
    assert [frame_number(part) for part in parts] == list(shown)


def test_progress_counts_every_frame_up_to_the_total(workspace, video):
    seen = list(ingest_steps(workspace, video))

    assert [done for done, total in seen if total] == [*range(1, 31), 30]
    assert {total for _, total in seen} == {None, 30}


def test_a_turned_video_is_stored_upright(workspace, tmp_path):
    clip = ingested(workspace, turned_video(tmp_path / "phone.mp4", 5, 90, 96, 54))

    assert (clip.width, clip.height, clip.rotation) == (54, 96, 90)
    assert is_upright(workspace.frames.read(clip.id, 4))


def test_trim_and_crop_are_kept_with_the_clip(workspace, video):
    clip = ingested(workspace, video, name="part", trim_s=(0.5, 1.0), crop=(48, 34, 48, 20))

    assert (clip.name, clip.width, clip.height, clip.frame_count) == ("part", 48, 20, 12)
    assert (clip.trim_start_s, clip.trim_end_s, clip.crop) == (0.5, 1.0, (48, 34, 48, 20))
    assert workspace.clips.time_table(clip.id)[0] == pytest.approx(0.5)


def test_the_same_source_is_not_taken_twice_unnoticed(workspace, video, tmp_path):
    clip = ingested(workspace, video)
    copy = tmp_path / "another name.mp4"
    copy.write_bytes(video.read_bytes())

    with pytest.raises(DuplicateClipError, match="“candle”") as refused:
        ingested(workspace, copy)
    assert refused.value.clip_id == clip.id
    assert [one.id for one in workspace.clips.list()] == [clip.id]

    with pytest.raises(DuplicateClipError):
        ingested(workspace, video, trim_s=(0, None), crop=(0, 0, WIDTH, HEIGHT))

    second = ingested(workspace, video, allow_duplicate=True)
    assert second.id != clip.id


def test_another_part_of_the_same_source_is_another_clip(workspace, video):
    ingested(workspace, video)
    ingested(workspace, video, trim_s=(0, 0.5))
    ingested(workspace, video, trim_s=(0.5, None))
    ingested(workspace, video, crop=(0, 0, 40, 40))

    with pytest.raises(DuplicateClipError):
        ingested(workspace, video, trim_s=(0.5, None))
    assert len(workspace.clips.list()) == 4


@pytest.mark.parametrize(
    ("trim_s", "crop", "sentence"),
    [
        ((2.0, 3.0), None, "the source lasts 1.25 s"),
        ((0.5, 9.0), None, "the source lasts 1.25 s"),
        ((1.0, 0.5), None, "the end must come after the start"),
        ((-1.0, 0.5), None, "seconds from 0 on"),
        ((float("nan"), 0.5), None, "seconds from 0 on"),
        (None, (0, 0, 97, 54), "reaches outside the upright 96x54 picture"),
        (None, (-1, 0, 20, 20), "reaches outside"),
        (None, (0, 0, 96, 4), "at least 16x16"),
    ],
)
def test_trim_and_crop_outside_the_source_are_refused(workspace, video, trim_s, crop, sentence):
    with pytest.raises(IngestError, match=sentence):
        ingested(workspace, video, trim_s=trim_s, crop=crop)

    assert_nothing_was_kept(workspace)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(max_bytes=100), "at most 100 can be taken"),
        (Limits(max_frames=29), "has 30 frames; at most 29"),
        (Limits(max_pixels=5000), "has 5,184 pixels a frame; at most 5,000"),
    ],
)
def test_a_source_above_a_limit_is_refused(workspace, video, limits, sentence):
    with pytest.raises(IngestError, match=sentence):
        ingested(workspace, video, limits=limits)

    assert_nothing_was_kept(workspace)


def test_a_length_nobody_announced_is_refused_while_it_arrives(workspace, tmp_path):
    times = [Fraction(0), Fraction(1, 24), Fraction(3600 * 24)]  # the last a day later
    video = numbered_video(
        tmp_path / "jump.mkv", 3, HEIGHT, WIDTH, times=times, audio_s=0.1, rate=24
    )

    with pytest.raises(IngestError, match="at most 20,000"):
        ingested(workspace, video)

    assert_nothing_was_kept(workspace)


def test_damaged_sources_leave_nothing(workspace, tmp_path):
    whole = numbered_video(
        tmp_path / "whole.mp4", 96, HEIGHT, WIDTH, container_options={"movflags": "faststart"}
    )
    empty = tmp_path / "empty.mp4"
    empty.touch()
    sources = {
        truncated(whole, tmp_path / "short.mp4", 0.7): r"cut short|damaged",
        empty: "empty",
        write_audio(tmp_path / "song.m4a"): "only sound",
        tmp_path / "missing.mp4": "no file",
    }

    for source, sentence in sources.items():
        with pytest.raises(IngestError, match=sentence):
            ingested(workspace, source)
        assert_nothing_was_kept(workspace)


def test_an_import_closed_midway_leaves_nothing_and_can_be_repeated(workspace, video):
    steps = ingest_steps(workspace, video)
    while next(steps)[0] < 10:
        pass
    assert any((workspace.folder / "incoming").iterdir())

    steps.close()

    assert_nothing_was_kept(workspace)
    assert ingested(workspace, video).frame_count == 30


def test_a_disk_that_fills_up_is_explained_and_leaves_nothing(workspace, video):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Every file ends after 1000 bytes: a real refusal of the system, in the middle of a frame.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(IngestError, match="is full; nothing of the import was kept"):
            ingested(workspace, video)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert_nothing_was_kept(workspace)


def test_a_disk_full_at_the_last_file_leaves_nothing(workspace, video):
    steps = ingest_steps(workspace, video)
    while next(steps)[0] < 30:
        pass

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(IngestError, match="is full"):
            next(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert_nothing_was_kept(workspace)


def test_a_commit_that_fails_takes_the_frames_back(workspace, video):
    def no_room(_connection):
        assert any((workspace.folder / "clips").iterdir())  # they have moved by then
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    event.listen(workspace._database.engine, "commit", no_room)
    with pytest.raises(IngestError, match="is full"):
        ingested(workspace, video)
    event.remove(workspace._database.engine, "commit", no_room)

    assert_nothing_was_kept(workspace)


def test_a_name_that_cannot_be_kept_is_refused_before_the_work(workspace, video, tmp_path):
    odd = tmp_path / "odd\x07name.mp4"
    odd.write_bytes(video.read_bytes())

    with pytest.raises(StoreError, match="control character"):
        next(step for step in ingest_steps(workspace, video, name="a\x07b") if step[0] > 0)

    assert ingested(workspace, odd).name == "odd name"


def test_a_process_killed_in_the_middle_leaves_no_clip(workspace, tmp_path):
    video = numbered_video(tmp_path / "long.mp4", 240, 270, 480)
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from annotation_store.ingest import ingest_steps\n"
        "from annotation_store.workspace import Workspace\n"
        "with Workspace.open(Path(sys.argv[1])) as workspace:\n"
        "    for done, _ in ingest_steps(workspace, Path(sys.argv[2])):\n"
        "        print(done, flush=True)\n"
        "        time.sleep(0.01)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(workspace.folder), str(video)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    while int(child.stdout.readline()) < 60:
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()

    assert workspace.clips.list() == []
    assert not any((workspace.folder / "clips").iterdir())

    clip = ingested(workspace, video)

    assert [one.id for one in workspace.clips.list()] == [clip.id]
    assert numbers_of(workspace, clip) == list(range(240))


def test_a_process_killed_before_the_commit_leaves_no_clip(workspace, video):
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from sqlalchemy import event\n"
        "from annotation_store.workspace import Workspace\n"
        "from tests.media_fixtures import ingested\n"
        "def die(connection):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "with Workspace.open(Path(sys.argv[1])) as workspace:\n"
        "    event.listen(workspace._database.engine, 'commit', die)\n"
        "    ingested(workspace, Path(sys.argv[2]))\n"
    )

    finished = subprocess.run(
        [sys.executable, "-c", program, str(workspace.folder), str(video)],
        cwd=REPOSITORY,
        check=False,
    )

    assert finished.returncode == -signal.SIGKILL
    assert workspace.clips.list() == []
    clip = ingested(workspace, video)
    assert numbers_of(workspace, clip) == list(range(30))
    assert [one.id for one in workspace.clips.list()] == [clip.id]


def test_a_folder_of_frames_keeps_its_jpegs_byte_for_byte(workspace, tmp_path):
    folder = write_frames(tmp_path / "dandelion", 11)

    clip = ingested(workspace, folder)

    assert (clip.name, clip.frame_count, clip.fps) == ("dandelion", 11, 24)
    assert numbers_of(workspace, clip) == list(range(11))
    for number in range(11):
        stored = workspace.frames.path(clip.id, number).read_bytes()
        assert stored == (folder / f"frame{number + 1}.jpg").read_bytes()
    with pytest.raises(DuplicateClipError):
        ingested(workspace, folder)


def test_png_frames_odd_sizes_trim_and_crop(workspace, tmp_path):
    folder = write_frames(tmp_path / "smoke", 48, 53, 95, ".png")

    whole = ingested(workspace, folder)
    part = ingested(workspace, folder, trim_s=(0.5, 1.0), crop=(1, 3, 60, 41))

    assert numbers_of(workspace, whole) == list(range(48))
    assert (part.width, part.height, part.frame_count) == (60, 41, 12)
    times = workspace.clips.time_table(part.id)
    assert times[0] == pytest.approx(0.5)
    assert times[-1] == pytest.approx(23 / 24)


def test_a_damaged_frame_in_a_folder_is_named_and_leaves_nothing(workspace, tmp_path):
    folder = write_frames(tmp_path / "smoke", 5, 240, 320)
    damaged = folder / "frame4.jpg"
    damaged.write_bytes(damaged.read_bytes()[:900])

    with pytest.raises(PictureError, match=r"frame4\.jpg"):
        ingested(workspace, folder)

    assert_nothing_was_kept(workspace)


def test_a_source_still_being_written_is_refused(workspace, video):
    steps = ingest_steps(workspace, video)
    next(steps)
    with video.open("ab") as file:
        file.write(b"more")

    with pytest.raises(IngestError, match="still being written"):
        for _ in steps:
            pass

    assert_nothing_was_kept(workspace)


def test_few_pictures_are_held_at_a_time(tmp_path, monkeypatch):
    writer = frame_writer.FrameWriter(tmp_path / "frames")
    started = []

    def slow(number):
        started.append(number)
        time.sleep(0.005)
        return b"jpeg"

    held = 0
    with writer:
        for number in range(60):
            writer.write(lambda number=number: slow(number), range(number, number + 1))
            held = max(held, number + 1 - len(started))
        writer.finish()

    assert len(started) == 60
    assert held <= 12


def test_the_command_line_imports_and_explains(tmp_path, video, capsys):
    folder = tmp_path / "workspace"
    other = write_frames(tmp_path / "smoke", 3)

    assert main([str(video), str(other), "--workspace", str(folder)]) == 0
    assert main([str(video), "--workspace", str(folder)]) == 1
    assert main([str(video), "--workspace", str(folder), "--trim", "0.5", "1", "--again"]) == 0

    printed = capsys.readouterr()
    assert "clip 1 “candle”: 30 frames of 96x54" in printed.out
    assert "clip 2 “smoke”: 3 frames of 96x54" in printed.out
    assert "already in the workspace" in printed.err
    with Workspace.open(folder) as workspace:
        assert len(workspace.clips.list()) == 3


def test_real_clips_keep_their_length(workspace, shared):
    for path in sorted((shared / "clips").glob("*.mp4"))[-2:]:
        clip = ingested(workspace, path)

        times = workspace.clips.time_table(clip.id)
        assert abs(times[-1] - clip.frame_count / 24) < 0.1


def test_the_command_line_says_why_a_workspace_cannot_be_opened(video, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file")

    assert main([str(video), "--workspace", str(tmp_path / "taken")]) == 1

    assert "cannot be written" in capsys.readouterr().err
