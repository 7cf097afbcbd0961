"""Reading video files: time, orientation, shape, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace

from annotation_store.errors import IngestError
from annotation_store.video_source import (
    Crop,
    Timed,
    Uprighter,
    at_constant_rate,
    probe,
    shown_pictures,
)
from tests.media_fixtures import (
    MIRROR,
    frame_number,
    is_upright,
    numbered_picture,
    numbered_video,
    set_display_matrix,
    truncated,
    turned_video,
    write_audio,
    write_video,
)

HEIGHT, WIDTH = 54, 96


def frames_of(path, start=0, stop=None, crop=None):
    """Every clip frame of a video, (H, W, 3) RGB, as ingest would store it."""
    info = probe(path)
    uprighter = Uprighter(info, crop)
    frames = []
    stop = None if stop is None else Fraction(stop)
    for shown in shown_pictures(info, Fraction(start), stop):
        assert shown.first == len(frames)
        image = uprighter.image(shown.shown)[:, :, ::-1]
        frames += [image] * (shown.last - shown.first + 1)
    return frames


def numbers_of(path, start=0, stop=None):
    return [frame_number(frame) for frame in frames_of(path, start, stop)]


def brute_force(times, end, start=Fraction(0)):
    """The rule read aloud: frame n shows the last picture with t < (n + 0.5) / 24."""
    count = max(1, int(24 * (end - start) + Fraction(1, 2)))
    return [
        max(k for k, t in enumerate(times) if k == 0 or t - start < (n + Fraction(1, 2)) / 24)
        for n in range(count)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_any_timing_follows_the_rule(seed):
    random = np.random.default_rng(seed)
    gaps = random.integers(1, [40, 200, 3, 500, 17, 90][seed], size=60)
    times = [Fraction(int(t), 1000) for t in np.cumsum(gaps) - gaps[0]]
    pictures = [Timed(t, Fraction(1, 30), number) for number, t in enumerate(times)]

    for start in (Fraction(0), times[-1] / 3):
        shown = list(at_constant_rate(pictures, start))

        played = [s.shown for s in shown for _ in range(s.first, s.last + 1)]
        assert played == brute_force(times, times[-1] + Fraction(1, 30), start)
        assert [s.first for s in shown[1:]] == [s.last + 1 for s in shown[:-1]]
        assert shown[0].first == 0


def test_a_step_back_in_time_is_passed_over():
    times = [0, 50, 40, 100]
    pictures = [Timed(Fraction(t, 1000), Fraction(1, 20), t) for t in times]

    assert [s.shown for s in at_constant_rate(pictures)] == [0, 50, 100]


def test_a_video_of_24_frames_a_second_keeps_every_frame(tmp_path):
    path = numbered_video(tmp_path / "plain.mp4", 30, HEIGHT, WIDTH)

    assert numbers_of(path) == list(range(30))


def test_a_variable_rate_follows_presentation_time(tmp_path):
    times = [Fraction(t, 1000) for t in (0, 10, 20, 200, 210, 500, 900, 933, 966, 1000)]
    path = numbered_video(
        tmp_path / "variable.mp4", len(times), HEIGHT, WIDTH, times=times, rate=30
    )

    numbers = numbers_of(path)

    assert numbers == brute_force(times, Fraction(1) + Fraction(1, 30))
    assert len(numbers) == 25


@pytest.mark.parametrize(("rate", "count", "expected"), [(60, 60, 24), (12, 12, 24), (25, 50, 48)])
def test_other_rates_last_as_long_as_before(tmp_path, rate, count, expected):
    path = numbered_video(tmp_path / "rate.mp4", count, HEIGHT, WIDTH, rate=rate)

    numbers = numbers_of(path)

    assert len(numbers) == expected
    assert numbers == brute_force([Fraction(n, rate) for n in range(count)], Fraction(count, rate))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts", ".avi"])
def test_containers_differ_and_pictures_do_not(tmp_path, suffix):
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    path = numbered_video(tmp_path / f"clip{suffix}", 26, HEIGHT, WIDTH, codec=codec)

    assert numbers_of(path) == list(range(26))


@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
@pytest.mark.parametrize(("height", "width"), [(54, 96), (96, 54)])
def test_a_turned_video_comes_upright(tmp_path, clockwise, height, width):
    path = turned_video(tmp_path / "turned.mp4", 5, clockwise, height, width)

    info = probe(path)
    frames = frames_of(path)

    assert (info.rotation, info.width, info.height) == (clockwise, width, height)
    assert [frame.shape for frame in frames] == [(height, width, 3)] * 5
    assert all(is_upright(frame) for frame in frames)
    assert [frame_number(frame) for frame in frames] == list(range(5))


def test_a_mirrored_video_is_mirrored_back(tmp_path):
    pictures = [np.ascontiguousarray(numbered_picture(n, HEIGHT, WIDTH)[:, ::-1]) for n in range(4)]
    path = write_video(tmp_path / "selfie.mp4", pictures)
    set_display_matrix(path, MIRROR)

    frames = frames_of(path)

    assert [frame_number(frame) for frame in frames] == list(range(4))
    assert all(is_upright(frame) for frame in frames)


@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(1, 2), Fraction(16, 11)])
def test_pixels_that_are_not_square_are_stretched_in_width(tmp_path, aspect):
    path = numbered_video(tmp_path / "wide.mp4", 4, HEIGHT, WIDTH, sample_aspect_ratio=aspect)

    frames = frames_of(path)

    assert frames[0].shape == (HEIGHT, round(WIDTH * aspect), 3)
    assert [frame_number(frame) for frame in frames] == list(range(4))
    assert is_upright(frames[0])


def test_odd_sizes_and_deep_colours_are_read(tmp_path):
    odd = numbered_video(tmp_path / "odd.mp4", 4, 53, 95, codec="libx264", pixel_format="yuv444p")
    deep = numbered_video(tmp_path / "deep.mkv", 4, HEIGHT, WIDTH, pixel_format="yuv420p10le")
    clear = numbered_video(tmp_path / "clear.mov", 4, 53, 95, codec="png", pixel_format="rgba")

    assert frames_of(odd)[0].shape == (53, 95, 3)
    for path in (odd, deep, clear):
        frames = frames_of(path)
        assert [frame_number(frame) for frame in frames] == list(range(4))
        assert is_upright(frames[0])


def test_a_trim_starts_and_ends_at_the_seconds_asked_for(tmp_path):
    path = numbered_video(tmp_path / "long.mp4", 120, HEIGHT, WIDTH, options={"g": "48", "bf": "2"})

    assert numbers_of(path, start=Fraction(50, 24), stop=Fraction(60, 24)) == list(range(50, 60))
    assert numbers_of(path, start=Fraction(1, 24), stop=Fraction(3, 24)) == [1, 2]
    assert numbers_of(path, start=Fraction(110, 24)) == list(range(110, 120))
    assert numbers_of(path, start=Fraction(119, 24)) == [119]


def test_a_trim_of_a_file_without_an_index_is_exact(tmp_path):
    path = numbered_video(tmp_path / "long.ts", 120, HEIGHT, WIDTH, options={"g": "48"})

    assert numbers_of(path, start=Fraction(50, 24), stop=Fraction(60, 24)) == list(range(50, 60))


def test_a_crop_counts_in_upright_pixels(tmp_path):
    path = turned_video(tmp_path / "turned.mp4", 2, 90, HEIGHT, WIDTH)

    part = frames_of(path, crop=Crop(x=0, y=41, width=24, height=13))[0]

    assert part.shape == (13, 24, 3)
    red, green, _ = part[4:, :20].mean(axis=(0, 1))
    assert red > green + 60  # the red corner, below left


def test_colours_survive(tmp_path):
    picture = np.zeros((72, 128, 3), dtype=np.uint8)
    picture[:, :64] = (200, 60, 60)
    picture[:, 64:] = (50, 80, 190)
    path = write_video(tmp_path / "colours.mp4", [picture] * 3, options={"qp": "4"})

    frame = frames_of(path)[1].astype(int)

    assert np.abs(frame[36, 32] - (200, 60, 60)).max() < 8
    assert np.abs(frame[36, 96] - (50, 80, 190)).max() < 8


def test_sound_beside_the_pictures_is_left_out(tmp_path):
    path = numbered_video(tmp_path / "loud.mkv", 12, HEIGHT, WIDTH, audio_s=2.0)

    assert numbers_of(path) == list(range(12))


def test_what_is_no_video_is_refused_with_what_to_do(tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.touch()
    text = tmp_path / "notes.mp4"
    text.write_text("these are notes, not pictures\n" * 50)
    playlist = tmp_path / "list.mp4"
    video = numbered_video(tmp_path / "good.ts", 5, HEIGHT, WIDTH)
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{video}\n#EXT-X-ENDLIST\n")

    with pytest.raises(IngestError, match="no file"):
        probe(tmp_path / "missing.mp4")
    with pytest.raises(IngestError, match=r"empty \(0 bytes\)"):
        probe(empty)
    for path in (text, playlist):
        with pytest.raises(IngestError, match="cannot be read as a video"):
            probe(path)
    with pytest.raises(IngestError, match="only sound"):
        probe(write_audio(tmp_path / "song.m4a"))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_file_cut_short_is_refused(tmp_path, suffix, share):
    whole = numbered_video(
        tmp_path / f"whole{suffix}", 96, HEIGHT, WIDTH, container_options={"movflags": "faststart"}
    )
    short = truncated(whole, tmp_path / f"short{suffix}", share)

    with pytest.raises(IngestError, match=r"cut short|damaged"):
        numbers_of(short)


def test_a_file_whose_index_was_cut_off_is_refused(tmp_path):
    whole = numbered_video(tmp_path / "whole.mp4", 48, HEIGHT, WIDTH)
    short = truncated(whole, tmp_path / "short.mp4", 0.7)

    with pytest.raises(IngestError, match="cannot be read as a video"):
        probe(short)


def test_the_whole_part_of_a_file_cut_short_can_be_trimmed_out(tmp_path):
    whole = numbered_video(
        tmp_path / "whole.mp4", 96, HEIGHT, WIDTH, container_options={"movflags": "faststart"}
    )
    short = truncated(whole, tmp_path / "short.mp4", 0.8)

    assert numbers_of(short, stop=Fraction(1)) == list(range(24))


def test_a_raw_stream_without_times_is_refused(tmp_path):
    path = numbered_video(tmp_path / "raw.h264", 10, HEIGHT, WIDTH)

    with pytest.raises(IngestError, match="when its pictures are shown"):
        numbers_of(path)


def test_high_definition_without_named_colours_is_bt_709(tmp_path):
    picture = np.zeros((720, 1280, 3), dtype=np.uint8)
    picture[:, :640] = (200, 60, 60)
    picture[:, 640:] = (40, 180, 70)
    path = tmp_path / "hd.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"qp": "4"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        frame.pts = 0
        frame.time_base = Fraction(1, 24)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())

    decoded = frames_of(path)[0].astype(int)

    assert np.abs(decoded[360, 320] - (200, 60, 60)).max() < 8
    assert np.abs(decoded[360, 960] - (40, 180, 70)).max() < 8
