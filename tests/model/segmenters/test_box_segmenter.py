"""Grounding DINO's real code at toy size with a refiner: found by words, drawn, carried."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model import catalog, hub
from model.segmenter import ModelError
from model.segmenters.box_segmenter import BoxSegmenter, key_frames, surest
from model.segmenters.grounding_dino import load_network
from model.weight_files import file_hash, weights_hash
from tests.model.refiners import toy_edgetam
from tests.model.segmenters.toy_grounding_dino import blind, toy_network, write_toy

SIZE = (53, 81)
EXPRESSION = "the orange disc that moves"
CARRIER = "REFSCRIBE_GROUNDING_DINO_REFINER"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp("grounding"))


@pytest.fixture
def segmenter(weights, tmp_path, monkeypatch) -> BoxSegmenter:
    """Toy Grounding DINO with toy EdgeTAM, both through the code that loads a person's own."""
    monkeypatch.setenv(CARRIER, "edgetam")
    monkeypatch.setenv("REFSCRIBE_EDGETAM", str(toy_edgetam.write_toy(tmp_path / "edgetam")))
    return catalog.load_segmenter("grounding-dino", "cpu", weights)


def clip(length: int) -> list[np.ndarray]:
    frames = np.random.default_rng(2).integers(0, 255, (length, *SIZE, 3), dtype=np.uint8)
    frames.setflags(write=False)  # as stored frames are read
    return list(frames)


def test_each_frame_comes_once_and_every_step_tells_how_far_it_is(segmenter):
    frames = clip(9)

    steps = list(segmenter.segment(frames, EXPRESSION))

    drawn = [frame for step in steps for frame in step.frames]
    assert sorted(frame.frame_index for frame in drawn) == list(range(9))
    assert {(frame.mask.shape, frame.soft_map.shape) for frame in drawn} == {(SIZE, SIZE)}
    assert all(np.array_equal(frame.soft_map > 127, frame.mask) for frame in drawn)
    assert all(len(step.frames) <= 1 for step in steps)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert (done[-1], steps[-1].total) == (14, 14)
    assert "found on 5 frames" in steps[4].stage


def test_what_is_in_the_surest_box_is_drawn_and_carried(segmenter, weights):
    frames = clip(9)
    finder = load_network(weights, "cpu")
    found = {index: finder.find(frames[index], EXPRESSION) for index in key_frames(9)}
    first, *_ = surest(found)

    drawn = next(step.frames[0] for step in segmenter.segment(frames, EXPRESSION) if step.frames)

    refiner = catalog.load_refiner("edgetam", "cpu")
    expected = refiner.refine(frames[first], [], None, key=0, box=found[first].box)
    assert drawn.frame_index == first
    assert np.array_equal(drawn.mask, expected.mask)
    assert 0.25 < found[first].score <= 1


def test_a_box_lies_inside_its_frame_and_depends_on_the_words(weights):
    finder = load_network(weights, "cpu")
    frame = clip(1)[0]

    found, other = finder.find(frame, EXPRESSION), finder.find(frame, "a kite")

    for box in (found.box, other.box):
        assert 0 <= box.left < box.right <= SIZE[1]
        assert 0 <= box.top < box.bottom <= SIZE[0]
    assert found != other


def test_a_target_that_is_found_nowhere_has_empty_masks(tmp_path, segmenter):
    write_toy(tmp_path / "blind", blind(toy_network()))
    finder = load_network(tmp_path / "blind", "cpu")
    blinded = BoxSegmenter("blind", finder, catalog.load_refiner("edgetam", "cpu"), weights_hash="")

    steps = list(blinded.segment(clip(6), EXPRESSION))

    drawn = [frame for step in steps for frame in step.frames]
    assert [frame.frame_index for frame in drawn] == list(range(6))
    assert not any(frame.mask.any() for frame in drawn)
    assert "found on no frame" in steps[-1].stage


def test_a_clip_of_one_frame_is_a_clip(segmenter):
    drawn = [frame for step in segmenter.segment(clip(1), EXPRESSION) for frame in step.frames]

    assert [frame.frame_index for frame in drawn] == [0]


def test_full_stops_are_taken_out_since_they_part_phrases(segmenter, weights):
    report = segmenter.describe_expression("The disc. It moves.")

    assert report.kept_text == "The disc It moves"
    assert not report.cut
    finder, frame = load_network(weights, "cpu"), clip(1)[0]
    assert finder.find(frame, "The disc. It moves.") == finder.find(frame, "the disc it moves")


def test_what_the_network_does_not_read_is_reported(segmenter):
    kept = " ".join(["the disc"] * 126)

    report = segmenter.describe_expression(f"{kept} the disc that moves")

    assert report.cut
    assert report.kept_text == f"{kept} the"
    assert segmenter.describe_expression("the zebra").unknown_words == ("zebra",)
    longer = segmenter.segment(clip(1), f"{kept} the disc that moves")
    assert sum(len(step.frames) for step in longer) == 1


@pytest.mark.parametrize(
    ("frames", "expression", "said"),
    [(0, EXPRESSION, "no frames"), (2, " . ", "no words")],
)
def test_what_cannot_be_looked_for_is_one_sentence(segmenter, frames, expression, said):
    with pytest.raises(ModelError, match=said):
        list(segmenter.segment(clip(frames), expression))


def test_the_refiner_that_draws_is_mobile_sam_unless_another_is_named(weights, monkeypatch):
    monkeypatch.delenv(CARRIER, raising=False)
    hashed = file_hash(weights / "model.safetensors")
    assert weights_hash("grounding-dino", weights) == f"{hashed}+mobile-sam"
    assert catalog.state("grounding-dino", "cpu", weights).ready
    assert catalog.load_segmenter("grounding-dino", "cpu", weights).weights_hash.endswith(
        "mobile-sam"
    )

    monkeypatch.setenv(CARRIER, "sam2.1-large")
    monkeypatch.setenv("REFSCRIBE_SAM2_LARGE", "/nowhere")
    assert weights_hash("grounding-dino", weights) == f"{hashed}+sam2.1-large"
    said = catalog.state("grounding-dino", "cpu", weights).sentence
    assert said.startswith("SAM 2.1 large, which draws for it: there are no weights at")

    monkeypatch.setenv(CARRIER, "rem")
    assert "no refiner called 'rem'" in catalog.state("grounding-dino", "cpu", weights).sentence


def test_only_the_files_it_needs_are_fetched():
    names = [
        "README.md",
        "model.safetensors",
        "pytorch_model.bin",
        "special_tokens_map.json",
        "vocab.txt",
        *hub.GROUNDING_DINO_FILES,
    ]

    chosen = [hub.chosen(need, names) for need in hub.needs("grounding-dino")]

    assert chosen == [["model.safetensors"], list(hub.GROUNDING_DINO_FILES)]


def lacks_a_tensor(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["model.level_embed"]
    weights["model.enc_output.bias"] = torch.zeros(3)
    save_file({**weights, "stray": torch.zeros(1)}, folder / "model.safetensors", {"format": "pt"})


def is_damaged(folder):
    (folder / "model.safetensors").write_bytes(b"\x80\x00 not weights")


def lacks_its_words(folder):
    (folder / "tokenizer.json").unlink()


def is_another_network(folder):
    (folder / "config.json").write_text('{"model_type": "bert", "backbone_config": {}}')


def has_an_encoder_from_elsewhere(folder):
    description = json.loads((folder / "config.json").read_text())
    description["backbone_config"]["model_type"] = "timm_backbone"
    (folder / "config.json").write_text(json.dumps(description))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lacks_a_tensor, r"1 missing \(model\.level_embed\); 1 not known \(stray\); 1 of another"),
        (is_damaged, r"cannot be read from"),
        (lacks_its_words, r"needs tokenizer\.json beside its weights"),
        (is_another_network, r"does not describe Grounding DINO"),
        (has_an_encoder_from_elsewhere, r"describes grounding-dino on timm_backbone"),
    ],
)
def test_files_that_do_not_fit_are_refused_in_one_sentence(tmp_path, spoil, said):
    write_toy(tmp_path)
    spoil(tmp_path)

    with pytest.raises(ModelError, match=said) as refused:
        catalog.load_segmenter("grounding-dino", "cpu", tmp_path)

    assert "\n" not in str(refused.value)
