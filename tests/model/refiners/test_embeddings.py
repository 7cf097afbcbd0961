"""No stored frame is encoded twice, by clicks or by propagation, in one session or in two."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from annotation_store.features import FeatureStore
from annotation_store.frames import clip_folder
from model.refiners.mobile_sam import load_network
from model.refiners.mobile_sam_refiner import MobileSamRefiner
from tests.model.refiners.drawn import disc, picture
from video_types import Click

CLIP = 7
PLACES = (60, 72, 84, 96)
FRAMES = [picture(disc(x, 80, 30)) for x in PLACES]
CLICK = [Click(0, 60, 80, True)]


@pytest.fixture
def network():
    """MobileSAM that counts the pictures it encodes."""
    sam = load_network("cpu")
    encode = sam._encode

    def counting(inner):
        sam.encoded += 1
        return encode(inner)

    sam.encoded = 0
    sam._encode = counting
    return sam


@pytest.fixture
def folder(tmp_path):
    clip_folder(tmp_path, CLIP).mkdir(parents=True)
    return tmp_path


def session(network, folder) -> MobileSamRefiner:
    """A refiner that remembers nothing but what is on disk."""
    refiner = MobileSamRefiner(network)
    refiner.use_shelf(FeatureStore(folder, 2**30, room_left_bytes=0))
    return refiner


def carried(refiner: MobileSamRefiner) -> dict[int, np.ndarray]:
    seen = disc(PLACES[0], 80, 30)
    found = refiner.propagate(FRAMES, {0: seen}, targets=[1, 2, 3], clip_key=CLIP)
    return {each.frame_index: each.mask for each in found if each is not None}


def test_a_frame_prepared_in_one_session_is_not_encoded_in_the_next(network, folder):
    session(network, folder).prepare(FRAMES[0], (CLIP, 0))
    assert network.encoded == 1

    again = session(network, folder)
    again.prepare(FRAMES[0], (CLIP, 0))

    assert network.encoded == 1


def test_a_click_answers_the_same_from_disk_as_computed(network, folder):
    computed = session(network, folder).refine(FRAMES[0], CLICK, None, key=(CLIP, 0))
    read = session(network, folder).refine(FRAMES[0], CLICK, None, key=(CLIP, 0))
    without = MobileSamRefiner(network).refine(FRAMES[0], CLICK, None, key="elsewhere")

    assert np.array_equal(computed.mask, read.mask)
    assert np.array_equal(computed.mask, without.mask)
    assert computed.confidence == read.confidence == without.confidence


def test_propagating_again_encodes_no_whole_frame_and_gives_the_same(network, folder):
    first = carried(session(network, folder))
    whole_and_views = network.encoded

    second = carried(session(network, folder))

    assert network.encoded - whole_and_views <= whole_and_views - len(FRAMES)
    assert all(np.array_equal(first[index], second[index]) for index in (1, 2, 3))


def test_a_click_on_a_frame_that_a_propagation_passed_encodes_nothing_whole(network, folder):
    refiner = session(network, folder)
    carried(refiner)
    before = network.encoded

    refiner.prepare(FRAMES[2], (CLIP, 2))

    assert network.encoded == before


def test_features_of_another_shape_on_disk_are_computed_again(network, folder):
    refiner = session(network, folder)
    wrong = np.zeros((1, 256, 5, 64), dtype=np.float16)
    FeatureStore(folder, 2**30, room_left_bytes=0).save(CLIP, 0, network.features_name, wrong)

    refiner.prepare(FRAMES[0], (CLIP, 0))

    assert network.encoded == 1


def test_other_weights_or_another_runtime_have_features_of_their_own(network, tmp_path):
    graph = load_network("cpu", graphs=tmp_path)

    assert graph.features_name != network.features_name
    assert torch.__version__ in network.features_name
