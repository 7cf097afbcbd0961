"""The parts of the training of VD-IT's demo weights, at sizes that take seconds."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from model.catalog import load_segmenter
from model.segmenter import ModelError
from model.segmenters.vdit_demo import config_from
from model.segmenters.vdit_features import vae_frames
from model.synthetic.clips import render
from model.training.clips import HELD_OUT_SEED, ShardPlan
from model.training.state import Progress, running_mean, save_state
from model.training.vdit import (
    SINGLE,
    VIDEO,
    answer,
    check,
    encode,
    export_vdit,
    fresh_parts,
    stage_loss,
    start_of,
)
from model.training.vdit_batches import Ask, draw_asks, pictures, wanted
from model.training.vdit_clips import COLOUR_NAMES, UNKNOWN, render_labelled
from model.training.vdit_criterion import ClipTarget, total_loss, vdit_losses
from model.training.vdit_encoder import (
    ENCODER_FILE,
    Probe,
    check_encoder,
    encoder_loss,
    labels,
    look,
    number_tensor,
    picture_tensor,
    thing_boxes,
    train_encoder,
)
from model.training.vdit_networks import demo_config, demo_tokenizer, new_network
from model.training.vdit_objective import stacked_loss
from model.weights import check as check_weights

HEIGHT = 32


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tokenizer():
    return demo_tokenizer()


@pytest.fixture
def network(tokenizer):
    return new_network(demo_config(len(tokenizer.vocabulary)))


def shard_of(frame_count: int, clips: int = 3):
    return render_labelled(ShardPlan((HEIGHT, 0), frame_count, clips, 0), 2)


def descend(parameters, loss, steps, rate=1e-3):
    """The losses of a few steps of Adam on one and the same batch."""
    optimizer = torch.optim.Adam(parameters, lr=rate)
    losses = []
    for _ in range(steps):
        value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def test_a_label_of_a_colour_stands_on_pixels_of_that_colour():
    shard = render_labelled(ShardPlan((64, 0), 1, 24, 0), 0)
    wanted_ = labels(number_tensor(shard.things), torch.from_numpy(shard.looks))
    values, _ = picture_tensor(shard.frames)
    cells = vae_frames(values)[:, :, 2::4, 2::4].movedim(1, -1)
    red, green, blue = (
        cells[wanted_.colours == COLOUR_NAMES.index(name)].mean(0)
        for name in ("red", "green", "blue")
    )
    assert red.argmax() == 0
    assert green.argmax() == 1
    assert blue.argmax() == 2
    assert (wanted_.kinds == UNKNOWN)[wanted_.things == 0].all()


def test_boxes_hold_every_pixel_of_a_thing_and_no_row_more():
    numbers = torch.zeros(1, 8, 8, dtype=torch.long)
    numbers[0, 2:5, 1:7] = 1
    numbers[0, 7, 7] = 2
    assert thing_boxes(numbers, 4)[0].tolist() == [
        [0, 0, 8, 8], [1, 2, 7, 5], [7, 7, 8, 8], [0, 0, 0, 0],
    ]  # fmt: skip
    sides = labels(numbers, torch.full((1, 4, 2), UNKNOWN)).sides
    # The cell's middle (2, 2) is 1 from the left side, 0 from the top, 5 and 3 from the others.
    assert (sides[0, :, 0, 0] * 32).tolist() == [1, 0, 5, 3]


def test_a_fresh_encoder_already_lets_colour_through(network):
    shard = shard_of(1, 6)
    frames = vae_frames(picture_tensor(shard.frames)[0])
    with torch.no_grad():
        means = network.features.vae.encode(frames).latent_dist.mode()[:, :3]
    small = torch.nn.functional.avg_pool2d(frames, 8)
    for channel in range(3):
        pair = torch.stack([small[:, channel].flatten(), means[:, channel].flatten()])
        assert torch.corrcoef(pair)[0, 1] > 0.85


def test_a_few_steps_lower_the_encoders_loss(network):
    shard, vae = shard_of(1), network.features.vae
    probe = Probe(vae.config.block_out_channels[2])
    losses = descend(
        [*vae.parameters(), *probe.parameters()],
        lambda: encoder_loss(*look(vae, probe, shard, slice(None))),
        steps=8,
    )
    assert losses[-1] < 0.9 * losses[0]
    assert 0 <= check_encoder(vae, probe, shard).colours <= 1


@pytest.mark.parametrize("stage", [SINGLE, VIDEO])
def test_a_few_steps_lower_the_networks_loss(network, tokenizer, stage):
    seen = pictures(shard_of(stage.frame_count))
    asks = draw_asks(seen, stage, np.random.default_rng(0))
    parts = fresh_parts(network.config)
    losses = descend(parts.parameters(), lambda: stage_loss(parts, seen, asks, tokenizer), steps=6)
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("stage", [SINGLE, VIDEO])
@torch.no_grad()
def test_stacked_clips_have_the_mean_of_the_losses_each_has_alone(network, tokenizer, stage):
    seen = pictures(shard_of(stage.frame_count))
    asks = draw_asks(seen, stage, np.random.default_rng(1))
    queries, _ = answer(network, encode(network, seen), asks, tokenizer)
    targets = wanted(seen, asks)
    apart = []
    for index in range(len(asks)):
        part = slice(index * stage.frame_count, (index + 1) * stage.frame_count)
        target = ClipTarget(targets.boxes[part], targets.masks[part], targets.present[part])
        apart.append(total_loss(vdit_losses(network, queries.part(part), target)))
    together = stacked_loss(network, queries, targets, len(asks))
    assert together.item() == pytest.approx(torch.stack(apart).mean().item(), rel=1e-4)


@pytest.mark.parametrize("stage", [SINGLE, VIDEO])
@torch.no_grad()
def test_stacked_clips_are_answered_as_each_alone(network, tokenizer, stage):
    for parameter in network.parameters():  # temporal layers are no identities any more
        parameter.add_(0.02 * torch.randn_like(parameter))
    clips = encode(network, pictures(shard_of(stage.frame_count)))
    asks = [Ask(0, 1, "the thing moving to the left"), Ask(1, 1, "the red star")]
    both, _ = answer(network, clips, asks, tokenizer)
    for index, ask in enumerate(asks):
        alone, _ = answer(network, clips, [ask], tokenizer)
        part = slice(index * stage.frame_count, (index + 1) * stage.frame_count)
        # Bounded by the half precision the training runs its features in.
        assert torch.allclose(both.boxes[:, part], alone.boxes, atol=0.02)
        assert torch.allclose(both.scores[:, part], alone.scores, atol=0.1)


def test_what_is_asked_for_is_seen_and_of_the_clip():
    seen = pictures(shard_of(2))
    rng = np.random.default_rng(3)
    for _ in range(5):
        asks = draw_asks(seen, VIDEO, rng)
        target = wanted(seen, asks)
        assert target.present.unflatten(0, (len(asks), 2)).any(1).all()
        inside = target.boxes[target.present]
        assert (inside >= 0).all()
        assert (inside <= 1).all()
        for ask in asks:
            assert ask.text in [text for _, text in seen.targets[ask.clip][ask.thing - 1]]


def test_scores_are_kept_by_type_of_expression(network, tokenizer):
    scores = check(network, tokenizer, replace(SINGLE, clips=2))
    assert {"colour", "kind", "place"} <= set(scores)
    assert all(0 <= score.j <= 1 for score in scores.values())


def test_stages_follow_each_other_and_what_is_exported_segments(tmp_path, tokenizer):
    with pytest.raises(FileNotFoundError):
        start_of(SINGLE, tmp_path, tokenizer)
    train_encoder(tmp_path, seconds=0.001)
    assert (tmp_path / ENCODER_FILE).is_file()
    single = start_of(SINGLE, tmp_path, tokenizer)
    with pytest.raises(FileNotFoundError):
        export_vdit(tmp_path, tmp_path / "weights")
    optimizer = torch.optim.AdamW(single.parameters())
    average = running_mean(single, 0.9)
    save_state(SINGLE.file(tmp_path), single, optimizer, average, Progress(1, 1.0))
    video = start_of(VIDEO, tmp_path, tokenizer)
    learned, taken_over = (dict(both.named_parameters()) for both in (single, video))
    assert all(torch.equal(value, taken_over[name]) for name, value in learned.items())
    assert not any(p.requires_grad for n, p in taken_over.items() if ".vae." in n)

    export_vdit(tmp_path, tmp_path / "weights")
    assert check_weights(tmp_path / "weights").startswith("VD-IT demo")
    segmenter = load_segmenter("vdit-demo", "cpu", tmp_path / "weights")
    frames = list(render(1, size=(20, 30), frame_count=3).frames)
    steps = list(segmenter.segment(frames, "the red star"))
    delivered = [frame for step in steps for frame in step.frames]
    assert [frame.frame_index for frame in delivered] == [0, 1, 2]
    assert all(frame.mask.shape == (20, 30) for frame in delivered)


def test_sizes_nobody_knows_are_refused():
    with pytest.raises(ModelError, match="depth"):
        config_from({"depth": 3})


def test_the_trainings_stay_clear_of_the_seeds_held_out_and_of_each_other():
    clips_of_a_long_training = 10_000_000
    first = sorted([SINGLE.first_seed, VIDEO.first_seed, HELD_OUT_SEED])
    assert all(b - a > clips_of_a_long_training for a, b in pairwise(first))
