"""Repairs of masks: over a range, as one step of undo, leaving alone what was changed meanwhile."""

from __future__ import annotations

import numpy as np
import pytest

from tests.app.conftest import disc, write_masks


def holed() -> np.ndarray:
    """A disc with a hole of 5 pixels across, and an island far from it."""
    mask = disc(60, 50)
    mask[48:53, 58:63] = False
    mask[3:6, 3:6] = True
    return mask


@pytest.fixture
def ragged(server, target):
    """Frames 1 to 3 hold a mask that wants repair."""
    data = write_masks(*((frame_index, "target", 0, holed()) for frame_index in (1, 2, 3)))
    assert server.ask(f"/api/targets/{target}/masks?kind=stroke", data).status == 200
    return target


def repair(server, target, operation, pixels, first, last):
    wanted = {"operation": operation, "pixels": pixels, "first": first, "last": last}
    return server.ask(f"/api/targets/{target}/repair", wanted)


def test_holes_are_filled_over_a_range_and_undone_in_one_step(server, clip, ragged):
    job = server.job_done(repair(server, ragged, "fill-holes", 0, 2, 10_000_000))

    held = server.masks(ragged)
    assert job["state"] == "done", job
    assert job["result"] == {"frames": 2, "left_alone": 0}
    assert not held["target", 1].mask[50, 60]
    assert held["target", 2].mask[50, 60]
    assert held["target", 3].mask[50, 60]
    server.ask(f"/api/clips/{clip['id']}/undo", {})
    assert all(
        np.array_equal(server.masks(ragged)["target", frame_index].mask, holed())
        for frame_index in (1, 2, 3)
    )


def test_a_repaired_mask_keeps_where_it_came_from(server, ragged):
    server.job_done(repair(server, ragged, "drop-islands", 0, 1, 1))

    held = server.masks(ragged)["target", 1]
    assert held.origin == "stroke"
    assert not held.mask[4, 4]
    assert held.mask[45, 60]


def test_growing_and_shrinking_move_the_border(server, ragged):
    before = holed().sum()
    server.job_done(repair(server, ragged, "grow", 2, 1, 1))
    grown = server.masks(ragged)["target", 1].mask.sum()
    server.job_done(repair(server, ragged, "shrink", 2, 2, 2))
    shrunk = server.masks(ragged)["target", 2].mask.sum()

    assert shrunk < before < grown


@pytest.mark.parametrize(
    ("operation", "pixels", "first", "last", "sentence"),
    [
        ("polish", 1, 0, 3, "operation"),
        ("grow", 0, 0, 3, "at least one pixel"),
        ("grow", 101, 0, 3, "pixels"),
        ("fill-holes", 0, 5, 8, "no mask from frame 5 to 8"),
    ],
)
def test_a_repair_that_makes_no_sense_is_refused(
    server, ragged, operation, pixels, first, last, sentence
):
    reply = repair(server, ragged, operation, pixels, first, last)

    assert reply.status in (400, 422)
    assert sentence in reply.json()["error"]
