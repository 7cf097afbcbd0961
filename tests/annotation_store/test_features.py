"""Features kept on disk: to the bit or not at all, within their room, and never in the way."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from annotation_store.features import FeatureStore, features_folder
from annotation_store.frames import clip_folder
from annotation_store.workspace import Workspace
from tests.annotation_store.test_store import add_clip

CLIP, ENGINE = 7, "toy 1.0, bfloat16"
SHAPE = (1, 16, 9, 14)


def features(number: int) -> np.ndarray:
    return np.random.default_rng(number).standard_normal(SHAPE).astype(np.float16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clip_folder(tmp_path, CLIP).mkdir(parents=True)
    return tmp_path


def store(folder: Path, bound_bytes: int = 2**20, **room: int) -> FeatureStore:
    return FeatureStore(folder, bound_bytes, **({"room_left_bytes": 0} | room))


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "cache" / "features").rglob("*") if path.is_file()]


def test_what_is_saved_is_there_after_a_restart_to_the_bit(folder):
    store(folder).save(CLIP, 3, ENGINE, features(3))

    found = store(folder).load(CLIP, 3, ENGINE)

    assert found is not None
    assert found.dtype == np.float16
    assert np.array_equal(found, features(3))


def test_another_frame_clip_or_engine_has_features_of_its_own(folder):
    kept = store(folder)
    kept.save(CLIP, 3, ENGINE, features(3))

    assert kept.load(CLIP, 4, ENGINE) is None
    assert kept.load(CLIP + 1, 3, ENGINE) is None
    assert kept.load(CLIP, 3, "toy 1.0, float32") is None


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty", "no archive", "other content"])
def test_a_damaged_file_counts_as_none_and_is_written_anew(folder, caplog, damage):
    kept = store(folder)
    kept.save(CLIP, 3, ENGINE, features(3))
    (path,) = files(folder)
    whole = bytearray(path.read_bytes())
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    if damage == "other content":
        with path.open("wb") as file:
            np.savez(file, something=features(3))
    else:
        path.write_bytes(
            {"cut short": whole[:-20], "one bit": flipped, "empty": b"", "no archive": b"x" * 99}[
                damage
            ]
        )

    with caplog.at_level(logging.WARNING):
        assert kept.load(CLIP, 3, ENGINE) is None
    assert "computed again" in caplog.text

    kept.save(CLIP, 3, ENGINE, features(3))
    found = kept.load(CLIP, 3, ENGINE)
    assert found is not None
    assert np.array_equal(found, features(3))


def test_of_any_flipped_bit_nothing_is_raised_and_nothing_wrong_is_read(folder, caplog):
    kept = store(folder)
    kept.save(CLIP, 3, ENGINE, features(3)[:, :1, :2, :2])
    (path,) = files(folder)
    whole = path.read_bytes()
    caplog.set_level(logging.ERROR)

    for place in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        found = kept.load(CLIP, 3, ENGINE)
        assert found is None or np.array_equal(found, features(3)[:, :1, :2, :2])


def test_nothing_is_unpickled(folder):
    kept = store(folder)
    kept.save(CLIP, 3, ENGINE, features(3))
    (path,) = files(folder)
    with path.open("wb") as file:
        np.savez(file, features=np.array([{"a": 1}], dtype=object))

    assert kept.load(CLIP, 3, ENGINE) is None


def test_over_their_room_those_not_used_for_longest_go(folder):
    kept = store(folder, bound_bytes=22_000)  # each takes 4.3 kB
    for index in range(5):
        kept.save(CLIP, index, ENGINE, features(index))
        (path,) = [path for path in files(folder) if path.stem == f"{index:05d}"]
        os.utime(path, (1000 + index, 1000 + index))
    assert kept.size_bytes() <= 22_000
    assert kept.load(CLIP, 0, ENGINE) is not None  # used now

    kept.save(CLIP, 5, ENGINE, features(5))

    assert kept.size_bytes() <= 22_000
    assert kept.load(CLIP, 0, ENGINE) is not None
    assert kept.load(CLIP, 1, ENGINE) is None
    assert kept.load(CLIP, 5, ENGINE) is not None


def test_a_smaller_room_is_kept_from_the_next_start_on(folder):
    for index in range(5):
        store(folder).save(CLIP, index, ENGINE, features(index))

    smaller = store(folder, bound_bytes=10_000)
    smaller.save(CLIP, 9, ENGINE, features(9))

    assert smaller.size_bytes() <= 10_000
    assert smaller.load(CLIP, 9, ENGINE) is not None


def test_without_room_nothing_is_kept_or_read(folder):
    store(folder).save(CLIP, 3, ENGINE, features(3))
    none = store(folder, bound_bytes=0)

    none.save(CLIP, 4, ENGINE, features(4))

    assert none.load(CLIP, 3, ENGINE) is None
    assert [path.stem for path in files(folder)] == ["00003"]


def test_the_last_room_on_a_disk_is_left_to_people(folder, caplog):
    full = store(folder, room_left_bytes=2**60)

    with caplog.at_level(logging.WARNING):
        for index in range(3):
            full.save(CLIP, index, ENGINE, features(index))

    assert not files(folder)
    assert full.load(CLIP, 0, ENGINE) is None
    assert caplog.text.count("nearly full") == 1, "said once"


def test_a_folder_that_cannot_be_written_stops_nobody(folder, caplog):
    (folder / "cache").write_text("a file is in the way")

    with caplog.at_level(logging.WARNING):
        store(folder).save(CLIP, 0, ENGINE, features(0))

    assert "not kept on disk" in caplog.text
    assert store(folder).load(CLIP, 0, ENGINE) is None


def test_a_clip_takes_its_features_along(tmp_path):
    with Workspace.open(tmp_path) as workspace:
        clip = add_clip(workspace)
        clip_folder(tmp_path, clip.id).mkdir(parents=True, exist_ok=True)
        kept = store(tmp_path)
        kept.save(clip.id, 0, ENGINE, features(0))
        assert files(tmp_path)

        workspace.clips.remove(clip.id)
        kept.save(clip.id, 1, ENGINE, features(1))  # a propagation that has not heard of it

    assert not files(tmp_path)


def test_what_a_removed_clip_or_a_killed_program_left_goes_at_the_next_start(folder):
    left = features_folder(folder, 99) / "0123" / "00000.npz"
    part = features_folder(folder, CLIP) / "0123" / ".abc.part"
    for path in (left, part):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
        os.utime(path, (1000, 1000))

    store(folder).save(CLIP, 0, ENGINE, features(0))

    assert [path.name for path in files(folder)] == ["00000.npz"]
    assert not left.exists()
