"""Files that are damaged or made to do harm: each ends soon, in one sentence."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from annotation_store.errors import StoreError
from annotation_store.formats import mask_png, palette_png, ref_vps
from annotation_store.ingest import ingest_steps
from annotation_store.workspace import Workspace
from tests.conftest import REPOSITORY
from tests.media_fixtures import frame_number, numbered_video, write_frames

SOON_S = 60
HEIGHT, WIDTH = 54, 96


def refused(command: str, *arguments: object) -> str:
    """What a command of ours says when it refuses; a process of its own, since it might hang."""
    done = subprocess.run(
        [sys.executable, "-m", f"annotation_store.{command}", *map(str, arguments)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, lines
    return lines[0]


def left_in(folder: Path) -> list[Path]:
    return [path for path in (folder / "incoming").iterdir() if not path.name.startswith(".")]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with one clip of four frames and a target."""
    folder = tmp_path / "workspace"
    with Workspace.open(folder) as opened:
        for _ in ingest_steps(opened, write_frames(tmp_path / "frames", 4)):
            pass
        opened.targets.add(1)
    return folder


def noted(path: Path, duration: str) -> Path:
    """A Matroska file that says of itself that it lasts `duration`."""
    numbered_video(path.with_suffix(".mp4"), 12)
    with av.open(str(path.with_suffix(".mp4"))) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = bytearray(path.read_bytes())
    tag = data.index(b"DURATION") + len(b"DURATION")
    value = data.index(b"00:00:00.", tag)
    room = len(b"00:00:00.500000000")
    data[value : value + room] = duration.encode().ljust(room, b"\0")[:room]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "duration",
    ["a:b:c", "0:0:1e999999999", "0:0:1/0", "::", "-1:0:0", "1:2:3:4", "9" * 18, "٣:٠:١"],
)
def test_a_tag_that_is_no_duration_says_nothing(tmp_path, duration):
    path = noted(tmp_path / "a.mkv", duration)

    program = (
        "import sys, pathlib; from annotation_store.video_source import probe; "
        "print(probe(pathlib.Path(sys.argv[1])).duration_s)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=True,
    )

    assert done.stdout.strip() == "0.5", "what the file itself says"


def no_file(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "nowhere":
        path.symlink_to("gone.png")
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "nowhere", "device"])
def test_what_is_no_file_is_no_mask_and_no_frame(workspace, tmp_path, kind):
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "0.png").write_bytes(mask_png.encode(np.zeros((HEIGHT, WIDTH), dtype=bool)))
    no_file(masks / "1.png", kind)

    assert "“1.png”" in refused("import_", masks, "--workspace", workspace, "--target", 1)
    (masks / "0.png").unlink()
    assert "holds no pictures" in refused("ingest", masks, "--workspace", workspace)

    with Workspace.open(workspace) as opened:
        assert opened.masks.load_all(1) == []
    assert left_in(workspace) == []


def test_a_pipe_or_a_device_is_no_video(workspace, tmp_path):
    for kind in ("pipe", "device", "loop"):
        no_file(tmp_path / f"{kind}.mp4", kind)

        assert "There is no" in refused(
            "ingest", tmp_path / f"{kind}.mp4", "--workspace", workspace
        )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 3) -> bytes:
    """A PNG with these chunks between its header and its end."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *chunks, chunk(b"IEND", b""))
    return b"".join(parts)


PALETTE = chunk(b"PLTE", bytes(768))
ROWS = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH + 1), dtype=np.uint8)
ROWS[:, 0] = 0  # how each row is filtered
PIXELS = chunk(b"IDAT", zlib.compress(ROWS.tobytes()))
BAD_PNGS = {
    "bomb": png(60_000, 60_000, PALETTE, PIXELS),
    "large": png(10_000, 10_000, PALETTE, PIXELS),
    "endless": png(2**31 - 1, 2**31 - 1, PALETTE, PIXELS),
    "nothing": png(0, 0, PALETTE, PIXELS),
    "no pixels": png(WIDTH, HEIGHT, PALETTE),
    "short": png(WIDTH, HEIGHT, PALETTE, chunk(b"IDAT", PIXELS[8:2000])),
    "no packed data": png(WIDTH, HEIGHT, PALETTE, chunk(b"IDAT", b"\xff" * 99)),
    "broken header": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0\0"),
    "wrong sum": png(WIDTH, HEIGHT, PALETTE[:-1] + b"\0", PIXELS),
    "long text": png(
        WIDTH, HEIGHT, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**27))), PALETTE, PIXELS
    ),
    "wrong depth": png(WIDTH, HEIGHT, PALETTE, PIXELS, depth=7),
    "text": b"no picture at all",
    "empty": b"",
}


@pytest.mark.parametrize("name", BAD_PNGS)
def test_a_png_that_is_broken_or_a_bomb_is_refused_by_name(workspace, tmp_path, name):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "00000.png").write_bytes(BAD_PNGS[name])

    with Workspace.open(workspace) as opened:
        with pytest.raises(StoreError, match=r"00000\.png"):
            palette_png.read(folder / "00000.png")
        with pytest.raises(StoreError, match=r"00000\.png"):
            mask_png.read(folder / "00000.png")
        with pytest.raises(StoreError, match=r"00000\.png"):
            list(ingest_steps(opened, folder))
        assert [clip.id for clip in opened.clips.list()] == [1]
    assert left_in(workspace) == []


@pytest.mark.parametrize(
    "text",
    [b"[" * 200_000, b'{"a":' * 200_000, b"\xff\xfe{}", b"[]", b"NaN", b'{"videos": 9e999}', b""],
)
def test_a_dataset_whose_json_is_deep_or_no_text_is_refused(tmp_path, text):
    (tmp_path / "meta_expressions").mkdir()
    (tmp_path / "meta_expressions" / "meta_expressions.json").write_bytes(text)
    (tmp_path / "meta.json").write_text(json.dumps({"version": 1, "videos": {"a": {}}}))

    with pytest.raises(ref_vps.RefVpsError):
        ref_vps.read(tmp_path)


def cut_in_the_middle(path: Path, codec: str) -> Path:
    """A file of 48 pictures, a whole one every 12, that begins behind its first picture."""
    whole = numbered_video(
        path.with_name(f"whole{path.suffix}"), 48, 108, 192, codec=codec, options={"g": "12"}
    )
    with av.open(str(whole)) as container:
        second = [packet.pos for packet in container.demux(video=0) if packet.size][1]
    data = whole.read_bytes()
    path.write_bytes(data[second // 188 * 188 if path.suffix == ".ts" else second :])
    return path


def numbers(workspace: Path, clip_id: int) -> list[int]:
    files = sorted((workspace / "clips" / str(clip_id) / "frames").iterdir())
    return [frame_number(cv2.imread(str(path))[:, :, ::-1]) for path in files]


def test_a_video_cut_in_the_middle_says_where_its_first_whole_picture_is(workspace, tmp_path):
    path = cut_in_the_middle(tmp_path / "recorded.ts", "libx264")

    said = refused("ingest", path, "--workspace", workspace)

    assert "no whole picture before 0.4" in said or "no whole picture before 0.5" in said
    start = float(said.rsplit("from ", 1)[1].split(" s")[0])
    with Workspace.open(workspace) as opened:
        for _ in ingest_steps(opened, path, trim_s=(start, None)):
            pass
        found = numbers(workspace, 2)
    assert found[:3] == [12, 13, 14]
    assert left_in(workspace) == []


def spoiled(path: Path, place: int) -> Path:
    """A file of 48 pictures whose whole picture number `place` is half gone."""
    whole = numbered_video(
        path.with_name("whole.avi"), 48, 108, 192, codec="mpeg4", options={"g": "12"}
    )
    with av.open(str(whole)) as container:
        keys = [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.is_keyframe]
    data = bytearray(whole.read_bytes())
    begin, size = keys[place]
    data[begin + size // 2 : begin + size] = bytes(size - size // 2)
    path.write_bytes(data)
    return path


def test_a_picture_that_is_half_gone_is_refused_by_its_time(workspace, tmp_path):
    first = refused("ingest", spoiled(tmp_path / "a.avi", 0), "--workspace", workspace)
    later = refused("ingest", spoiled(tmp_path / "b.avi", 2), "--workspace", workspace)

    assert "no whole picture before 0.50 s" in first
    assert "is damaged at 1.0" in later
    with Workspace.open(workspace) as opened:
        assert [clip.id for clip in opened.clips.list()] == [1]
    assert left_in(workspace) == []
