"""SAM 3's real code at toy size: driven frame by frame, tidied here, made into a draft."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model import catalog
from model.pictures import SAM3_DEVIATION, SAM3_MEAN, squeezed
from model.segmenter import ModelError
from model.segmenters.sam3_segmenter import Sam3Segmenter
from model.segmenters.sam3_video import CONTEXT, Sam3Video, build, distinct, tidied
from model.segmenters.tokenizer import BEGIN, END, byte_pairs, framed
from model.weight_files import file_hash, weights_hash
from tests.model.toy_sam3 import SIDE, believing, toy_model, write_toy

SIZE = (53, 81)
EXPRESSION = "the orange disc"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp("sam3"))


@pytest.fixture
def segmenter(weights) -> Sam3Segmenter:
    return catalog.load_segmenter("sam3", "cpu", weights)


class Clip(list[np.ndarray]):
    """A block that moves over noise; it is counted how often a frame is asked for."""

    asked = 0

    def __init__(self, length: int) -> None:
        super().__init__()
        for index in range(length):
            frame = np.random.default_rng(index).integers(0, 60, (*SIZE, 3), dtype=np.uint8)
            frame[15:30, 7 + index : 36 + index] = (220, 120, 40)
            frame.setflags(write=False)  # as stored frames are read
            self.append(frame)

    def __getitem__(self, index):
        self.asked += 1
        return super().__getitem__(index)


def all_frames(steps):
    return [frame for step in steps for frame in step.frames]


def test_things_are_followed_as_the_library_follows_them_in_a_clip_it_holds_whole():
    """Frames are made when needed and memory is dropped on the way: not a bit may differ."""
    from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

    frames = Clip(20)
    video = Sam3Video(toy_model(), "cpu")  # the library's loop runs what is tidied here, too
    pixels = [
        squeezed(frame, SIDE, torch.device("cpu"), mean=SAM3_MEAN, deviation=SAM3_DEVIATION)[0]
        for frame in frames
    ]
    session = Sam3VideoInferenceSession(torch.stack(pixels), *SIZE, dtype=torch.float32)
    prompt = session.add_prompt(EXPRESSION)
    words = byte_pairs().encode(EXPRESSION)
    session.prompt_input_ids[prompt] = torch.tensor(
        [framed(words, begin=BEGIN, end=END, pad=END, context=CONTEXT)]
    )
    session.prompt_attention_masks[prompt] = torch.tensor(
        [[1] * (len(words) + 2) + [0] * (CONTEXT - len(words) - 2)]
    )
    expected = {
        found.frame_idx: found for found in video._network.propagate_in_video_iterator(session)
    }

    seen = list(video.follow(frames, EXPRESSION))

    assert [one.frame_index for one in seen] == list(range(20)) == sorted(expected)
    for one in seen:
        theirs = expected[one.frame_index].obj_id_to_mask
        assert one.logits.keys() == theirs.keys()
        for number, logits in one.logits.items():
            assert np.array_equal(logits, theirs[number][0].numpy())
    assert seen[-1].withdrawn == expected[19].removed_obj_ids
    assert len(seen[-1].withdrawn) > 1
    assert len(seen[-1].scores) > len(seen[-1].withdrawn)


def test_of_a_long_clip_little_is_held(weights):
    video = Sam3Video(toy_model(), "cpu")
    frames = Clip(24)
    sessions = []
    begin = video._session
    video._session = lambda *given: sessions.append(begin(*given)) or sessions[0]

    for _ in video.follow(frames, EXPRESSION):
        pass

    (session,) = sessions
    assert dict.__len__(session.processed_frames) == 0, "no frame stays"
    held = list(session.output_dict_per_obj.values())
    assert held
    for outputs in held:
        passed = outputs["non_cond_frame_outputs"]
        assert all(index >= 24 - 16 for index in passed)
        entries = [*passed.values(), *outputs["cond_frame_outputs"].values()]
        assert not any("high_res_masks" in entry for entry in entries)
    assert len(session.obj_id_to_tracker_score_frame_wise) <= 1


def test_every_frame_has_all_things_found_and_the_surest_is_chosen(segmenter):
    frames = Clip(11)

    steps = list(segmenter.segment(frames, EXPRESSION))

    drawn = all_frames(steps)
    assert [frame.frame_index for frame in drawn] == list(range(11))
    (ranking,) = {step.ranking for step in steps if step.frames}
    assert ranking.chosen == 0
    assert list(ranking.scores) == sorted(ranking.scores, reverse=True)
    assert len(ranking.scores) > 2
    for frame in drawn:
        *things, together = frame.queries
        assert len(frame.queries) == len(ranking.scores)
        assert np.array_equal(frame.mask, things[0].mask)
        assert np.array_equal(together.mask, np.any([one.mask for one in things], axis=0))
        assert {one.mask.shape for one in frame.queries} == {SIZE}
        assert {one.soft_map.shape for one in frame.queries} == {(32, 32)}
    assert any(frame.mask.any() for frame in drawn)
    following = [step for step in steps if not step.frames]
    assert [step.done for step in following] == list(range(1, 12))
    assert {step.total for step in steps} == {11}


def test_each_step_looks_at_one_frame(segmenter):
    frames = Clip(6)
    asked = []

    for step in segmenter.segment(frames, EXPRESSION):
        if not step.frames:
            asked.append(frames.asked)

    assert max(np.diff(asked)) == 1


def test_two_runs_in_a_row_are_the_same(segmenter):
    """A session used twice would hide what the first run withdrew."""
    frames = Clip(5)

    first, second = (all_frames(segmenter.segment(frames, EXPRESSION)) for _ in range(2))

    assert all(np.array_equal(a.mask, b.mask) for a, b in zip(first, second, strict=True))


def test_what_is_not_there_has_empty_masks():
    unbelieving = Sam3Segmenter(
        "toy", Sam3Video(believing(toy_model(), -20.0), "cpu"), weights_hash=""
    )

    steps = list(unbelieving.segment(Clip(4), EXPRESSION))

    drawn = all_frames(steps)
    assert [frame.frame_index for frame in drawn] == list(range(4))
    assert not any(frame.mask.any() or frame.queries for frame in drawn)
    assert steps[-1].stage == "nothing of that name was found"
    assert steps[-1].ranking is None


def test_more_words_than_it_reads_are_cut_and_reported(segmenter):
    long = "the orange disc " * 12

    report = segmenter.describe_expression(long)

    assert report.cut
    assert report.kept_text == ("the orange disc " * 10).strip()
    assert not segmenter.describe_expression(EXPRESSION).cut
    assert len(all_frames(segmenter.segment(Clip(1), long))) == 1


@pytest.mark.parametrize(
    ("frames", "expression", "said"), [(0, EXPRESSION, "no frames"), (1, " ", "no words")]
)
def test_what_cannot_be_looked_for_is_one_sentence(segmenter, frames, expression, said):
    with pytest.raises(ModelError, match=said):
        list(segmenter.segment(Clip(frames), expression))


def logits_of(*masks):
    return torch.stack([torch.from_numpy(np.where(mask, 5.0, -5.0)).float() for mask in masks])


def block(top, bottom, left, right):
    mask = np.zeros((40, 60), dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def test_of_detections_of_one_thing_the_surest_stays():
    found = {
        "bbox": torch.arange(12.0).reshape(3, 4),
        "mask": logits_of(block(0, 10, 0, 10), block(1, 11, 0, 10), block(20, 30, 40, 50)),
        "scores": torch.tensor([0.6, 0.9, 0.5]),
    }

    kept = distinct(found)

    assert kept["scores"].tolist() == pytest.approx([0.9, 0.5])
    assert torch.equal(kept["bbox"], found["bbox"][1:])
    assert torch.equal(kept["mask"], found["mask"][1:])
    none = {name: values[:0] for name, values in found.items()}
    assert len(distinct(none)["scores"]) == 0


def test_small_holes_are_filled_and_small_islands_go_but_a_small_thing_stays():
    holed = block(5, 30, 5, 30)
    holed[10:14, 10:14] = False  # as large as noise may be
    holed[20:25, 20:24] = False  # larger
    island = holed | block(35, 37, 50, 53)
    tiny = block(2, 4, 2, 4)

    tidy = tidied(logits_of(island, tiny)).numpy()

    assert (tidy[0, 10:14, 10:14] > 0).all()
    assert not (tidy[0, 20:25, 20:24] > 0).any()
    assert not (tidy[0, 35:37, 50:53] > 0).any()
    assert np.array_equal(tidy[1] > 0, tiny)


def test_nothing_compiled_is_asked_for(weights, monkeypatch):
    """The library would fetch code for what is tidied here."""

    def asked(*_):
        raise AssertionError("asked for compiled code")

    monkeypatch.setattr(
        "transformers.models.sam3_video.modeling_sam3_video._load_cv_utils_kernel_once", asked
    )

    segmenter = catalog.load_segmenter("sam3", "cpu", weights)

    assert len(all_frames(segmenter.segment(Clip(2), EXPRESSION))) == 2


def test_the_network_for_the_official_file_has_its_size():
    with torch.device("meta"):
        network = build()

    assert sum(values.numel() for values in network.parameters()) == 859_921_848
    assert len(network.state_dict()) == 1797


def test_the_file_is_shared_with_the_tracker(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("REFSCRIBE_SAM3", str(weights))
    (weights / "sam3.pt").touch()  # the same weights in another form

    assert catalog.weights_path("sam3") == catalog.weights_path("sam3-tracker") == weights
    assert weights_hash("sam3") == file_hash(weights / "model.safetensors")
    assert "needs a GPU with 16 GB" in catalog.state("sam3", "cpu").sentence
    assert catalog.load_segmenter("sam3", "cpu").weights_hash == weights_hash("sam3")


def lacks_the_words(folder):
    tensors = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if "text_encoder" not in name}
    save_file(kept, folder / "model.safetensors")


def is_another_network(folder):
    (folder / "config.json").write_text(json.dumps({"model_type": "sam3_tracker"}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lacks_the_words, r"do not fit SAM 3: [0-9]+ missing \(detector_model\.text_encoder"),
        (is_another_network, r"does not describe SAM 3: it describes sam3_tracker\."),
    ],
)
def test_files_that_do_not_fit_are_refused_in_one_sentence(tmp_path, spoil, said):
    write_toy(tmp_path)
    spoil(tmp_path)

    with pytest.raises(ModelError, match=said):
        catalog.load_segmenter("sam3", "cpu", tmp_path)
