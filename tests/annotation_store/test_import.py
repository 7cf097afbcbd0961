"""Masks made elsewhere become masks of a target."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from annotation_store import runs
from annotation_store.edits import MaskChange
from annotation_store.errors import StoreError
from annotation_store.formats import mask_png, palette_png
from annotation_store.import_ import (
    MaskImportError,
    import_run_steps,
    import_steps,
    main,
    numbered_files,
)
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from tests.media_fixtures import ingested, numbered_video

HEIGHT, WIDTH = 54, 96
FRAMES = 10


def disc(x, y, radius=9):
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    return (yy - y) ** 2 + (xx - x) ** 2 <= radius**2


@pytest.fixture
def workspace(tmp_path):
    with Workspace.open(tmp_path / "workspace") as opened:
        yield opened


@pytest.fixture
def target(workspace, tmp_path):
    video = numbered_video(tmp_path / "candle.mp4", FRAMES, HEIGHT, WIDTH)
    return workspace.targets.add(ingested(workspace, video).id, "wax")


def import_all(workspace, target, folder, **options):
    steps = import_steps(workspace, target.id, folder, "Ada", **options)
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value


def stored(workspace, target, frame_index, layer="target"):
    return workspace.masks.load(target.id, layer, frame_index)


def write_plain(folder, masks):
    folder.mkdir()
    for frame_index, mask in masks.items():
        (folder / f"{frame_index:05d}.png").write_bytes(mask_png.encode(mask))
    return folder


def test_a_dataset_s_annotations_become_masks_and_ignore(workspace, target, tmp_path):
    folder = tmp_path / "Annotations"
    folder.mkdir()
    for frame_index in (0, 4, 8):
        index = palette_png.compose(
            (HEIGHT, WIDTH),
            [(1, disc(30 + frame_index, 25)), (2, disc(70, 25))],
            disc(30, 25, 3) if frame_index == 4 else None,
        )
        (folder / f"{frame_index:05d}.png").write_bytes(palette_png.encode(index))

    report = import_all(workspace, target, folder)

    assert report.frames == 3
    for frame_index in (0, 4, 8):
        ignore = disc(30, 25, 3) if frame_index == 4 else np.zeros((HEIGHT, WIDTH), bool)
        mask = stored(workspace, target, frame_index)
        assert mask.origin == "import"
        expected = disc(30 + frame_index, 25) & ~ignore
        assert np.array_equal(mask.decode((HEIGHT, WIDTH)), expected)
    assert stored(workspace, target, 4, "ignore").rle is not None
    assert stored(workspace, target, 0, "ignore").rle is None
    assert stored(workspace, target, 1).rle is None


def test_another_number_can_be_chosen(workspace, target, tmp_path):
    folder = tmp_path / "Annotations"
    folder.mkdir()
    index = palette_png.compose((HEIGHT, WIDTH), [(7, disc(70, 25))], None)
    (folder / "00003.png").write_bytes(palette_png.encode(index))

    import_all(workspace, target, folder, value=7)

    assert np.array_equal(stored(workspace, target, 3).decode((HEIGHT, WIDTH)), disc(70, 25))


def test_an_import_is_one_edit_that_undo_takes_back(workspace, target, tmp_path):
    before = disc(60, 25)
    change = MaskChange("target", 2, MaskRuns.encode(before), 0)
    workspace.edits.apply(target.id, "stroke", "Ada", [change])
    masks = {n: disc(30 + n, 25) for n in range(FRAMES)}

    import_all(workspace, target, write_plain(tmp_path / "masks", masks))
    assert np.array_equal(stored(workspace, target, 2).decode((HEIGHT, WIDTH)), disc(32, 25))
    reverted = workspace.edits.undo(target.clip_id, "Ada")

    assert reverted.kind == "import"
    assert len(reverted.changed) == FRAMES
    assert np.array_equal(stored(workspace, target, 2).decode((HEIGHT, WIDTH)), before)
    assert stored(workspace, target, 5).rle is None


@pytest.mark.parametrize(
    ("names", "frame_count", "expected"),
    [
        (["m1.png", "m10.png", "m2.png"], 3, {0: "m1.png", 1: "m2.png", 2: "m10.png"}),
        (["00004.png", "00000.png"], 9, {0: "00000.png", 4: "00004.png"}),
        (["clip2_0007.png"], 9, {7: "clip2_0007.png"}),
    ],
)
def test_files_find_their_frames(tmp_path, names, frame_count, expected):
    for name in names:
        (tmp_path / name).touch()

    found = numbered_files(tmp_path, frame_count)

    assert {frame_index: path.name for frame_index, path in found} == expected


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "holds no PNG files"),
        (["wax.png", "00001.png"], "has no number"),
        (["00010.png"], r"beyond the clip's last frame, 9"),
        (["a_3.png", "b_3.png"], "are both of frame 3"),
    ],
)
def test_files_that_fit_no_frame_are_refused(tmp_path, names, sentence):
    for name in names:
        (tmp_path / name).touch()

    with pytest.raises(MaskImportError, match=sentence):
        numbered_files(tmp_path, FRAMES)


def test_one_bad_file_changes_nothing(workspace, target, tmp_path):
    folder = write_plain(tmp_path / "masks", {n: disc(30 + n, 25) for n in range(5)})
    Image.fromarray(np.zeros((WIDTH, HEIGHT), np.uint8)).save(folder / "00007.png")

    with pytest.raises(MaskImportError, match=r"00007\.png” is 54x96"):
        import_all(workspace, target, folder)

    assert workspace.masks.load_all(target.id) == []
    assert workspace.clips.get(target.clip_id).revision == 0


def test_the_command_line_imports_and_explains(workspace, target, tmp_path, capsys):
    folder = write_plain(tmp_path / "masks", {3: disc(30, 25)})
    arguments = ["--workspace", str(workspace.folder), "--target", str(target.id)]

    assert main([str(folder), *arguments]) == 0
    assert "masks on 1 frames" in capsys.readouterr().out
    assert main([str(tmp_path), *arguments]) == 1
    assert "holds no PNG" in capsys.readouterr().err


def test_masks_become_a_run_to_compare_others_with(workspace, target, tmp_path):
    masks = {frame_index: disc(20 + frame_index, 30) for frame_index in range(FRAMES)}
    folder = write_plain(tmp_path / "results", masks)
    expression = workspace.expressions.add(target.id, "the wax that runs down", "Ada")

    where = ["--workspace", str(workspace.folder), "--run", str(expression.id)]
    code = main([str(folder), *where, "--name", "Cutie"])

    (draft,) = workspace.drafts.list(target.clip_id)
    assert (code, draft.segmenter, draft.state) == (0, "import:Cutie", "done")
    assert (draft.expression_id, draft.frames_done) == (expression.id, FRAMES)
    for frame_index, rle in workspace.drafts.masks(draft.id):
        assert np.array_equal(runs.decode(rle, (HEIGHT, WIDTH)), masks[frame_index])
        with Image.open(workspace.drafts.map_path(draft.id, frame_index)) as soft_map:
            assert np.array_equal(np.array(soft_map) > 127, masks[frame_index])
    assert workspace.masks.load_all(target.id) == [], "the annotation is untouched"


def test_a_run_that_does_not_fit_leaves_nothing(workspace, target, tmp_path):
    folder = write_plain(tmp_path / "results", {0: disc(20, 30), 1: disc(20, 30)[:, :-2]})
    expression = workspace.expressions.add(target.id, "the wax that runs down", "Ada")

    with pytest.raises(MaskImportError, match="94x54"):
        list(import_run_steps(workspace, expression.id, folder, "Cutie"))
    with pytest.raises(StoreError, match="a name for the run"):
        list(import_run_steps(workspace, expression.id, folder, " "))

    steps = import_run_steps(
        workspace, expression.id, write_plain(tmp_path / "whole", {0: disc(20, 30)}), "Cutie"
    )
    next(steps), next(steps)
    steps.close()

    assert workspace.drafts.list(target.clip_id) == []
