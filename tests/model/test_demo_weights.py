"""The demo weights that ship: whole, small, and as good as their cards say."""

from __future__ import annotations

import math
import re
from itertools import islice

import numpy as np
import pytest
import torch

from benchmarks.demo_weights import items, measure
from model.catalog import DEMO, load_segmenter
from model.training.score import mean_scores

MODELS = ("rem", "vdit")
EASY = {"rem": "colour", "vdit": "place"}  # the type of expression each learned best
MEASURED = 8  # items of that type
ITEMS_OF_THE_CARD = 60
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


def on_the_card(model: str, kind: str) -> list[tuple[float, float]]:
    """J and picked, each with its standard error, by `kind` and drawn as in training."""
    card = (DEMO / model / "README.md").read_text()
    assert f"{ITEMS_OF_THE_CARD} items of each type" in card
    [row] = re.findall(rf"^\| {re.escape(kind)} \|(.*)$", card, re.M)
    figures = re.findall(r"([\d.]+) ± ([\d.]+)", row)[:2]
    return [(float(mean), float(error)) for mean, error in figures]


def test_the_masks_are_as_good_as_the_card_says(model, segmenter):
    """Measured on the first of the very items the card's figures are the mean of."""
    kind = EASY[model]
    (j, error), (picked, _) = on_the_card(model, kind)

    chosen = (item for item in items(ITEMS_OF_THE_CARD) if item.kind == kind)
    score = mean_scores(measure(segmenter, islice(chosen, MEASURED))[kind])

    # How far the mean of so many drawn from the card's items strays from the mean of them all.
    rounded_up = error + 0.005
    strays = rounded_up * math.sqrt(ITEMS_OF_THE_CARD / MEASURED - 1)
    assert abs(score.j - j) <= 2 * strays
    missed = round((1 - picked) * ITEMS_OF_THE_CARD)
    assert score.picked * MEASURED >= MEASURED - missed


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
