"""SAM 2.1's real code at toy size with random weights: what counts and what is dropped."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from model.refiners.memory_refiner import MemoryFollower, MemoryRefiner
from model.refiners.sam2_network import build, load_network
from model.refiners.sam2_refiner import load_large
from model.segmenter import ModelError
from tests.model.refiners.toy_sam2 import toy_network
from video_types import Box, Click

SIZE = (48, 80)


@pytest.fixture
def network():
    return toy_network()


@pytest.fixture
def refiner(network):
    return MemoryRefiner("sam2-toy", network)


def block(left: int, width: int = 24) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[12:36, left : left + width] = True
    return mask


def clip(length: int) -> list[np.ndarray]:
    noise = np.random.default_rng(1).integers(0, 90, (length, *SIZE, 3), dtype=np.uint8)
    for index in range(length):
        noise[index][block(10 + index)] = (220, 180, 40)
    return list(noise)


def masks_of(found) -> dict[int, np.ndarray]:
    return {each.frame_index: each.mask for each in found if each is not None}


CLICK = Click(0, 40.0, 24.0, True)


def test_a_click_on_a_mask_differs_from_the_click_alone(refiner):
    frame = clip(1)[0]

    alone = refiner.refine(frame, [CLICK], None, key=0)
    corrected = refiner.refine(frame, [CLICK], block(4, 16), key=0)

    assert not np.array_equal(alone.mask, corrected.mask)
    assert corrected.mask[24, 8]
    assert corrected.mask[24, 40]


def test_the_decoder_sees_the_mask_a_click_corrects(network):
    features = network.embed(clip(1)[0])
    prompt = {"points": np.array([[40.0, 24.0]]), "positive": np.array([True])}

    alone = network.decode(features, **prompt)
    on_mask = network.decode(features, **prompt, logits=network.logits_of(block(4), features))

    assert np.abs(alone.logits - on_mask.logits).max() > 1e-3


def test_clicks_on_a_visited_frame_do_not_run_the_encoder(refiner, network):
    first, second = clip(2)
    refiner.refine(first, [CLICK], None, key=0)
    refiner.refine(second, [CLICK], None, key=1)
    assert network.embedded == 2

    refiner.refine(first, [CLICK, Click(0, 70.0, 10.0, False)], None, key=0)
    refiner.refine(second, [CLICK], block(20), key=1)

    assert network.embedded == 2


def test_a_prepared_frame_is_ready(refiner, network):
    frame = clip(1)[0]

    refiner.prepare(frame, 5)
    refiner.refine(frame, [CLICK], None, key=5)

    assert network.embedded == 1


def test_a_box_is_a_prompt_of_its_own(refiner):
    frame = clip(1)[0]

    refined = refiner.refine(frame, [], None, key=0, box=Box(10, 12, 34, 36))

    assert refined.mask.shape == SIZE


def test_every_frame_wanted_arrives_and_anchors_do_not(refiner):
    frames = clip(7)

    found = masks_of(refiner.propagate(frames, {3: block(13)}, targets=[4, 5, 6, 2, 1, 0]))

    assert list(found) == [4, 5, 6, 2, 1, 0]
    assert all(mask.shape == SIZE for mask in found.values())


def test_a_correction_counts_when_propagating_again(network, refiner):
    frames = clip(6)
    first = logits_along(network, frames, {0: block(10)})
    again = logits_along(network, frames, {0: block(10), 3: block(50)})

    assert 3 in first
    assert 3 not in again
    assert np.abs(first[4] - again[4]).max() > 1e-3
    assert 3 not in masks_of(
        refiner.propagate(frames, {0: block(10), 3: block(50)}, targets=range(6))
    )


def logits_along(network, frames, anchors) -> dict[int, np.ndarray]:
    """Low-resolution logits of every frame after the first that is no anchor."""
    settled = {
        index: network.remember(index, network.embed(frames[index]), mask)
        for index, mask in anchors.items()
    }
    passed: dict = {}
    for index in range(1, len(frames)):
        if index not in anchors:
            passed[index] = network.track(
                index, network.embed(frames[index]), settled, passed, backwards=False
            )
    return {index: found.logits for index, found in passed.items()}


def test_closing_keeps_what_was_yielded_and_runs_no_further_frame(refiner, network):
    frames = clip(8)
    found = refiner.propagate(frames, {0: block(10)}, targets=range(1, 8))

    kept = [each.frame_index for each in itertools.islice(filter(None, found), 2)]
    found.close()

    assert kept == [1, 2]
    assert network.embedded == 3


def test_no_step_runs_the_encoder_more_than_once(refiner, network):
    frames = clip(12)
    anchors = {index: block(10 + index) for index in (0, 3, 6, 9)}
    embedded = [0]

    for _ in refiner.propagate(frames, anchors, targets=range(12)):
        embedded.append(network.embedded)

    assert max(np.diff(embedded)) == 1
    assert embedded[-1] == 12, "an anchor is embedded once for all chains"


def test_a_target_added_later_does_not_disturb_the_first(refiner):
    frames = clip(6)
    before = masks_of(refiner.propagate(frames, {0: block(10)}, targets=range(1, 6)))

    second = masks_of(refiner.propagate(frames, {4: block(50)}, targets=[5, 3, 2, 1, 0]))
    after = masks_of(refiner.propagate(frames, {0: block(10)}, targets=range(1, 6)))

    assert sorted(second) == [0, 1, 2, 3, 5]
    assert all(np.array_equal(before[index], after[index]) for index in before)


def test_memory_of_frames_long_passed_is_dropped_without_changing_a_mask(network):
    frames = clip(24)
    everything = logits_along(network, frames, {0: block(10)})
    settled = {0: network.remember(0, network.embed(frames[0]), block(10))}
    follower = MemoryFollower(network, 0, settled, target_known=True)

    for index in range(1, 24):
        follower.step(index, frames[index])

    assert list(follower.passed) == list(range(24 - network.frames_remembered, 24))
    assert np.abs(follower.passed[23].logits - everything[23]).max() < 1e-4


def test_an_anchor_without_target_is_believed(refiner):
    frames = clip(4)

    found = masks_of(refiner.propagate(frames, {0: np.zeros(SIZE, dtype=bool)}, targets=[1, 2]))

    assert not found[1].any()
    assert not found[2].any()


def test_official_weights_load_strictly_and_another_file_is_refused(tmp_path):
    torch.manual_seed(0)
    file = tmp_path / "sam2.1_hiera_tiny.pt"
    torch.save({"model": build("tiny", image_size=128).state_dict()}, file)

    assert load_network("tiny", file, "cpu", image_size=128).frames_remembered == 16
    with pytest.raises(ModelError, match=r"do not fit SAM 2\.1 small"):
        load_network("small", file, "cpu", image_size=128)


def a_page(path):
    path.write_text("<!doctype html><title>404 Not Found</title>")


def nothing(path):
    path.write_bytes(b"")


def half_a_checkpoint(path):
    torch.save({"model": {"weight": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:2000])


def bare_tensors(path):
    torch.save({"weight": torch.zeros(3)}, path)


@pytest.mark.parametrize("spoil", [a_page, nothing, half_a_checkpoint, bare_tensors])
def test_a_file_that_is_no_checkpoint_is_one_sentence(tmp_path, spoil):
    file = tmp_path / "sam2.1_hiera_tiny.pt"
    spoil(file)

    with pytest.raises(ModelError, match=r"sam2\.1_hiera_tiny\.pt"):
        load_network("tiny", file, "cpu", image_size=128)


def test_missing_weights_are_one_sentence(monkeypatch):
    monkeypatch.setenv("REFSCRIBE_SAM2_LARGE", "/nowhere/sam2.pt")

    with pytest.raises(ModelError, match=r"weights of SAM 2\.1 large are not here"):
        load_large("cpu")
