"""Folders of pictures: order, size, and what is taken as it is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from annotation_store.errors import IngestError
from annotation_store.frame_folder import (
    list_pictures,
    measure,
    read_image,
    read_whole,
    require_one_size,
)
from annotation_store.picture_file import PictureError
from tests.media_fixtures import frame_number, is_upright, numbered_picture, write_frames


def test_pictures_come_in_the_order_people_number_them(tmp_path):
    folder = write_frames(tmp_path / "melting", 12)
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / "._frame1.jpg").write_bytes(b"x")

    pictures = list_pictures(folder)

    assert [path.name for path in pictures] == [f"frame{n}.jpg" for n in range(1, 13)]
    shown = [frame_number(read_image(measure(path))) for path in pictures]
    assert shown == list(range(12))


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")

    with pytest.raises(IngestError, match="holds no pictures"):
        list_pictures(tmp_path)
    with pytest.raises(IngestError, match="no folder"):
        list_pictures(tmp_path / "missing")
    with pytest.raises(IngestError, match=r"notes\.txt.*is not a frame"):
        list_pictures([tmp_path / "notes.txt"])
    with pytest.raises(IngestError, match="No frames were given"):
        list_pictures([])


def test_pictures_of_two_sizes_are_refused_by_name(tmp_path):
    folder = write_frames(tmp_path / "mixed", 2, 54, 96)
    cv2.imwrite(str(folder / "frame3.jpg"), numbered_picture(2, 96, 54))

    with pytest.raises(IngestError, match=r"frame1\.jpg” is 96x54, but “frame3\.jpg” is 54x96"):
        require_one_size(measure(path) for path in list_pictures(folder))


def test_a_plain_jpeg_is_taken_as_it_is(tmp_path):
    path = write_frames(tmp_path / "plain", 1) / "frame1.jpg"

    picture = measure(path)

    assert picture.as_is
    assert read_whole(picture) == path.read_bytes()


def test_a_jpeg_with_an_orientation_note_comes_upright(tmp_path):
    lying = np.ascontiguousarray(np.rot90(numbered_picture(5, 54, 96)))  # against the clock
    exif = Image.Exif()
    exif[0x0112] = 6  # turn 90 degrees clockwise to show
    path = tmp_path / "phone.jpg"
    Image.fromarray(lying).save(path, exif=exif, quality=95)

    picture = measure(path)
    image = read_image(picture)[:, :, ::-1]

    assert not picture.as_is
    assert (picture.width, picture.height) == (96, 54)
    assert image.shape == (54, 96, 3)
    assert frame_number(image) == 5
    assert is_upright(image)


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "I;16"])
def test_png_of_any_kind_becomes_three_channels_of_eight_bits(tmp_path, mode):
    grey = np.zeros((54, 96), dtype=np.uint8)
    grey[:, 48:] = 200
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 256)
    else:
        image = Image.fromarray(grey).convert("RGB").convert(mode)
    image.save(tmp_path / "frame.png")

    decoded = read_image(measure(tmp_path / "frame.png"))

    assert decoded.shape == (54, 96, 3)
    assert decoded.dtype == np.uint8
    assert decoded[30, 20].max() < 8
    assert decoded[30, 70].min() > 190


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_cut_short_is_refused_by_name(tmp_path, suffix):
    path = write_frames(tmp_path / "cut", 1, 240, 320, suffix) / f"frame1{suffix}"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    empty = tmp_path / f"empty{suffix}"
    empty.touch()

    with pytest.raises(PictureError, match=r"frame1.* is damaged"):
        read_image(measure(path))
    with pytest.raises(PictureError, match=r"empty.* is damaged"):
        measure(empty)
