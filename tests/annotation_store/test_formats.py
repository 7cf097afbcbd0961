"""What each file format writes, it reads back."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from annotation_store.formats import mask_png, overlay_video, palette_png, ref_vps
from annotation_store.formats.ref_vps import (
    RefClip,
    RefExpression,
    RefSource,
    RefTarget,
    RefVpsError,
    folder_names,
)
from annotation_store.picture_file import PictureError
from tests.media_fixtures import numbered_picture

HEIGHT, WIDTH = 37, 61


def disc(x, y, radius=9):
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    return (yy - y) ** 2 + (xx - x) ** 2 <= radius**2


def test_an_annotation_image_keeps_its_numbers_and_its_colours(tmp_path):
    index = palette_png.compose(
        (HEIGHT, WIDTH), [(1, disc(20, 15)), (254, disc(45, 20))], disc(30, 30, 4)
    )
    path = tmp_path / "00000.png"
    path.write_bytes(palette_png.encode(index))

    assert np.array_equal(palette_png.read(path), index)
    assert set(np.unique(index)) == {0, 1, 254, 255}
    with Image.open(path) as picture:
        assert picture.mode == "P"
        colours = np.asarray(picture.convert("RGB"))
    assert tuple(colours[15, 20]) == palette_png.target_colour(1)
    assert tuple(colours[30, 30]) == palette_png.IGNORE_COLOUR
    assert tuple(colours[0, 0]) == (0, 0, 0)


def test_the_lower_number_wins_and_ignore_wins_over_both():
    first, second, ignore = disc(20, 15), disc(28, 15), disc(24, 15, 3)

    index = palette_png.compose((HEIGHT, WIDTH), [(2, second), (1, first)], ignore)

    assert np.array_equal(index == 255, ignore)
    assert np.array_equal(index == 1, first & ~ignore)
    assert np.array_equal(index == 2, second & ~first & ~ignore)


def test_a_mask_of_another_size_or_an_impossible_number_is_refused():
    with pytest.raises(ValueError, match="37 rows and 61 columns"):
        palette_png.compose((HEIGHT, WIDTH), [(1, disc(20, 15).T)], None)
    for number in (0, 255):
        with pytest.raises(ValueError, match="from 1 to 254"):
            palette_png.compose((HEIGHT, WIDTH), [(number, disc(20, 15))], None)


def test_an_annotation_image_turned_into_colours_is_refused(tmp_path):
    path = tmp_path / "00000.png"
    cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8))
    damaged = tmp_path / "00001.png"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\n broken")

    with pytest.raises(palette_png.PaletteImageError, match="holds colours"):
        palette_png.read(path)
    for missing in (damaged, tmp_path / "00002.png"):
        with pytest.raises(PictureError, match=rf"“{missing.name}” is (damaged|no file)"):
            palette_png.read(missing)


@pytest.mark.parametrize("mask", [disc(20, 15), np.zeros((HEIGHT, WIDTH), bool)])
def test_a_plain_mask_reads_back(tmp_path, mask):
    path = tmp_path / "mask.png"
    path.write_bytes(mask_png.encode(mask))

    assert np.array_equal(mask_png.read(path), mask)
    assert set(np.unique(np.asarray(Image.open(path)))) <= {0, 255}


def test_a_picture_is_no_plain_mask(tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(
        np.arange(HEIGHT * WIDTH, dtype=np.uint16).astype(np.uint8).reshape(HEIGHT, WIDTH)
    ).save(path)

    with pytest.raises(mask_png.MaskImageError, match="several values"):
        mask_png.read(path)


def test_an_overlay_of_odd_size_plays_to_its_end(tmp_path):
    path = tmp_path / "clip.mp4"
    index = palette_png.compose((HEIGHT, WIDTH), [(1, disc(20, 15))], disc(45, 20))

    with overlay_video.OverlayWriter(path, (HEIGHT, WIDTH), 24) as writer:
        for number in range(9):
            writer.write(overlay_video.draw(numbered_picture(number, HEIGHT, WIDTH), index))
        with pytest.raises(ValueError, match="expected a frame"):
            writer.write(numbered_picture(0, WIDTH, HEIGHT))

    assert list(overlay_video.decoded_sizes(path)) == [(HEIGHT + 1, WIDTH + 1)] * 9


def test_an_overlay_fills_outlines_and_hatches():
    grey = np.full((HEIGHT, WIDTH, 3), 100, dtype=np.uint8)
    index = palette_png.compose((HEIGHT, WIDTH), [(1, disc(18, 18, 12))], disc(45, 18, 12))

    drawn = overlay_video.draw(grey, index)

    assert tuple(drawn[0, 0]) == (100, 100, 100)
    assert tuple(drawn[18, 7]) == palette_png.target_colour(1)  # its edge
    assert drawn[18, 18, 0] > drawn[18, 18, 1]  # pinkish inside
    hatched = (drawn[12:24, 39:51] == palette_png.IGNORE_COLOUR).all(axis=2).mean()
    assert 0.15 < hatched < 0.4
    assert tuple(grey[18, 18]) == (100, 100, 100)


def test_a_damaged_overlay_is_refused(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no video")

    with pytest.raises(overlay_video.OverlayVideoError, match="cannot be read back"):
        list(overlay_video.decoded_sizes(path))


CLIPS = (
    RefClip(
        folder="candle-melting",
        name="Candle “melting”",
        concept="candle melting",
        category="temporal object changes",
        width=WIDTH,
        height=HEIGHT,
        frame_count=10,
        mask_step=4,
        source=RefSource(
            "candle.mp4", "ab" * 32, (1.5, None), (2, 3, WIDTH, HEIGHT), 90, (1.5, 1.54)
        ),
        targets=(RefTarget(1, "candle", (0, 4), (0,)), RefTarget(2, "flame", (4, 8))),
        expressions=(
            RefExpression("the wax that runs down", 1, "Ada"),
            RefExpression("ロウソクの炎", 2, "Grace"),
            RefExpression("the flame", 2, "Ada"),
        ),
    ),
    RefClip("smoke", "smoke", "", "", 16, 16, 3, 1, RefSource("frames", "cd" * 32)),
)


def test_a_dataset_reads_back_as_it_was_written(tmp_path):
    root = tmp_path / "dataset"
    ref_vps.write_meta(root, CLIPS)

    dataset = ref_vps.read(root)

    assert dataset.clips == CLIPS
    assert list(dataset.clips[0].annotated) == [0, 4, 8]
    assert dataset.clips[0].annotators == ("Ada", "Grace")


def test_the_expressions_file_is_what_loaders_of_ref_youtube_vos_read(tmp_path):
    ref_vps.write_meta(tmp_path / "dataset", CLIPS)

    path = tmp_path / "dataset" / "meta_expressions" / "meta_expressions.json"
    video = json.loads(path.read_text(encoding="utf-8"))["videos"]["candle-melting"]
    meta = json.loads((tmp_path / "dataset" / "meta.json").read_text(encoding="utf-8"))

    assert video["frames"] == [f"{n:05d}" for n in range(10)]
    assert video["annotated_frames"] == ["00000", "00004", "00008"]
    assert (video["fps"], video["annotation_fps"]) == (24, 6)
    assert video["expressions"]["1"] == {
        "exp": "ロウソクの炎",
        "obj_id": "2",
        "annotator": "Grace",
    }
    described = meta["videos"]["candle-melting"]
    assert described["objects"]["2"]["category"] == "candle melting"
    assert described["objects"]["2"]["frames"] == ["00004", "00008"]
    assert described["annotators"] == ["Ada", "Grace"]
    assert described["source"]["sha256"] == "ab" * 32
    assert described["trim"] == [1.5, None]
    assert meta["ignore_index"] == 255
    assert "lower target number" in meta["overlap_rule"]


def test_an_annotation_that_does_not_fit_the_dataset_is_refused(tmp_path):
    ref_vps.write_meta(tmp_path / "dataset", CLIPS)
    dataset = ref_vps.read(tmp_path / "dataset")
    clip = dataset.clips[0]
    path = dataset.annotation_path(clip, 4)
    path.parent.mkdir(parents=True)

    path.write_bytes(palette_png.encode(np.full((HEIGHT, WIDTH), 3, dtype=np.uint8)))
    with pytest.raises(RefVpsError, match=r"values \[3\]"):
        dataset.annotation(clip, 4)
    path.write_bytes(palette_png.encode(np.zeros((WIDTH, HEIGHT), dtype=np.uint8)))
    with pytest.raises(RefVpsError, match="is 37x61; expected 61x37"):
        dataset.annotation(clip, 4)


def test_a_folder_that_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(RefVpsError, match=r"meta_expressions\.json” of the dataset is missing"):
        ref_vps.read(tmp_path)

    root = tmp_path / "dataset"
    ref_vps.write_meta(root, CLIPS)
    meta = json.loads((root / "meta.json").read_text(encoding="utf-8"))
    del meta["videos"]["smoke"]["width"]
    (root / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    with pytest.raises(RefVpsError, match="misses something"):
        ref_vps.read(root)

    meta["version"] = 99
    (root / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    with pytest.raises(RefVpsError, match="version 99"):
        ref_vps.read(root)


def test_a_dataset_cannot_point_outside_itself(tmp_path):
    root = tmp_path / "dataset"
    ref_vps.write_meta(root, CLIPS)
    for path in (root / "meta.json", root / "meta_expressions" / "meta_expressions.json"):
        path.write_text(path.read_text(encoding="utf-8").replace('"smoke"', '"../smoke"'))

    with pytest.raises(RefVpsError, match="no name of a folder"):
        ref_vps.read(root)


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["a/b", "a\\b", "../a"], ["a-b", "a-b_2", "a"]),
        (["Ölkanne 3", "é"], ["Olkanne-3", "e"]),
        (["蝋燭", "炎"], ["clip", "clip_2"]),
        (["CON", "com1.mp4"], ["clip_CON", "clip_com1.mp4"]),
        ([".hidden.", "x" * 200], ["hidden", "x" * 80]),
        (["a", "a_2", "a"], ["a", "a_2", "a_3"]),
    ],
)
def test_folder_names_are_safe_and_unique(names, folders):
    assert folder_names(names) == folders
