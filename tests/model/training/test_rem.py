"""The training's parts: batches, losses, stages that follow each other, checkpoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.catalog import load_segmenter
from model.synthetic.clips import render
from model.training.clips import (
    HELD_OUT_SEED,
    ShardPlan,
    asked,
    render_shard,
    sample_moments,
    shards,
)
from model.training.decoder import decoder_loss
from model.training.export import export
from model.training.networks import (
    TEXT_LENGTH,
    UNET_CONFIG,
    demo_vocabulary,
    leave_out_time,
    new_networks,
    predict,
    tokens,
)
from model.training.score import score_masks
from model.training.stages import draw_expression
from model.training.state import Progress, running_mean, save_state
from model.training.unet import (
    SINGLE,
    VIDEO,
    FrozenVae,
    draw_batch,
    encode_shard,
    grow_in_time,
    unet_loss,
)
from model.training.vae import frame_tensor, mask_tensor, new_vae, through, vae_loss

SIZE = (32, 32)
CHANNELS = UNET_CONFIG["out_channels"]


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def vae() -> FrozenVae:
    torch.manual_seed(0)
    return FrozenVae(new_vae().eval().requires_grad_(False), 1.0)


def test_a_fresh_autoencoder_already_lets_colour_through():
    torch.manual_seed(0)
    shard = render_shard(ShardPlan(SIZE, 1, 6, 0), 0)
    frames = frame_tensor(shard.frames[:, 0])
    with torch.no_grad():
        decoded = through(new_vae().eval(), frames)
    for channel in range(3):
        pair = torch.stack([frames[:, channel].flatten(), decoded[:, channel].flatten()])
        assert torch.corrcoef(pair)[0, 1] > 0.85


def test_a_few_steps_lower_the_autoencoders_loss():
    torch.manual_seed(0)
    shard = render_shard(ShardPlan(SIZE, 1, 2, 0), 0)
    frames, masks = frame_tensor(shard.frames[:, 0]), mask_tensor(shard.masks[:2, 0])
    vae = new_vae()
    losses = descend(vae, lambda: vae_loss(vae, frames, masks), steps=12, rate=3e-4)
    assert losses[-1] < 0.85 * losses[0]


def test_a_few_steps_lower_the_networks_loss(vae):
    pool = [encode_shard(vae, render_shard(ShardPlan(SIZE, 2, 2, 0), 0))]
    stage = replace(VIDEO, frame_count=2, clips=2)
    networks = new_networks(torch.zeros(CHANNELS))
    batch = draw_batch(pool, stage, np.random.default_rng(0))
    losses = descend(networks.together(), lambda: unet_loss(networks, batch), steps=8)
    assert losses[-1] < 0.8 * losses[0]


def test_a_few_steps_lower_the_decoders_loss():
    torch.manual_seed(0)
    masks = mask_tensor(render_shard(ShardPlan(SIZE, 1, 2, 0), 0).masks[:4, 0])
    vae = new_vae()
    losses = descend(vae.decoder, lambda: decoder_loss(vae, masks), steps=12, rate=3e-4)
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("video", [False, True])
def test_what_is_exported_loads_and_segments(tmp_path, video):
    networks, vae = new_networks(torch.zeros(CHANNELS)), new_vae()
    module = networks.together()
    for name, trained in (("vae", vae), ("video" if video else "single", module)):
        optimizer = torch.optim.AdamW(trained.parameters())
        average = running_mean(trained, 0.9)
        save_state(tmp_path / f"{name}.pt", trained, optimizer, average, Progress(1, 1.0))
    frozen = FrozenVae(vae.eval().requires_grad_(False), 0.8)
    export(tmp_path, tmp_path / "weights", vae=frozen, size=SIZE, video=video)
    segmenter = load_segmenter("rem-demo", "cpu", tmp_path / "weights")
    assert segmenter.networks.latent_scale == 0.8
    frames = list(render(1, size=(20, 30), frame_count=5).frames)
    steps = list(segmenter.segment(frames, "the red star"))
    delivered = [frame for step in steps for frame in step.frames]
    assert sorted(frame.frame_index for frame in delivered) == [0, 1, 2, 3, 4]
    assert all(frame.mask.shape == (20, 30) for frame in delivered)
    assert all(frame.soft_map.shape == SIZE for frame in delivered)


def test_without_a_training_there_is_nothing_to_export(tmp_path):
    vae = FrozenVae(new_vae(), 1.0)
    with pytest.raises(FileNotFoundError):
        export(tmp_path, tmp_path / "weights", vae=vae, size=SIZE)


def descend(module, loss, steps, rate=2e-3):
    """The losses of a few steps of Adam on one and the same batch."""
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def test_two_targets_of_a_clip_stand_side_by_side(vae):
    pool = [encode_shard(vae, render_shard(ShardPlan(SIZE, 1, 4, 0), 0))]
    batch = draw_batch(pool, SINGLE, np.random.default_rng(1))
    assert len(batch.texts) == len(batch.frames) == len(batch.masks) >= 2 * SINGLE.clips
    same = [torch.equal(a, b) for a, b in zip(batch.frames, batch.frames[1:], strict=False)]
    assert sum(same) >= SINGLE.clips // 2


def test_cells_that_any_target_covers_are_known(vae):
    shard = render_shard(ShardPlan(SIZE, 1, 3, 0), 0)
    encoded = encode_shard(vae, shard)
    for target, owner in enumerate(shard.clip_of):
        cells = shard.masks[target, 0].reshape(8, 4, 8, 4).any(axis=(1, 3))
        assert encoded.covered[owner, 0].numpy()[cells].all()
    assert encoded.frames.shape == (3, CHANNELS, 1, 8, 8)
    assert sorted(t for targets in encoded.targets_of for t in targets) == list(
        range(len(shard.masks))
    )


def test_a_single_frame_is_never_asked_for_what_only_time_shows():
    rng = np.random.default_rng(0)
    said = (("motion", "the star moving left"),)
    assert draw_expression(said, SINGLE, rng) is None
    assert draw_expression(said, VIDEO, rng) == "the star moving left"
    assert draw_expression((("motion", "the burning star"),), SINGLE, rng) is not None


def test_a_fresh_network_answers_the_empty_mask():
    empty = torch.linspace(-1, 1, CHANNELS)
    networks = new_networks(empty)
    ids = tokens(["the red star"], networks.vocabulary)
    with torch.no_grad():
        answer = predict(
            networks.unet.eval(), networks.text_encoder, torch.randn(1, CHANNELS, 2, 8, 8), ids
        )
    assert answer.shape == (1, CHANNELS, 2, 8, 8)
    assert (answer - empty[None, :, None, None, None]).abs().mean() < 0.2


def test_leaving_time_out_changes_nothing_at_first():
    latents = torch.randn(2, CHANNELS, 1, 8, 8)
    answers = []
    for without in (False, True):
        networks = new_networks(torch.zeros(CHANNELS))
        networks.unet.eval()
        if without:
            leave_out_time(networks.unet)
        ids = tokens(["the red star", "blue ring"], networks.vocabulary)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(5)
            answers.append(predict(networks.unet, networks.text_encoder, latents, ids, generator))
    assert torch.allclose(answers[0], answers[1], atol=1e-5)


def test_the_video_stage_begins_where_the_single_frame_stage_ended(tmp_path):
    single = new_networks(torch.zeros(CHANNELS))
    module = single.together()
    leave_out_time(single.unet)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.01)
    optimizer = torch.optim.AdamW(module.parameters())
    average = running_mean(module, 0.9)
    save_state(tmp_path / "single.pt", module, optimizer, average, Progress(3, 2.0))
    video = new_networks(torch.zeros(CHANNELS))
    grow_in_time(tmp_path / "single.pt", video.together())
    latents = torch.randn(1, CHANNELS, 1, 8, 8)
    ids = tokens(["the red star"], video.vocabulary)
    answers = []
    for networks in (single, video):
        networks.unet.eval()
        with torch.no_grad():
            generator = torch.Generator().manual_seed(5)
            answers.append(predict(networks.unet, networks.text_encoder, latents, ids, generator))
    assert torch.allclose(answers[0], answers[1], atol=1e-4)


def test_kind_alone_is_asked_often_where_it_suffices():
    rng = np.random.default_rng(0)
    said = (("colour", "the red thing"), ("kind", "the star"))
    alone = sum(asked(said, rng) == (("kind", "the star"),) for _ in range(500))
    assert 150 < alone < 250
    assert asked(said[:1], rng) == said[:1]


def test_moments_are_in_order_and_cover_the_clip():
    rng = np.random.default_rng(0)
    for _ in range(50):
        moments = sample_moments(rng, 4)
        assert moments == sorted(moments)
        assert moments[0] < 0.4
        assert moments[-1] > 0.6
        assert 0 <= moments[0] <= moments[-1] <= 1


def test_the_other_process_renders_the_same_shards_in_order():
    plan = ShardPlan(SIZE, 1, 2, 100)
    with shards(plan, 3, render_shard) as source:
        for index in (3, 4):
            found, expected = next(source), render_shard(plan, index)
            assert np.array_equal(found.frames, expected.frames)
            assert np.array_equal(found.masks, expected.masks)
            assert found.expressions == expected.expressions


def test_trainings_stay_clear_of_the_seeds_held_out():
    for stage in (SINGLE, VIDEO):
        clips_of_a_long_training = 10_000_000
        assert stage.first_seed + clips_of_a_long_training < HELD_OUT_SEED


def test_tokens_are_framed_and_padded():
    vocabulary = demo_vocabulary()
    [row] = tokens(["the red star"], vocabulary).tolist()
    assert len(row) == TEXT_LENGTH
    assert [vocabulary[i] for i in row[:6]] == [
        "<begin>", "the</w>", "red</w>", "star</w>", "<end>", "<pad>",
    ]  # fmt: skip


def test_an_empty_answer_picks_nothing():
    empty = np.zeros((1, 4, 4), dtype=bool)
    target = empty.copy()
    target[0, 0] = True
    score = score_masks(empty, target, [])
    assert (score.j, score.picked) == (0.0, 0.0)
