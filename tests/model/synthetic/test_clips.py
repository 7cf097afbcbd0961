"""Synthetic clips: exact masks, the same bytes from a seed, expressions that fit one thing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from model.segmenters.tokenizer import byte_pairs
from model.synthetic.clips import render
from model.synthetic.drawing import draw
from model.synthetic.expressions import TYPES, every_text, expressions
from model.synthetic.sampling import sample_scene
from model.synthetic.scene import COLOURS, MOTIONS, Scene, area, outline_area, pose
from model.synthetic.shapes import KINDS, outline

SEEDS = range(500, 530)
NOUNS = {"thing", "object", "shape", "one"}


def lone_scene(kind: str = "square", motion: str = "still", colour: str = "red") -> Scene:
    """One plain thing on a plain ground, lit evenly, the camera at rest."""
    scene = sample_scene(3, aspect=1.5)
    thing = replace(
        scene.things[0],
        kind=kind, motion=motion, colour=colour, rgb=COLOURS[colour], texture="plain",
        x=0.75, y=0.5, radius=0.2, angle=0.0, reach=0.8,
    )  # fmt: skip
    return replace(
        scene, things=(thing,), clutter=(), pan=(0, 0), shake=0.0, light=(1, 1), grain=0.0,
        background="plain", background_rgb=((90, 90, 90), (90, 90, 90)),
    )  # fmt: skip


def test_a_seed_renders_the_same_bytes_every_time():
    first, second = (render(11, size=(48, 80), frame_count=3) for _ in range(2))
    assert first.frames.tobytes() == second.frames.tobytes()
    assert len(first.targets) == len(second.targets)
    for one, other in zip(first.targets, second.targets, strict=True):
        assert np.array_equal(one.masks, other.masks)
        assert one.expressions == other.expressions


def test_seeds_differ():
    assert not np.array_equal(
        render(11, size=(48, 80), frame_count=1).frames,
        render(12, size=(48, 80), frame_count=1).frames,
    )


@pytest.mark.parametrize("size", [(37, 61), (61, 37), (1, 1), (64, 64)])
@pytest.mark.parametrize("style", ["training", "unlike"])
def test_any_size_renders(size, style):
    clip = render(4, size=size, frame_count=2, style=style)
    assert clip.frames.shape == (2, *size, 3)
    assert clip.frames.dtype == np.uint8
    for target in clip.targets:
        assert target.masks.shape == target.ignore.shape == (2, *size)


def test_bad_sizes_and_counts_are_refused():
    with pytest.raises(ValueError, match="positive"):
        render(1, size=(0, 10), frame_count=1)
    with pytest.raises(ValueError, match="positive"):
        render(1, size=(10, 10), frame_count=0)
    with pytest.raises(ValueError, match="expected 2"):
        render(1, size=(10, 10), frame_count=2, moments=[0.5])


def test_masks_of_different_targets_never_overlap_and_leave_ignore_free():
    for seed in SEEDS:
        clip = render(seed, size=(54, 96), frame_count=3)
        masks = [target.masks for target in clip.targets] + list(clip.distractors)
        assert np.sum(masks, axis=0).max() <= 1
        for target in clip.targets:
            assert not (target.masks & target.ignore).any()
            assert target.expressions


def test_the_same_seed_looks_the_same_at_every_size():
    for seed in SEEDS:
        small = render(seed, size=(60, 90), frame_count=2)
        large = render(seed, size=(240, 360), frame_count=2)
        for one, other in zip(small.targets, large.targets, strict=True):
            shrunk = other.masks.reshape(2, 60, 4, 90, 4).mean(axis=(2, 4)) >= 0.5
            union = (shrunk | one.masks).sum()
            assert (shrunk & one.masks).sum() >= 0.85 * union


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_covers_what_was_drawn(kind):
    """Against the flat ground, the pixels that changed colour are the mask."""
    scene = lone_scene(kind)
    picture, alphas = draw(scene, 0.5, (120, 180))
    changed = np.abs(picture - 90).max(axis=2) > 61  # half of what red differs in one channel
    assert np.mean(changed ^ (alphas[0] >= 0.5)) < 0.004
    expected = outline_area(kind) * 0.2**2 * 120**2  # square pixels
    assert alphas[0].sum() == pytest.approx(expected, rel=0.06)


def test_what_is_in_front_takes_pixels_from_what_is_behind():
    scene = lone_scene("circle")
    front = replace(scene.things[0], kind="square", radius=0.1)
    _, alphas = draw(replace(scene, things=(scene.things[0], front)), 0.5, (120, 180))
    assert alphas[0][60, 90] == 0
    assert alphas[1][60, 90] == 1


def test_fading_leaves_the_target_for_ignore():
    scene = lone_scene("circle", "fade")
    _, [start] = draw(scene, 0.0, (60, 90))
    _, [end] = draw(scene, 0.9, (60, 90))
    assert start[30, 45] == 1
    assert 0.1 < end[30, 45] < 0.5


@pytest.mark.parametrize(
    ("motion", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)]
)
def test_things_go_where_their_motion_says(motion, axis, sign):
    thing = lone_scene("circle", motion).things[0]
    places = [(pose(thing, m).x, pose(thing, m).y)[axis] for m in np.linspace(0, 1, 5)]
    assert all(sign * (later - earlier) > 0.05 for earlier, later in pairwise(places))


@pytest.mark.parametrize(
    ("motion", "sign"), [("grow", 1), ("shrink", -1), ("melt", -1), ("burn", -1)]
)
def test_processes_change_the_area(motion, sign):
    scene = lone_scene("square", motion)
    covered = [draw(scene, moment, (120, 180))[1][0].sum() for moment in (0.0, 0.5, 1.0)]
    assert all(sign * (later - earlier) > 0 for earlier, later in pairwise(covered))
    estimate = area(scene.things[0], 1.0) / area(scene.things[0], 0.0)
    assert estimate == pytest.approx(covered[-1] / covered[0], abs=0.2)


@pytest.mark.parametrize("motion", MOTIONS)
def test_every_motion_draws(motion):
    for moment in (0.0, 0.3, 1.0):
        picture, alphas = draw(lone_scene("star", motion), moment, (40, 60))
        assert np.isfinite(picture).all()
        assert 0 <= alphas[0].min() <= alphas[0].max() <= 1


def test_no_expression_is_said_of_two_things():
    """Words alone, any phrasing: what fits a thing is never said, in that clip, of another."""
    for seed in range(200):
        scene = sample_scene(seed, aspect=16 / 9)
        said = []
        for index in range(len(scene.things)):
            texts: set[str] = set()
            for draw_seed in range(6):
                rng = np.random.default_rng(draw_seed)
                texts |= {text for _, text in expressions(scene, index, rng)}
            said.append(texts)
        for index, texts in enumerate(said):
            for other in said[index + 1 :]:
                assert not texts & other


def test_expressions_are_true_of_their_target():
    for seed in range(200):
        scene = sample_scene(seed, aspect=16 / 9)
        for index, thing in enumerate(scene.things):
            others = scene.things[:index] + scene.things[index + 1 :]
            rng = np.random.default_rng(seed)
            for kind, text in expressions(scene, index, rng):
                assert kind in TYPES
                if kind == "colour":
                    assert thing.colour in text or thing.colour == "cyan"
                    assert all(other.colour != thing.colour for other in others)
                if kind == "kind":
                    assert all(other.kind != thing.kind for other in others)
                if "leftmost" in text:
                    rivals = [
                        o for o in others if o.kind == thing.kind or text.split()[-1] in NOUNS
                    ]
                    for moment in (0.0, 0.5, 1.0):
                        x = pose(thing, moment).x
                        assert all(x < pose(rival, moment).x for rival in rivals)


def test_every_word_of_an_expression_is_in_the_vocabulary():
    encode = byte_pairs().encode
    known = {token for text in every_text() for token in encode(text)}
    for seed in range(300):
        scene = sample_scene(seed, aspect=1.2)
        for index in range(len(scene.things)):
            for _, text in expressions(scene, index, np.random.default_rng(seed)):
                assert set(encode(text)) <= known


def test_every_type_of_expression_occurs():
    found = {
        kind
        for seed in range(60)
        for target in render(seed, size=(30, 40), frame_count=2).targets
        for kind, _ in target.expressions
    }
    assert found == set(TYPES)


def test_unlike_clips_show_the_same_scene_otherwise():
    usual = render(7, size=(60, 90), frame_count=1)
    unlike = render(7, size=(60, 90), frame_count=1, style="unlike")
    assert not np.array_equal(usual.frames, unlike.frames)


def test_photographs_take_the_place_of_the_background():
    photograph = np.full((40, 60, 3), 77, dtype=np.uint8)
    photograph[:20] = 200
    clip = render(5, size=(40, 60), frame_count=1, photographs=[photograph])
    things = np.any([t.masks[0] | t.ignore[0] for t in clip.targets], axis=0)
    ground = clip.frames[0][~things]
    assert np.median(np.abs(ground.astype(float) - photograph[~things])) < 40


def test_outlines_are_closed_rings_within_reach():
    for kind in KINDS:
        for ring in outline(kind):
            assert ring.ndim == 2
            assert np.abs(ring).max() < 1.3
            assert len(ring) >= 12
