"""The demo weights that ship: whole, small, and better than chance on clips never trained on."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from benchmarks.demo_weights import items, measure
from model.catalog import DEMO, load_segmenter
from model.training.score import mean_scores

MODELS = ("rem", "vdit")
EASY = {"rem": "colour", "vdit": "kind"}  # the type of expression each learned best
LARGEST = 25_000_000  # bytes of all demo weights together


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return request.param


@pytest.fixture(scope="module")
def segmenter(model):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load_segmenter(f"{model}-demo", "cpu")
    torch.set_num_threads(before)


def test_the_files_are_small_and_described():
    files = [path for model in MODELS for path in (DEMO / model).iterdir()]
    assert {path.name for path in files} == {"README.md", "config.json", "weights.safetensors"}
    assert sum(path.stat().st_size for path in files) <= LARGEST


def test_things_are_found_in_clips_never_trained_on(model, segmenter):
    chosen = islice((item for item in items(6) if item.kind == EASY[model]), 6)
    score = mean_scores(measure(segmenter, chosen)[EASY[model]])
    assert score.j > 0.3
    assert score.picked > 0.5


def test_the_expression_decides(model, segmenter):
    """Two expressions of one clip give masks that differ, each on its own thing."""
    for item in items(20):
        texts = [dict(target.expressions).get(EASY[model]) for target in item.clip.targets]
        asked = [text for text in texts if text is not None]
        if len(asked) > 1:
            break
    masks = []
    for text in asked[:2]:
        found = np.zeros(item.clip.frames.shape[:3], dtype=bool)
        for step in segmenter.segment(list(item.clip.frames), text):
            for frame in step.frames:
                found[frame.frame_index] = frame.mask
        masks.append(found)
    both, either = (masks[0] & masks[1]).sum(), (masks[0] | masks[1]).sum()
    assert either > 0
    assert both < 0.5 * either


def test_words_it_never_saw_are_named(segmenter):
    assert segmenter.describe_expression("the red star").unknown_words == ()
    assert segmenter.describe_expression("the red giraffe").unknown_words == ("giraffe",)
