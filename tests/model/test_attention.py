"""Frames are suggested for the right reason, and never those a person settled."""

from __future__ import annotations

import numpy as np

from model.attention import frames_to_see
from model.shots import MotionEstimator, follows, is_cut

SIZE = (40, 60)


def disc(x: int, y: int, radius: int) -> np.ndarray:
    rows, columns = np.ogrid[: SIZE[0], : SIZE[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def steady() -> dict[int, np.ndarray]:
    return {index: disc(20 + index, 20, 9) for index in range(8)}


def test_a_steady_clip_asks_for_no_look():
    assert frames_to_see(steady()) == []


def test_a_sudden_change_is_found():
    masks = steady() | {4: disc(24, 20, 3)}

    (frame,) = frames_to_see(masks)

    assert (frame.frame_index, frame.reason) == (4, "jump")


def test_a_frame_without_mask_between_two_with_one_comes_first():
    masks = steady() | {2: np.zeros(SIZE, dtype=bool), 6: disc(26, 20, 3)}

    first, second = frames_to_see(masks)

    assert (first.frame_index, first.reason) == (2, "vanished")
    assert second.frame_index == 6


def test_disagreement_with_the_draft_is_found():
    (frame,) = frames_to_see(steady(), drafts={5: disc(40, 20, 9)})

    assert (frame.frame_index, frame.reason) == (5, "disagreement")


def test_a_mask_in_pieces_and_an_unsure_one_are_found():
    pieces = disc(23, 20, 9) & (np.arange(SIZE[1]) % 4 != 0)

    frames = frames_to_see(steady() | {3: pieces}, confidences={6: 0.2})

    assert {(frame.frame_index, frame.reason) for frame in frames} == {
        (3, "in pieces"),
        (6, "unsure"),
    }


def test_of_unsure_frames_the_longest_doubted_come_first():
    confidences = dict.fromkeys(range(8), 0.45) | {1: 0.2, 5: 0.25, 6: 0.25, 7: 0.25}

    frames = frames_to_see(steady(), confidences=confidences)

    assert [frame.frame_index for frame in frames[:2]] == [7, 6]
    assert len(frames) == 8


def test_the_least_sure_frame_is_named_where_nothing_else_is_until_the_refiner_is_sure():
    confidences = dict.fromkeys(range(8), 0.78) | {7: 0.74}

    (frame,) = frames_to_see(steady(), confidences=confidences)

    assert (frame.frame_index, frame.reason) == (7, "unsure")
    assert frames_to_see(steady(), confidences=dict.fromkeys(range(8), 0.9)) == []


def test_a_mask_that_strays_from_the_motion_and_one_after_a_cut_are_found():
    followed = dict.fromkeys(range(1, 8), 0.9) | {3: 0.4}

    frames = frames_to_see(steady(), followed=followed, cuts={6})

    assert [(frame.frame_index, frame.reason) for frame in frames] == [(3, "motion"), (6, "cut")]


def test_a_mask_follows_the_disc_it_lies_on_and_a_cut_is_seen():
    ground = np.random.default_rng(0).integers(60, 120, (*SIZE, 3), dtype=np.uint8)
    frames = []
    for index in range(2):
        frame = ground.copy()
        frame[disc(20 + 3 * index, 20, 9)] = (230, 60, 40)
        frames.append(frame)

    motion = MotionEstimator().between(*frames)
    right = follows(motion, disc(20, 20, 9), disc(23, 20, 9))
    wrong = follows(motion, disc(20, 20, 9), disc(40, 20, 9))

    assert right > 0.7 > 0.3 > wrong
    assert not is_cut(*frames)
    assert is_cut(frames[0], 255 - frames[0])


def test_settled_frames_are_left_alone():
    masks = steady() | {4: disc(24, 20, 3)}

    assert frames_to_see(masks, settled={4}) == []
