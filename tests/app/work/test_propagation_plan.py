"""Which frames a propagation fills when corrections come, go and are overwritten."""

from __future__ import annotations

import pytest

from annotation_store.masks import StoredMask
from app.notices import RefusedError
from app.work.propagation_plan import Propagation, plan_propagation

FRAMES = 10
REFINER = "mobile-sam"


class Target:
    """A target's masks as edits leave them; the bytes of a mask are never looked into."""

    def __init__(self):
        self.shown: dict[int, StoredMask] = {}
        self.makers: dict[int, tuple[int, str]] = {}
        self._edits = 0

    def change(self, frames, origin, rle=b"mask"):
        self._edits += 1
        for frame_index in frames:
            mask = StoredMask(
                0, "target", frame_index, self._edits, rle, origin, False, (), self._edits
            )
            self.shown[frame_index] = mask
            self.makers[frame_index] = (
                self._edits,
                REFINER if origin == "propagation" else "",
            )

    def plan(self, **wanted):
        return plan_propagation(
            self.shown, self.makers, Propagation(frame_index=0, **wanted), FRAMES, REFINER
        )

    def propagate(self, **wanted):
        targets = self.plan(**wanted).targets
        self.change(targets, "propagation")
        return targets


@pytest.fixture
def corrected():
    """Frame 0 clicked and carried on, frame 5 corrected and carried on."""
    target = Target()
    target.change([0], "click")
    assert target.propagate() == list(range(1, 10))
    target.change([5], "stroke")
    assert target.propagate() == [1, 2, 3, 4, 6, 7, 8, 9]
    return target


def test_nothing_is_filled_twice_for_the_same_reason(corrected):
    with pytest.raises(RefusedError, match="up to date"):
        corrected.plan()


def test_what_a_wrong_correction_spoiled_is_filled_again_once_it_is_cleared(corrected):
    corrected.change([5], "clear", rle=None)

    plan = corrected.plan()

    assert plan.targets == list(range(1, 10))
    assert list(plan.anchors) == [0]


def test_what_a_wrong_correction_spoiled_is_filled_again_when_it_is_overwritten(corrected):
    plan = corrected.plan(overwrite=True)

    assert plan.targets == list(range(1, 10))
    assert list(plan.anchors) == [0]


def test_a_cleared_frame_between_anchors_costs_only_what_lies_between_them(corrected):
    corrected.change([8], "stroke")
    corrected.propagate()
    corrected.change([7], "clear", rle=None)

    assert corrected.plan().targets == [6, 7]
