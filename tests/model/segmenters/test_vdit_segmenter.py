"""VD-IT on whole clips: prepared as the official scripts do, one query for the clip, any length."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.segmenter import ModelError
from model.segmenters.tokenizer import CompactTokenizer, compact_vocabulary
from model.segmenters.vdit import VdIt
from model.segmenters.vdit_segmenter import VdItSegmenter, normalised_frames, padded
from tests.model.segmenters.test_vdit import reference, toy_config

WORDS = ("the", "red", "kite", "smoke")


class ToyWords:
    def encode(self, text: str) -> list[int]:
        return [0, *(3 + WORDS.index(word) for word in text.split()), 2]


@cache
def network() -> VdIt:
    torch.manual_seed(3)
    return VdIt(toy_config())


def segmenter(**changes) -> VdItSegmenter:
    clip_tokenizer = CompactTokenizer(compact_vocabulary([" ".join(WORDS)]))
    settings = {"weights_hash": "toy", "short_side": 96, **changes}
    return VdItSegmenter("vdit-toy", network(), clip_tokenizer, ToyWords(), **settings)


def clip(frame_count: int, height: int = 51, width: int = 67) -> list[np.ndarray]:
    random = np.random.default_rng(2)
    return [random.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(frame_count)]


def drafted(segmenter_: VdItSegmenter, frames, **more):
    return [
        frame
        for step in segmenter_.segment(frames, "the red kite", **more)
        for frame in step.frames
    ]


@pytest.mark.parametrize(("case", "short_side"), [("a", 58), ("b", 96)])
def test_frames_are_prepared_as_the_official_scripts_do(case, short_side):
    golden = load_file(reference(f"vdit_case_{case}.safetensors"))

    values = normalised_frames(list(golden["frames_uint8"].numpy()), short_side)

    assert values.shape == golden["pixel_values"].shape
    assert float((values - golden["pixel_values"]).abs().max()) <= 1e-4


def test_padding_lies_at_the_right_and_bottom():
    values, padding = padded(torch.ones(1, 3, 20, 33))

    assert values.shape == (1, 3, 32, 48)
    assert padding.shape == (32, 48)
    assert not padding[:20, :33].any()
    assert padding[20:].all()
    assert padding[:, 33:].all()


@pytest.mark.parametrize("frame_count", [1, 4])
def test_every_frame_gets_a_mask_at_its_own_size(frame_count):
    frames = drafted(segmenter(), clip(frame_count))

    assert [one.frame_index for one in frames] == list(range(frame_count))
    assert all(one.mask.shape == (51, 67) for one in frames)
    assert all(one.soft_map.shape == (96, 126) for one in frames)


def test_one_query_is_kept_over_the_clip_and_the_others_come_along():
    steps = list(segmenter().segment(clip(3), "the red kite"))

    frames = [frame for step in steps for frame in step.frames]
    rankings = {step.ranking for step in steps if step.frames}
    assert len(rankings) == 1
    ranking = rankings.pop()
    assert ranking.chosen == int(np.argmax(ranking.scores))
    for frame in frames:
        assert len(frame.queries) == len(ranking.scores) == 5
        assert np.array_equal(frame.mask, frame.queries[ranking.chosen].mask)
        assert np.array_equal(frame.soft_map, frame.queries[ranking.chosen].soft_map)
    others = {query for query in range(5) if query != ranking.chosen}
    assert any(
        not np.array_equal(frame.soft_map, frame.queries[other].soft_map)
        for frame in frames
        for other in others
    )


def test_windows_bound_what_the_networks_see_at_once():
    seen = []
    hook = network().features.register_forward_pre_hook(
        lambda _module, inputs: seen.append(len(inputs[0]))
    )

    frames = drafted(segmenter(window_frames=2), clip(5))
    hook.remove()

    assert seen == [2, 2, 1]
    assert [one.frame_index for one in frames] == list(range(5))


def test_windows_may_be_spread_over_the_clip_and_answer_every_frame_in_order():
    frames = clip(5)  # windows of frames 0 and 3, 1 and 4, 2
    together = drafted(segmenter(), [frames[0], frames[3]])

    seen = drafted(segmenter(window_frames=2, spread=True), frames)

    assert [frame.frame_index for frame in seen] == [0, 1, 2, 3, 4]
    for frame, alone in zip((seen[0], seen[3]), together, strict=True):
        for query, same in zip(frame.queries, alone.queries, strict=True):
            assert np.array_equal(query.soft_map, same.soft_map)


def test_the_same_seed_gives_the_same_draft():
    frames = clip(2)

    first, again = (drafted(segmenter(), frames, seed=9) for _ in range(2))

    assert all(np.array_equal(a.soft_map, b.soft_map) for a, b in zip(first, again, strict=True))


def test_an_empty_clip_or_expression_is_refused():
    with pytest.raises(ModelError, match="no frames"):
        next(segmenter().segment([], "smoke"))
    with pytest.raises(ModelError, match="no words"):
        next(segmenter().segment(clip(1), " "))


def test_running_out_of_memory_is_a_sentence():
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB.")

    hook = network().register_forward_hook(fail)
    with pytest.raises(ModelError, match="vdit-toy ran out of memory on 3 frames at once"):
        drafted(segmenter(), clip(3))
    hook.remove()
