"""Which anchor fills which frame, in what order, and nothing before it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

from model.refiners.propagation import propagate

SIZE = (6, 9)
FRAMES = [np.full((*SIZE, 3), index, dtype=np.uint8) for index in range(10)]
SEEN = np.ones(SIZE, dtype=bool)
GONE = np.zeros(SIZE, dtype=bool)


class Recorder:
    """A chain that notes which frames passed it, in a log shared with its siblings."""

    def __init__(self, anchor: int, log: list[tuple[int, int]]) -> None:
        self.anchor = anchor
        self.log = log

    def step(self, frame_index: int, frame: np.ndarray) -> tuple[np.ndarray, float]:
        self.log.append((self.anchor, frame_index))
        assert frame[0, 0, 0] == frame_index
        return SEEN, 0.5


def recording(log):
    def begin(settled, anchor):
        yield from ()
        settled.mask(anchor, FRAMES[anchor])
        return Recorder(anchor, log)

    return begin


def filled(anchors, targets) -> tuple[list[int], list[tuple[int, int]]]:
    log: list[tuple[int, int]] = []
    found = propagate(FRAMES, anchors, targets=targets, begin=recording(log))
    return [each.frame_index for each in found if each is not None], log


def test_both_ways_from_the_middle_in_the_order_wanted():
    order, log = filled({4: SEEN}, [5, 6, 7, 3, 2])

    assert order == [5, 6, 7, 3, 2]
    assert log == [(4, 5), (4, 6), (4, 7), (4, 3), (4, 2)]


def test_every_step_after_a_chains_first_is_foretold_and_no_other():
    foretold: list[tuple[int, int]] = []
    log: list[tuple[int, int]] = []

    found = propagate(
        FRAMES,
        {1: SEEN, 8: SEEN},
        targets=[2, 6, 4, 0, 9],
        begin=recording(log),
        expect=lambda index, before: foretold.append((index, before)),
    )

    assert sum(each is not None for each in found) == 5
    assert log == [(1, 2), (8, 7), (8, 6), (1, 3), (1, 4), (1, 0), (8, 9)]
    assert foretold == [(3, 2), (6, 7), (4, 3)]


def test_anchors_are_never_yielded():
    order, _ = filled({2: SEEN, 5: SEEN}, range(10))

    assert sorted(order) == [0, 1, 3, 4, 6, 7, 8, 9]


def test_a_gap_is_filled_from_both_sides():
    _, log = filled({1: SEEN, 8: SEEN}, range(2, 8))

    assert sorted(log) == [(1, 2), (1, 3), (1, 4), (8, 5), (8, 6), (8, 7)]


def test_a_frame_without_the_target_is_no_place_to_start():
    _, log = filled({1: SEEN, 5: GONE}, [2, 3, 4])

    assert log == [(1, 2), (1, 3), (1, 4)]


def test_frames_on_the_way_to_a_range_are_passed_but_not_yielded():
    order, log = filled({0: SEEN}, [3, 4])

    assert order == [3, 4]
    assert [frame for _, frame in log] == [1, 2, 3, 4]


def test_closing_stops_the_work_and_each_step_yields_one_frame():
    log: list[tuple[int, int]] = []
    found = propagate(FRAMES, {0: SEEN}, targets=range(1, 10), begin=recording(log))

    first = next(filter(None, found))
    found.close()

    assert first.frame_index == 1
    assert log == [(0, 1)]


def test_frames_on_the_way_are_steps_of_their_own():
    log: list[tuple[int, int]] = []
    found = propagate(FRAMES, {0: SEEN}, targets=[7], begin=recording(log))

    seen = []
    for step in found:
        seen.append((len(log), step and step.frame_index))

    assert seen == [(0, None), *((count, None) for count in range(1, 7)), (7, 7)]


class Asked(Mapping):
    """Masks that note each time one is asked for, as if it were decoded."""

    def __init__(self, masks):
        self.masks = masks
        self.times = Counter()

    def __getitem__(self, index):
        self.times[index] += 1
        return self.masks[index]

    def __iter__(self):
        return iter(self.masks)

    def __len__(self):
        return len(self.masks)

    def __contains__(self, index):
        return index in self.masks


class Read(list):
    """Frames that note which of them were read."""

    def __init__(self, frames):
        super().__init__(frames)
        self.reads = []

    def __getitem__(self, index):
        self.reads.append(index)
        return super().__getitem__(index)


def test_the_first_step_looks_at_no_more_than_it_needs():
    frames, anchors = Read(FRAMES * 100), Asked(dict.fromkeys(range(0, 1000, 4), SEEN))
    targets = [index for index in range(1000) if index % 4]
    log: list[tuple[int, int]] = []

    next(propagate(frames, anchors, targets=targets, begin=recording(log)))

    assert set(anchors.times) <= {0, 4}
    assert len(frames.reads) <= 1


def test_masks_are_asked_for_a_few_times_each_however_many_there_are():
    anchors = Asked({index: GONE if index % 20 == 0 else SEEN for index in range(0, 1000, 4)})
    targets = [index for index in range(1000) if index % 4]
    frames = [np.zeros((*SIZE, 3), dtype=np.uint8)] * 1000

    def begin(settled, anchor):
        yield
        settled.mask(anchor, frames[anchor])
        for other in settled.beside(anchor):
            yield
            settled.mask(other, frames[other])
        return Passing()

    found = propagate(frames, anchors, targets=targets, begin=begin)

    assert sum(step is not None for step in found) == len(targets)
    assert max(anchors.times.values()) <= 9


class Passing:
    """A chain that finds the target everywhere."""

    def step(self, _frame_index, _frame):
        return SEEN, 0.5


def test_no_anchor_is_refused():
    with pytest.raises(ValueError, match="at least one frame with a mask"):
        list(propagate(FRAMES, {}, targets=[1], begin=recording([])))


def test_a_frame_outside_the_clip_is_refused():
    with pytest.raises(ValueError, match="frame 10 is outside the clip, which has 10 frames"):
        filled({0: SEEN}, [10])


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="6 rows and 9 columns"):
        filled({0: np.ones((9, 6), dtype=bool)}, [1])
