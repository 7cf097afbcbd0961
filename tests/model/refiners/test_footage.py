"""Frames made ready while a chain thinks: the same masks, and no frame more than it needs."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from model.refiners.follow import Follower
from model.refiners.footage import Footage
from model.refiners.mobile_sam import load_network
from model.refiners.mobile_sam_refiner import MobileSamRefiner
from tests.model.refiners.drawn import disc, picture

PLACES = (60, 72, 84, 96, 108)
FRAMES = [picture(disc(x, 80, 24)) for x in PLACES]


@pytest.fixture(scope="module")
def network():
    return load_network("cpu")


def test_masks_are_the_same_to_the_bit_with_and_without_the_thread(network):
    seen = disc(PLACES[0], 80, 24)

    ahead = {
        each.frame_index: each
        for each in MobileSamRefiner(network).propagate(FRAMES, {0: seen}, targets=range(1, 5))
        if each is not None
    }

    with Footage(FRAMES, lambda _index, frame: network.embed(frame)) as footage:
        follower = Follower(network, footage, 0, seen)
        for index in range(1, 5):  # nothing is expected here: all is made when it is asked for
            mask, confidence = follower.step(index, FRAMES[index])
            assert np.array_equal(ahead[index].mask, mask)
            assert ahead[index].confidence == confidence
    assert ahead[4].mask.any()


def test_the_next_frame_is_embedded_by_a_thread_and_each_only_once(network):
    embedded: list[tuple[int, str]] = []

    def embed(index, frame):
        embedded.append((index, threading.current_thread().name))
        return network.embed(frame)

    with Footage(FRAMES, embed) as footage:
        footage.expect(1, 0)
        footage.expect(1, 0)
        sight = footage.sight(1, 0)
        alone = footage.sight(2, 1)

    assert [index for index, _ in embedded] == [1, 2]
    assert embedded[0][1].startswith("ahead")
    assert embedded[1][1] == threading.current_thread().name
    assert sight.flow.trust.shape == FRAMES[1].shape[:2]
    assert alone.embedding.size == FRAMES[1].shape[:2]


class Torn(list):
    """Frames of which one cannot be read."""

    def __getitem__(self, index):
        if index == 3:
            raise OSError("frame 3 is damaged")
        return super().__getitem__(index)


def test_a_damaged_frame_is_told_of_when_it_is_reached_and_not_before(network):
    steps = MobileSamRefiner(network).propagate(
        Torn(FRAMES), {0: disc(PLACES[0], 80, 24)}, targets=range(1, 5)
    )

    reached = [step.frame_index for step in itertools.islice(steps, 3) if step is not None]
    with pytest.raises(OSError, match="frame 3 is damaged"):
        next(steps)

    assert reached == [1, 2]


def test_closing_a_propagation_ends_its_thread(network):
    steps = MobileSamRefiner(network).propagate(
        FRAMES, {0: disc(PLACES[0], 80, 24)}, targets=range(1, 5)
    )
    next(step for step in steps if step is not None)

    steps.close()

    assert not [each for each in threading.enumerate() if each.name.startswith("ahead")]
