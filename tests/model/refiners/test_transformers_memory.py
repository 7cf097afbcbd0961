"""Networks of transformers with a memory, at toy size: their real code, held against its session.

The session is the library's own way of following a target; what is built here on its private
methods must give the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from model.pictures import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    SAM3_DEVIATION,
    SAM3_MEAN,
    squeezed,
)
from model.refiners.memory_network import cell_shares
from model.refiners.memory_refiner import MemoryFollower, MemoryRefiner
from model.refiners.transformers_memory import TransformersMemory
from tests.model import toy_sam3
from tests.model.refiners import toy_edgetam
from video_types import Box, Click

SIZE = (53, 81)
CPU = torch.device("cpu")
CLICK = Click(0, 40.0, 24.0, True)


class Toy:
    """One toy network: the library's model, and ours around it."""

    def __init__(self, model: Any, session: Any, mean, deviation, **how: Any) -> None:
        self.model, self._session = model, session
        self.colours = {"mean": mean, "deviation": deviation}
        self.ours = TransformersMemory(model, "cpu", **self.colours, **how, precise=True)

    def session(self, frames) -> Any:
        """The library's session on a whole clip."""
        side = self.model.config.image_size
        pixels = [squeezed(frame, side, CPU, **self.colours)[0] for frame in frames]
        return self._session(torch.stack(pixels), *SIZE, dtype=torch.float32)


def edgetam() -> Toy:
    from transformers.models.edgetam_video.modeling_edgetam_video import (
        EdgeTamVideoInferenceSession,
    )

    colours = IMAGENET_MEAN, IMAGENET_DEVIATION
    return Toy(toy_edgetam.toy_model(), EdgeTamVideoInferenceSession, *colours, encodes_memory=True)


def sam3() -> Toy:
    from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import (
        Sam3TrackerVideoInferenceSession,
    )

    return Toy(toy_sam3.toy_tracker(), Sam3TrackerVideoInferenceSession, SAM3_MEAN, SAM3_DEVIATION)


@pytest.fixture(scope="module", params=[edgetam, sam3])
def toy(request) -> Toy:
    return request.param()


@pytest.fixture
def refiner(toy) -> MemoryRefiner:
    return MemoryRefiner("toy", toy.ours)


def block(left: int, width: int = 24) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[12:36, left : left + width] = True
    return mask


NOTHING = np.zeros(SIZE, dtype=bool)


def clip(length: int) -> list[np.ndarray]:
    frames = np.random.default_rng(1).integers(0, 90, (length, *SIZE, 3), dtype=np.uint8)
    for index in range(length):
        frames[index][block(10 + index)] = (220, 180, 40)
    frames.setflags(write=False)  # as stored frames are read
    return list(frames)


def theirs(toy: Toy, frames, anchors, start: int, *, backwards: bool) -> dict[int, np.ndarray]:
    """Logits of every frame without a mask, as the library's session finds them from `start`."""
    session = toy.session(frames)
    side = toy.model.config.image_size
    target = session.obj_id_to_idx(1)
    for index, mask in anchors.items():
        settled = torch.from_numpy(cell_shares(mask, side) >= 0.5)[None, None]
        session.add_mask_inputs(target, index, settled)
        session.obj_with_new_inputs = [1]
        toy.model(session, frame_idx=index)  # one at a time: of several all but one are lost
    found = toy.model.propagate_in_video_iterator(session, start, reverse=backwards)
    return {
        step.frame_idx: step.pred_masks[0, 0].numpy()
        for step in found
        if step.frame_idx not in anchors
    }


def ours(toy: Toy, frames, anchors, order) -> dict[int, np.ndarray]:
    """The same by our own driving, with no more memory held than the network can use."""
    settled = {i: toy.ours.remember(i, toy.ours.embed(frames[i]), m) for i, m in anchors.items()}
    passed: dict[int, Any] = {}
    found = {}
    for index in order:
        if index in anchors:
            continue
        step = toy.ours.track(
            index,
            toy.ours.embed(frames[index]),
            settled,
            passed,
            backwards=order[0] > order[-1],
        )
        found[index], passed[index] = step.logits, step
        while len(passed) > toy.ours.frames_remembered:
            del passed[next(iter(passed))]
    return found


def far(first: Mapping[int, np.ndarray], second: Mapping[int, np.ndarray]) -> float:
    """The greatest difference of logits, as a share of the greatest of them."""
    assert first.keys() == second.keys()
    greatest = max(np.abs(logits).max() for logits in first.values())
    return max(np.abs(first[index] - second[index]).max() for index in first) / greatest


@pytest.mark.parametrize("backwards", [False, True])
def test_frames_are_followed_as_the_library_follows_them(toy, backwards):
    frames = clip(22)
    anchors = {0: block(10), 12: NOTHING, 21: block(31)}
    order = range(21, -1, -1) if backwards else range(22)

    expected = theirs(toy, frames, anchors, order[0], backwards=backwards)
    found = ours(toy, frames, anchors, order)

    assert far(found, expected) < 1e-4
    other = ours(toy, frames, anchors | {12: block(50)}, order)
    assert far(found, other) > 1e-2, "an anchor counts, or nothing was compared"


def test_a_click_is_decoded_as_the_library_decodes_it(toy):
    frame = clip(1)[0]
    session = toy.session([frame])
    session.obj_id_to_idx(1)
    scale = torch.tensor(
        [toy.model.config.image_size / SIZE[1], toy.model.config.image_size / SIZE[0]]
    )
    places = (torch.tensor([[40.0, 24.0], [70.0, 40.0]]) * scale)[None, None]
    labels = torch.tensor([[[1, 0]]], dtype=torch.int32)
    session.add_point_inputs(0, 0, {"point_coords": places, "point_labels": labels})
    session.obj_with_new_inputs = [1]
    expected = toy.model(session, frame_idx=0).pred_masks[0, 0].numpy()

    found = toy.ours.decode(
        toy.ours.embed(frame),
        points=np.array([[40.0, 24.0], [70.0, 40.0]]),
        positive=np.array([True, False]),
    )

    assert far({0: found.logits[0]}, {0: expected}) < 1e-4


def test_the_decoder_sees_the_mask_a_click_corrects(toy):
    features = toy.ours.embed(clip(1)[0])
    click = {"points": np.array([[40.0, 24.0]]), "positive": np.array([True])}

    alone = toy.ours.decode(features, **click, several=True)
    logits = toy.ours.logits_of(block(4), features)
    on_mask = toy.ours.decode(features, **click, logits=logits, several=True)

    assert alone.logits.shape[0] == 3
    assert alone.scores.shape == (3,)
    assert far({0: alone.logits}, {0: on_mask.logits}) > 1e-2


def test_clicks_boxes_and_strokes_become_masks_of_the_frame(refiner):
    frame = clip(1)[0]

    corrected = refiner.refine(frame, [CLICK], block(4, 16), key=0)
    boxed = refiner.refine(frame, [], None, key=0, box=Box(10, 12, 34, 36))
    redrawn = refiner.redraw(frame, block(10), key=0)

    assert corrected.mask[24, 8], "what no click reaches is kept"
    assert corrected.mask[24, 40]
    assert {found.mask.shape for found in (corrected, boxed, redrawn)} == {SIZE}


def test_masks_are_carried_both_ways_from_several_anchors_one_of_them_empty(refiner):
    frames = clip(12)
    anchors = {1: block(11), 5: NOTHING, 9: block(19)}
    wanted = [2, 3, 4, 6, 7, 8, 10, 11, 0]

    found = [each for each in refiner.propagate(frames, anchors, targets=wanted) if each]

    assert sorted(each.frame_index for each in found) == sorted(wanted)
    assert {each.mask.shape for each in found} == {SIZE}
    assert all(0 <= each.confidence <= 1 for each in found)


def test_memory_of_frames_long_passed_is_dropped(toy):
    frames = clip(24)
    settled = {0: toy.ours.remember(0, toy.ours.embed(frames[0]), block(10))}
    follower = MemoryFollower(toy.ours, 0, settled, target_known=True)

    for index in range(1, 24):
        follower.step(index, frames[index])

    assert toy.ours.frames_remembered == 16
    assert list(follower.passed) == list(range(8, 24))
