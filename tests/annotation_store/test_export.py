"""An export holds what the store holds, whole, or does not exist."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
from sqlalchemy import event

from annotation_store.edits import MaskChange
from annotation_store.errors import ExportError, NotFoundError
from annotation_store.export import ExportOptions, export, export_steps, main
from annotation_store.formats import mask_png, overlay_video, palette_png, ref_vps
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from tests.conftest import REPOSITORY
from tests.media_fixtures import ingested, numbered_video

HEIGHT, WIDTH = 53, 95
SIZE = (HEIGHT, WIDTH)
FRAMES = 10
EVERYTHING = ExportOptions(4, frozenset({"ref-vps", "masks", "overlay"}))


def disc(x, y, radius=9):
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    return (yy - y) ** 2 + (xx - x) ** 2 <= radius**2


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "workspace") as opened:
        yield opened


def make_clip(workspace, tmp_path, name="candle melting"):
    """A clip of two targets: the first on frames 0 to 5, empty on 8; the second on 4 to 9."""
    video = tmp_path / f"{name.replace('/', '')}.mp4"
    numbered_video(video, FRAMES + 6, HEIGHT, WIDTH, pixel_format="yuv444p")
    clip = ingested(
        workspace, video, name=name, trim_s=(0.25, 0.25 + FRAMES / 24), allow_duplicate=True
    )
    workspace.clips.update(clip.id, concept="candle melting", category="temporal object changes")
    wax = workspace.targets.add(clip.id, "wax")
    flame = workspace.targets.add(clip.id, "flame")
    workspace.expressions.add(wax.id, "the wax that runs down", "Ada")
    workspace.expressions.add(flame.id, "what melts it", "Grace")
    for frame_index in range(6):
        apply(workspace, wax, "target", frame_index, disc(30 + frame_index, 25))
    apply(workspace, wax, "target", 8, np.zeros(SIZE, bool), verified=True)
    for frame_index in range(4, 10):
        apply(workspace, flame, "target", frame_index, disc(44, 25 + frame_index))
    apply(workspace, wax, "ignore", 4, disc(38, 25, 4))
    return clip, wax, flame


def apply(workspace, target, layer, frame_index, mask, verified=False):
    seen = workspace.masks.load(target.id, layer, frame_index).version
    change = MaskChange(layer, frame_index, MaskRuns.encode(mask), seen, verified=verified)
    workspace.edits.apply(target.id, "stroke", "Ada", [change])


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_dataset_holds_what_the_store_holds(workspace, tmp_path):
    clip, _, _ = make_clip(workspace, tmp_path)
    root = tmp_path / "dataset"

    report = export(workspace, [clip.id], root, ExportOptions(1))

    assert report.folder == root
    assert (report.clips, report.frames, report.checked) == (1, FRAMES, True)
    assert report.files == len([path for path in root.rglob("*") if path.is_file()])
    assert report.files == 2 * FRAMES + 2
    dataset = ref_vps.read(root)
    (exported,) = dataset.clips
    assert (exported.folder, exported.name) == ("candle-melting", "candle melting")
    for frame_index in range(FRAMES):
        jpeg = dataset.frame_path(exported, frame_index).read_bytes()
        assert jpeg == workspace.frames.path(clip.id, frame_index).read_bytes()
        wax = disc(30 + frame_index, 25) if frame_index < 6 else np.zeros(SIZE, bool)
        flame = disc(44, 25 + frame_index) if frame_index >= 4 else np.zeros(SIZE, bool)
        ignore = disc(38, 25, 4) if frame_index == 4 else np.zeros(SIZE, bool)
        index = dataset.annotation(exported, frame_index)
        assert np.array_equal(index == 255, ignore)
        assert np.array_equal(index == 1, wax & ~ignore)
        assert np.array_equal(index == 2, flame & ~wax & ~ignore)
    assert [one.text for one in exported.expressions] == ["the wax that runs down", "what melts it"]
    assert [one.target for one in exported.expressions] == [1, 2]
    assert exported.annotators == ("Ada", "Grace")
    assert exported.targets[0].masked == (0, 1, 2, 3, 4, 5, 8)
    assert exported.targets[0].verified == (8,)
    assert exported.source.sha256 == clip.source_sha256
    assert exported.source.trim_s == (clip.trim_start_s, clip.trim_end_s)
    assert len(exported.source.times_s) == FRAMES


def test_every_fourth_frame_has_masks_and_every_frame_a_picture(workspace, tmp_path):
    clip, _, _ = make_clip(workspace, tmp_path)
    root = tmp_path / "dataset"

    report = export(workspace, [clip.id], root, EVERYTHING)

    every_fourth = ["00000.png", "00004.png", "00008.png"]
    assert report.frames == 3
    assert entries(root) == [
        "Annotations",
        "JPEGImages",
        "Masks",
        "Overlays",
        "meta.json",
        "meta_expressions",
    ]
    assert len(entries(root / "JPEGImages" / "candle-melting")) == FRAMES
    assert entries(root / "Annotations" / "candle-melting") == every_fourth
    masks = root / "Masks" / "candle-melting"
    assert entries(masks) == ["1", "2", "ignore"]
    assert entries(masks / "1") == entries(masks / "2") == every_fourth
    assert entries(masks / "ignore") == ["1"]
    assert entries(masks / "ignore" / "1") == every_fourth
    # Plain masks keep what overlaps and what Ignore covers.
    assert np.array_equal(mask_png.read(masks / "1" / "00004.png"), disc(34, 25))
    assert np.array_equal(mask_png.read(masks / "2" / "00004.png"), disc(44, 29))
    assert np.array_equal(mask_png.read(masks / "ignore" / "1" / "00004.png"), disc(38, 25, 4))
    assert not mask_png.read(masks / "2" / "00000.png").any()
    video = root / "Overlays" / "candle-melting.mp4"
    assert list(overlay_video.decoded_sizes(video)) == [(HEIGHT + 1, WIDTH + 1)] * FRAMES
    meta = json.loads((root / "meta_expressions" / "meta_expressions.json").read_text())
    assert meta["videos"]["candle-melting"]["annotation_fps"] == 6


def test_clips_of_one_name_get_folders_of_their_own(workspace, tmp_path):
    first, _, _ = make_clip(workspace, tmp_path, "smoke / fog")
    second, _, _ = make_clip(workspace, tmp_path, "smoke / fog")

    export(workspace, [first.id, second.id], tmp_path / "dataset", ExportOptions(4))

    assert entries(tmp_path / "dataset" / "JPEGImages") == ["smoke-fog", "smoke-fog_2"]


def test_progress_runs_to_its_total_over_writing_and_checking(workspace, tmp_path):
    clip, _, _ = make_clip(workspace, tmp_path)

    seen = list(export_steps(workspace, [clip.id], tmp_path / "dataset", EVERYTHING))

    assert [done for done, _, _ in seen] == list(range(1, len(seen) + 1))
    assert {total for _, total, _ in seen} == {len(seen)}
    assert {what for _, _, what in seen} == {
        "Writing candle melting",
        "Reading candle melting back",
    }


def test_what_is_edited_meanwhile_does_not_tear_the_export(workspace, tmp_path):
    clip, wax, _ = make_clip(workspace, tmp_path)
    steps = export_steps(workspace, [clip.id], tmp_path / "dataset", ExportOptions(1))
    next(steps)
    apply(workspace, wax, "target", 5, disc(70, 25))

    for _ in steps:
        pass

    dataset = ref_vps.read(tmp_path / "dataset")
    assert np.array_equal(dataset.annotation(dataset.clips[0], 5) == 1, disc(35, 25))


def test_nothing_to_export_is_refused(workspace, tmp_path):
    video = numbered_video(tmp_path / "bare.mp4", 3, 54, 96)
    bare = ingested(workspace, video)
    workspace.targets.add(bare.id, "wax")
    clip, _, _ = make_clip(workspace, tmp_path)
    root = tmp_path / "dataset"

    with pytest.raises(ExportError, match="“bare” has no mask"):
        export(workspace, [clip.id, bare.id], root)
    with pytest.raises(ExportError, match="No clip was chosen"):
        export(workspace, [], root)
    with pytest.raises(NotFoundError):
        export(workspace, [999], root)
    with pytest.raises(ExportError, match="every 4th"):
        export(workspace, [clip.id], root, ExportOptions(3))
    with pytest.raises(ExportError, match="Choose one or more"):
        export(workspace, [clip.id], root, ExportOptions(1, frozenset()))
    assert not root.exists()


def to_its_end(steps):
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value


def test_a_folder_that_exists_is_not_touched(workspace, tmp_path):
    clip, _, _ = make_clip(workspace, tmp_path)
    root = tmp_path / "dataset"
    root.mkdir()
    (root / "mine.txt").write_text("mine")

    report = export(workspace, [clip.id], root)

    assert entries(root) == ["mine.txt"]
    assert report.folder == tmp_path / "dataset_2"
    assert (report.folder / "meta.json").exists()


def test_two_exports_of_one_name_at_once_both_become_folders(workspace, tmp_path):
    clip, _, _ = make_clip(workspace, tmp_path)
    wanted = [clip.id], tmp_path / "dataset", ExportOptions(4)
    first, second = export_steps(workspace, *wanted), export_steps(workspace, *wanted)
    next(first)
    next(second)

    reports = [to_its_end(second), to_its_end(first)]

    assert [report.folder.name for report in reports] == ["dataset", "dataset_2"]
    assert entries(reports[0].folder) == entries(reports[1].folder)


def test_an_export_is_of_one_moment_though_others_work_on_meanwhile(workspace, tmp_path):
    clip, wax, _ = make_clip(workspace, tmp_path)
    with Workspace.open(workspace.folder) as others:

        def meanwhile(_connection, _cursor, statement, *_more):
            """A new target, its expression and an edit, between the export's own questions."""
            if "FROM target" in statement and len(others.targets.list(clip.id)) == 2:
                smoke = others.targets.add(clip.id, "smoke")
                others.expressions.add(smoke.id, "what rises", "Grace")
                apply(others, smoke, "target", 0, disc(30, 25))
                apply(others, wax, "target", 9, disc(30, 25))

        event.listen(workspace._database.engine, "after_cursor_execute", meanwhile)
        report = export(workspace, [clip.id], tmp_path / "dataset", ExportOptions(1))

    (exported,) = ref_vps.read(report.folder).clips
    assert len(workspace.targets.list(clip.id)) == 3
    assert [target.name for target in exported.targets] == ["wax", "flame"]
    assert [one.text for one in exported.expressions] == ["the wax that runs down", "what melts it"]
    assert exported.targets[0].masked == (0, 1, 2, 3, 4, 5, 8)


def test_an_export_closed_midway_leaves_nothing(workspace, tmp_path):
    clip, _, _ = make_clip(workspace, tmp_path)
    exports = tmp_path / "exports"

    for stop_after in (1, FRAMES + 4, FRAMES + 3 + 5, 30):
        steps = export_steps(workspace, [clip.id], exports / "dataset", EVERYTHING)
        for _ in range(stop_after):
            next(steps)
        assert entries(exports) != []
        steps.close()

        assert entries(exports) == []


@pytest.mark.parametrize("written", ["ref-vps", "masks", "overlay"])
def test_a_disk_that_fills_up_leaves_nothing(workspace, tmp_path, written):
    clip, _, _ = make_clip(workspace, tmp_path)
    exports = tmp_path / "exports"
    exports.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Every file ends after 100 bytes: a real refusal of the system.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(ExportError, match="is full; nothing of the export was kept"):
            export(
                workspace, [clip.id], exports / "dataset", ExportOptions(4, frozenset({written}))
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert entries(exports) == []


def test_a_disk_full_while_the_last_files_are_written_leaves_nothing(workspace, tmp_path):
    clip, _, _ = make_clip(workspace, tmp_path)
    exports = tmp_path / "exports"
    steps = export_steps(workspace, [clip.id], exports / "dataset", ExportOptions(4))
    for _ in range(FRAMES):
        next(steps)  # the pictures are there; what tells of them is not

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(ExportError, match="is full"):
            next(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert entries(exports) == []


def damage(path):
    if path.suffix == ".png":
        grey = path.parts[-4] == "Masks"
        empty = (
            mask_png.encode(np.zeros(SIZE, bool))
            if grey
            else palette_png.encode(np.zeros(SIZE, np.uint8))
        )
        path.write_bytes(empty)
    elif path.suffix == ".json":
        path.write_text(path.read_text().replace("wax", "max"))
    elif path.suffix == ".txt":
        path.write_text("x")
    else:
        path.write_bytes(path.read_bytes()[:-700])


@pytest.mark.parametrize(
    "damaged",
    [
        "Annotations/candle-melting/00004.png",
        "JPEGImages/candle-melting/00009.jpg",
        "Masks/candle-melting/2/00008.png",
        "Overlays/candle-melting.mp4",
        "meta.json",
        "elsewhere.txt",
    ],
)
def test_a_file_that_does_not_read_back_is_found_out(workspace, tmp_path, damaged):
    clip, _, _ = make_clip(workspace, tmp_path)
    exports = tmp_path / "exports"
    steps = export_steps(workspace, [clip.id], exports / "dataset", EVERYTHING)

    while not next(steps)[2].startswith("Reading"):
        pass
    (aside,) = exports.glob("*.partial")
    damage(aside / damaged)

    with pytest.raises(ExportError, match=r"[Nn]othing of (it|the export) was kept"):
        list(steps)

    assert entries(exports) == []


def test_a_process_killed_in_the_middle_leaves_no_dataset(workspace, tmp_path):
    clip, _, _ = make_clip(workspace, tmp_path)
    exports = tmp_path / "exports"
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from annotation_store.export import export_steps\n"
        "from annotation_store.workspace import Workspace\n"
        "with Workspace.open(Path(sys.argv[1])) as workspace:\n"
        "    for done, *_ in export_steps(workspace, [int(sys.argv[3])], Path(sys.argv[2])):\n"
        "        if done == 15:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", program, str(workspace.folder)]

    finished = subprocess.run(
        [*command, str(exports / "dataset"), str(clip.id)], cwd=REPOSITORY, check=False
    )

    assert finished.returncode == -signal.SIGKILL
    assert not (exports / "dataset").exists()
    export(workspace, [clip.id], exports / "dataset")
    assert ref_vps.read(exports / "dataset").clips[0].frame_count == FRAMES


def test_the_command_line_exports_every_clip(workspace, tmp_path, capsys):
    make_clip(workspace, tmp_path)
    folder = str(workspace.folder)
    root = tmp_path / "dataset"

    arguments = [str(root), "--workspace", folder, "--mask-step", "4", "--format", "masks"]

    assert main(arguments) == 0
    assert "1 clips, 3 annotated frames, 9 files, read back and compared" in capsys.readouterr().out
    assert entries(root) == ["Masks"]
    assert main(arguments) == 1
    assert "exists already" in capsys.readouterr().err
