"""Figures counted on run lengths equal those of the pixels; a clip's summary by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from model import comparison, metrics
from model.catalog import DEMO, load_segmenter
from model.segmenter import ModelError
from model.weight_files import file_hash, weight_file

SIZE = (60, 88)


def counts(mask: np.ndarray) -> bytes:
    return coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"]


def some_masks(count: int) -> list[np.ndarray]:
    """Speckled ellipses at random places, some over the frame's edge; an empty and a full one."""
    random = np.random.default_rng(7)
    masks = [np.zeros(SIZE, dtype=bool), np.ones(SIZE, dtype=bool)]
    while len(masks) < count:
        canvas = np.zeros(SIZE, dtype=np.uint8)
        centre = [int(part) for part in random.integers((0, 0), SIZE[::-1])]
        axes = [int(part) for part in random.integers(2, 30, 2)]
        cv2.ellipse(canvas, centre, axes, 30, 0, 360, 1, -1)
        masks.append(canvas.astype(bool) & (random.random(SIZE) > 0.1))
    return masks


def test_j_of_run_lengths_is_that_of_the_pixels():
    masks = some_masks(8)
    for first in masks:
        for second in masks:
            for ignore in (None, masks[0], masks[1], masks[5]):
                packed = None if ignore is None else counts(ignore)
                found = comparison.overlap(counts(first), counts(second), SIZE, packed)

                assert found == metrics.region_similarity(first, second, ignore)


def test_f_looks_at_a_part_of_the_frame_and_still_counts_every_boundary_pixel():
    for first in some_masks(8):
        for second in some_masks(9)[2:]:
            assert metrics.boundary_similarity(first, second) == pytest.approx(
                f_pixel_by_pixel(first, second), abs=1e-12
            )


def f_pixel_by_pixel(first: np.ndarray, second: np.ndarray) -> float:
    """F from the distance between every two boundary pixels of whole frames."""
    edge, other = (np.argwhere(metrics.boundary_of(mask)) for mask in (first, second))
    if not len(edge) and not len(other):
        return 1.0
    if not len(edge) or not len(other):
        return 0.0
    apart = ((edge[:, None] - other[None]) ** 2).sum(axis=2)
    near = apart <= metrics.boundary_pixels(SIZE) ** 2
    precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def test_a_summary_counts_the_frames_that_were_compared():
    summary = comparison.summarise([0.5, None, 1.0, 0.5], [1.0, None, 0.0, 0.5])

    assert summary.frames == 3
    assert summary.mean == comparison.Mean(pytest.approx(2 / 3), 0.5, pytest.approx(7 / 12))
    assert summary.temporal == comparison.Temporal(0.0, pytest.approx(1 / 3))
    assert summary.iou_gap == {1: 0.5, 5: None}


def test_where_nothing_was_compared_there_are_no_figures():
    summary = comparison.summarise([None, None])

    assert (summary.frames, summary.mean, summary.temporal) == (0, None, None)
    assert summary.iou_gap == {1: None, 5: None}


def test_the_hash_known_before_loading_is_that_of_the_loaded_segmenter():
    if not (DEMO / "rem" / "weights.safetensors").is_file():
        pytest.skip("the demo weights are not there")

    assert file_hash(weight_file("rem-demo")) == load_segmenter("rem-demo", "cpu").weights_hash


def test_weights_are_looked_for_where_they_were_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setenv("REFSCRIBE_REM", str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="weights of rem are not here"):
        weight_file("rem")

    (tmp_path / "unet.pth").write_bytes(b"weights")

    assert weight_file("rem", tmp_path) == tmp_path / "unet.pth"
    monkeypatch.setenv("REFSCRIBE_REM", str(tmp_path / "unet.pth"))
    assert weight_file("rem") == tmp_path / "unet.pth"


def test_a_file_that_changes_has_another_hash(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"one")
    before = file_hash(path)
    path.write_bytes(b"another")

    assert file_hash(path) != before
