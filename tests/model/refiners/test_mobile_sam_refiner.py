"""The embedded refiner with its real weights, on drawn pictures where the answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from model.metrics import region_similarity
from model.refiners.mobile_sam import load_network
from model.refiners.mobile_sam_refiner import MobileSamRefiner
from tests.model.refiners.drawn import SIZE, disc, ground, picture
from video_types import Box, Click


@pytest.fixture(scope="module")
def network():
    return load_network("cpu")


@pytest.fixture
def refiner(network):
    return MobileSamRefiner(network)


def on(x: float, y: float) -> Click:
    return Click(0, x, y, True)


def off(x: float, y: float) -> Click:
    return Click(0, x, y, False)


def test_a_few_strokes_become_the_disc_they_lie_on(refiner):
    target = disc(100, 80, 30)
    strokes = np.zeros(SIZE, dtype=np.uint8)
    cv2.line(strokes, (85, 70), (115, 90), 1, thickness=6)

    refined = refiner.redraw(picture(target), strokes.astype(bool), key=1)

    assert region_similarity(refined.mask, target) > 0.9
    with pytest.raises(ValueError, match="at least one pixel"):
        refiner.redraw(picture(target), np.zeros(SIZE, dtype=bool), key=1)


def test_one_click_finds_a_disc(refiner):
    target = disc(100, 80, 30)

    refined = refiner.refine(picture(target), [on(100.5, 80)], None, key=1)

    assert region_similarity(refined.mask, target) > 0.9
    assert 0 <= refined.confidence <= 1


def test_a_box_finds_it_too(refiner):
    target = disc(220, 100, 40)

    refined = refiner.refine(picture(target), [], None, key=1, box=Box(178, 58, 263, 143))

    assert region_similarity(refined.mask, target) > 0.9


def test_the_same_prompt_gives_the_same_mask_whatever_was_asked_before(refiner, network):
    frame = picture(disc(100, 80, 30), disc(220, 100, 40))
    clicks = [on(100, 80), on(220, 100)]

    refiner.refine(frame, [on(220, 100)], None, key=1)
    refiner.refine(frame, [*clicks, off(10, 10)], None, key=1)
    again = refiner.refine(frame, clicks, None, key=1)
    fresh = MobileSamRefiner(network).refine(frame, clicks, None, key=1)

    assert np.array_equal(again.mask, fresh.mask)


def test_a_click_corrects_a_prior_and_leaves_the_rest_of_it(refiner):
    left, right = disc(80, 80, 30), disc(240, 100, 40)
    # A mask no picture explains: a correction elsewhere must not touch it.
    odd = np.zeros(SIZE, dtype=bool)
    odd[150:170, 60:75] = True
    prior = left | odd

    refined = refiner.refine(picture(left, right), [on(240, 100)], prior, key=1)

    assert region_similarity(refined.mask[:, :160], prior[:, :160]) == 1
    assert region_similarity(refined.mask[:, 160:], right[:, 160:]) > 0.8


def test_a_negative_click_takes_away_what_it_is_on_and_no_more(refiner):
    left, right = disc(80, 80, 30), disc(240, 100, 40)

    refined = refiner.refine(picture(left, right), [off(240, 100)], left | right, key=1)

    assert not refined.mask[100, 240]
    assert np.array_equal(refined.mask[:, :160], left[:, :160])
    assert refined.mask[:, 160:].sum() < 0.3 * right.sum()


def test_one_click_finds_the_whole_of_a_thing_made_of_parts_and_offers_a_part(refiner):
    body, badge = disc(120, 90, 50), disc(120, 90, 14)
    frame = picture(body)
    frame[badge] = (240, 220, 60)

    refined = refiner.refine(frame, [on(120, 90)], None, key=1)

    assert region_similarity(refined.mask, body) > 0.9
    assert any(region_similarity(other, badge) > 0.8 for other in refined.candidates)


def test_a_mask_from_close_by_chooses_among_the_readings_of_a_click(refiner):
    body, badge = disc(120, 90, 50), disc(120, 90, 14)
    frame = picture(body)
    frame[badge] = (240, 220, 60)

    refined = refiner.refine(frame, [on(120, 90)], None, key=1, likely=disc(123, 90, 14))

    assert region_similarity(refined.mask, badge) > 0.8
    assert any(region_similarity(other, body) > 0.8 for other in refined.candidates)
    elsewhere = refiner.refine(frame, [on(120, 90)], None, key=1, likely=disc(260, 40, 14))
    assert region_similarity(elsewhere.mask, body) > 0.9


def test_a_negative_click_on_a_badge_leaves_the_rest_of_a_prior(refiner):
    body, badge = disc(120, 90, 50), disc(135, 90, 14)
    frame = picture(body)
    frame[badge] = (240, 220, 60)

    refined = refiner.refine(frame, [off(135, 90)], body, key=1)

    assert region_similarity(refined.mask, body & ~badge) > 0.9


def test_a_positive_click_beside_a_prior_does_not_add_the_surroundings(refiner):
    body = disc(120, 90, 30)

    refined = refiner.refine(picture(body), [on(260, 150)], body, key=1)

    assert refined.mask[150, 260]
    assert region_similarity(refined.mask, body) > 0.9


def test_every_click_is_honoured_even_a_senseless_one(refiner):
    target = disc(100, 80, 30)
    clicks = [on(100, 80), off(110, 80), on(300, 170), off(0, 0), on(319.9, 0.2)]

    mask = refiner.refine(picture(target), clicks, None, key=1).mask

    for click in clicks:
        assert mask[int(click.y), int(click.x)] == click.positive


def test_the_prior_is_not_changed_in_place(refiner):
    prior = disc(80, 80, 30)
    before = prior.copy()

    refiner.refine(picture(prior), [off(80, 80)], prior, key=1)

    assert np.array_equal(prior, before)


def test_a_click_outside_the_frame_is_refused(refiner):
    with pytest.raises(ValueError, match=r"\(320, 10\) is outside the 320x180 frame"):
        refiner.refine(ground(), [on(320, 10)], None, key=1)


def test_no_click_and_no_box_is_refused(refiner):
    with pytest.raises(ValueError, match="at least one click or a box"):
        refiner.refine(ground(), [], None, key=1)


def test_a_target_is_followed_and_found_again_after_it_was_hidden(refiner):
    places = [60, 80, 100, None, 160, 180]
    frames = [picture(*([] if x is None else [disc(x, 80, 24)])) for x in places]

    found = {
        each.frame_index: each.mask
        for each in refiner.propagate(frames, {0: disc(60, 80, 24)}, targets=range(1, 6))
        if each is not None
    }

    assert region_similarity(found[2], disc(100, 80, 24)) > 0.85
    assert found[3].sum() < 0.3 * disc(100, 80, 24).sum()
    assert region_similarity(found[5], disc(180, 80, 24)) > 0.85
