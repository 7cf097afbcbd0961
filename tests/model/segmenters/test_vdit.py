"""VD-IT equals the official implementation, stage by stage, and loads its checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from model.segmenters import vdit_features
from model.segmenters.vdit import OFFICIAL, VdIt, VdItConfig, from_official, is_alias, our_name
from model.segmenters.vdit_head import DeformableAttention
from model.training.vdit_criterion import ClipTarget, matched_query, total_loss, vdit_losses
from tests.conftest import SHARED

REFERENCE = SHARED / "reference"
CASES = {"a": None, "b": None, "c": 2}  # the A2D case looks at one frame of five
TOLERANCE = 1e-4


def reference(name: str) -> Path:
    path = REFERENCE / name
    if not path.exists():
        pytest.skip("the golden numbers of the official implementation are not beside the project")
    return path


def toy_config(**changes) -> VdItConfig:
    """The sizes the golden numbers were made with."""
    blocks = {
        "down_block_types": ("CrossAttnDownBlock3D",) * 3 + ("DownBlock3D",),
        "up_block_types": ("UpBlock3D",) + ("CrossAttnUpBlock3D",) * 3,
    }
    sizes = VdItConfig(
        unet={
            **OFFICIAL.unet,
            **blocks,
            "block_out_channels": (32, 32, 32, 64),
            "cross_attention_dim": 48,
            "attention_head_dim": 8,
        },
        vae={**OFFICIAL.vae, "block_out_channels": (8, 16, 24, 24), "norm_num_groups": 8},
        text={
            **OFFICIAL.text,
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": 100,
        },
        vision={
            **OFFICIAL.vision,
            "hidden_size": 40,
            "intermediate_size": 80,
            "projection_dim": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 28,
        },
        words={
            **OFFICIAL.words,
            "vocab_size": 120,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": 40,
        },
        prompt_heads=4,
        prompt_head_width=12,
        prompt_hidden_width=24,
        map_hidden_widths=(16, 32, 64, 64),
        map_widths=(8, 16, 32, 64),
        width=64,
        encoder_layers=2,
        decoder_layers=3,
        feed_forward=96,
    )
    return replace(sizes, **changes)


@cache
def official_network() -> VdIt:
    state = {}
    for name in ("vdit_weights_unet_fp8.safetensors", "vdit_weights_rest_fp8.safetensors"):
        state |= {key: value.float() for key, value in load_file(reference(name)).items()}
    network = VdIt(toy_config()).eval()
    network.load_state_dict(from_official(state))
    return network


@cache
def random_network(**changes) -> VdIt:
    torch.manual_seed(7)
    return VdIt(toy_config(**changes)).eval()


def padded(frames: torch.Tensor, multiple: int) -> tuple[torch.Tensor, torch.Tensor]:
    height, width = frames.shape[2:]
    bottom, right = -height % multiple, -width % multiple
    padding = torch.ones(height + bottom, width + right, dtype=torch.bool)
    padding[:height, :width] = False
    return F.pad(frames, (0, right, 0, bottom)), padding


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    assert ours.shape == theirs.shape
    return bool((ours - theirs).abs().max() <= TOLERANCE)


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_every_stage_of_the_features_equals_the_official_one(case):
    golden = load_file(reference(f"vdit_case_{case}.safetensors"))
    network = official_network().features
    frames, _ = padded(golden["pixel_values"], 32 if case == "c" else 16)

    seen = vdit_features.vae_frames(frames)
    prompt = network.prompt(golden["clip_input_ids"], seen)
    latents, quarter = vdit_features.encode_frames(network.vae, seen, golden["vae_noise"], batch=2)
    entering = network.denoiser_input(latents, golden["vae_noise"])
    tapped = vdit_features.denoiser_features(network.unet, entering, prompt)
    maps = network(frames, golden["clip_input_ids"], golden["vae_noise"])

    clip = vdit_features.clip_frames(seen, 28)
    tokens = network.cv_model.vision_model(clip).last_hidden_state
    assert close(seen, golden["inter.vae_input"])
    assert close(clip, golden["inter.clip_pixel_values"])
    assert close(tokens, golden["inter.image_tokens"])
    assert close(network.projection(tokens), golden["inter.projected_image_tokens"])
    assert close(prompt, golden["inter.p_ve"])
    assert close(quarter, golden["inter.vae_ft2"])
    for ours, name in (
        (latents, "latents_scaled"),
        (network.noise(latents), "noise"),
        (entering, "noisy_latents"),
    ):
        assert close(ours, golden[f"inter.{name}_bcfhw"][0].transpose(0, 1)), name
    for index, ours in enumerate((tapped.entry, *tapped.down, *tapped.up)):
        assert close(ours, golden[f"inter.unet_feat{index}"]), index
    for index, ours in enumerate(maps):
        assert close(ours, golden[f"inter.backbone_feat{index}"]), index


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_the_rest_of_the_denoiser_follows_from_what_was_tapped(case):
    golden = load_file(reference(f"vdit_case_{case}.safetensors"))
    network = official_network().features
    latents = golden["inter.noisy_latents_bcfhw"][0].transpose(0, 1)
    tapped = vdit_features.denoiser_features(network.unet, latents, golden["inter.p_ve"])

    hidden, skips = tapped.up[2], list(tapped.skips)
    for layers in vdit_features.block_layers(network.unet.up_blocks[3]):
        joined = torch.cat([hidden, skips.pop()], dim=1)
        hidden = vdit_features.run_layers(layers, joined, tapped.time, golden["inter.p_ve"])
    denoised = network.unet.conv_out(F.silu(network.unet.conv_norm_out(hidden)))

    assert close(denoised, golden["inter.unet_out_bcfhw"][0].transpose(0, 1))


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_every_stage_of_the_head_equals_the_official_one(case):
    golden = load_file(reference(f"vdit_case_{case}.safetensors"))
    network = official_network()
    frames, padding = padded(golden["pixel_values"], 32 if case == "c" else 16)

    queries = network(
        frames,
        padding,
        golden["clip_input_ids"],
        golden["roberta_input_ids"],
        golden["vae_noise"],
        only_frame=CASES[case],
    )

    stages = queries.stages
    assert close(stages["words"], golden["inter.roberta_proj"])
    assert close(stages["query_tokens"], golden["inter.query_tokens"][:, 0])
    for index in range(4):
        assert close(stages[f"level{index}"], golden[f"inter.src{index}"])
        assert close(stages[f"position{index}"], golden[f"inter.pos{index}"][:1])
    for index in range(3):
        assert close(stages[f"memory{index}"], golden[f"inter.memory{index}"])
    assert close(stages["first_reference"], golden["inter.init_reference"])
    assert close(stages["references"], golden["inter.inter_references"])
    assert close(queries.hidden, golden["inter.hs"])


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_masks_of_every_query_and_the_choice_equal_the_official_ones(case):
    golden = load_file(reference(f"vdit_case_{case}.safetensors"))
    network = official_network()
    frames, padding = padded(golden["pixel_values"], 32 if case == "c" else 16)

    queries = network(
        frames,
        padding,
        golden["clip_input_ids"],
        golden["roberta_input_ids"],
        golden["vae_noise"],
        only_frame=CASES[case],
    )
    masks = network.masks(queries, torch.arange(5))

    outputs = "out." if case == "c" else "out_all_queries."
    assert close(queries.scores[-1][..., None], golden[outputs + "pred_logits"][0])
    assert close(queries.boxes[-1], golden[outputs + "pred_boxes"][0])
    assert close(masks, golden[outputs + "pred_masks"][0])
    if case == "c":
        assert close(queries.clip_scores(), golden["out.final_scores"])
        shown = masks[0]
    else:
        assert int(queries.clip_scores().argmax()) == int(golden["out.selected_query"])
        assert close(queries.clip_scores(), golden["out.query_scores"])
        shown = masks[:, int(golden["out.selected_query"])]
    height, width = golden["pixel_values"].shape[2:]
    size = golden["frames_uint8"].shape[1:3]
    logits = F.interpolate(
        shown[None, :, :height, :width], size, mode="bilinear", align_corners=False
    )[0]
    assert close(logits, golden["out.final_logits"])
    undecided = (golden["out.final_logits"].sigmoid() - 0.5).abs() <= TOLERANCE
    assert torch.equal(
        (logits.sigmoid() > 0.5) | undecided, golden["out.final_mask"].bool() | undecided
    )


def test_losses_and_gradients_equal_the_official_ones():
    golden = load_file(reference("vdit_loss_case.safetensors"))
    expected = json.loads(reference("vdit_loss_case.json").read_text())
    network = official_network()
    network.zero_grad()
    target = ClipTarget(
        golden["target.boxes"], golden["target.masks"], golden["target.valid"].bool()
    )

    queries = network(
        golden["pixel_values"],
        torch.zeros(64, 96, dtype=torch.bool),
        golden["clip_input_ids"],
        golden["roberta_input_ids"],
        golden["vae_noise"],
    )
    losses = vdit_losses(network, queries, target)
    total = total_loss(losses)
    total.backward()

    assert float(total.detach()) == pytest.approx(expected["total"], abs=1e-4)
    for name, value in losses.items():
        assert float(value.detach()) == pytest.approx(
            expected["losses"][f"loss_{name}"], abs=1e-4
        ), name
    parameters = dict(network.named_parameters())
    for key, norm in expected["grad_l2_norms"].items():
        if not is_alias(key):
            gradient = parameters[our_name(key)].grad
            assert gradient is not None, key
            assert float(gradient.norm()) == pytest.approx(norm, rel=1e-3, abs=1e-4), key


def test_the_official_checkpoint_has_our_keys_and_shapes():
    manifest = json.loads(reference("vdit_manifest.json").read_text())["keys"]
    with torch.device("meta"):
        network = VdIt(OFFICIAL)

    ours = {name: list(value.shape) for name, value in network.state_dict().items()}
    theirs = {our_name(key): facts["shape"] for key, facts in manifest.items() if not is_alias(key)}

    assert sum(map(is_alias, manifest)) == 40
    assert theirs == ours


def a_clip(frames: int, height: int = 64, width: int = 96) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(3)
    return (
        torch.randn(frames, 3, height, width, generator=generator),
        torch.zeros(height, width, dtype=torch.bool),
        torch.arange(77)[None] % 90,
        torch.arange(3, 10)[None],
        torch.randn(frames, 4, height // 8, width // 8, generator=generator),
    )


@pytest.mark.parametrize("condition", ["image and text", "image", "text"])
@pytest.mark.parametrize("predict_noise", [True, False])
@torch.no_grad()
def test_each_ablation_is_a_configuration_that_answers(condition, predict_noise):
    network = random_network(condition=condition, predict_noise=predict_noise)

    queries = network(*a_clip(frames=2))

    assert network.masks(queries, torch.tensor([4, 1])).shape == (2, 2, 64, 96)
    assert queries.clip_scores().shape == (5,)


@torch.no_grad()
def test_the_image_alone_ignores_the_denoisers_text_and_text_alone_the_image():
    clip = a_clip(frames=1)
    frames = vdit_features.vae_frames(clip[0])
    other_text, other_frames = clip[2].flip(1), frames.flip(3)

    image = random_network(condition="image").features
    text = random_network(condition="text").features

    assert torch.equal(image.prompt(clip[2], frames), image.prompt(other_text, frames))
    assert torch.equal(text.prompt(clip[2], frames), text.prompt(clip[2], other_frames))
    assert not torch.equal(text.prompt(clip[2], frames), text.prompt(other_text, frames))


def test_deformable_attention_without_offsets_reads_the_reference_point():
    attention = DeformableAttention(width=8, levels=1, heads=2, points=1)
    with torch.no_grad():
        for layer in (attention.sampling_offsets, attention.attention_weights):
            layer.weight.zero_()
            layer.bias.zero_()
        for layer in (attention.value_proj, attention.output_proj):
            layer.weight.copy_(torch.eye(8))
            layer.bias.zero_()
    values = torch.arange(3 * 5 * 8, dtype=torch.float32).view(1, 15, 8)
    centre_of_row_1_column_3 = torch.tensor([[[[3.5 / 5, 1.5 / 3]]]])

    read = attention(
        torch.zeros(1, 1, 8),
        centre_of_row_1_column_3,
        values,
        [(3, 5)],
        torch.zeros(1, 15, dtype=torch.bool),
    )

    assert torch.allclose(read[0, 0], values[0, 1 * 5 + 3], atol=1e-4)


def test_the_query_whose_mask_and_box_fit_is_matched():
    masks = torch.zeros(2, 8, 12)
    masks[:, 2:6, 4:8] = 1
    boxes = torch.tensor([[0.5, 0.5, 1 / 3, 0.5]]).repeat(2, 1)
    target = ClipTarget(boxes, masks, torch.ones(2, dtype=torch.bool))
    low = torch.full((2, 3, 4, 6), -5.0)
    low[:, 1] = masks[:, 1::2, 1::2] * 10 - 5
    guesses = torch.full((2, 3, 4), 0.1)
    guesses[:, 1] = boxes

    matched = matched_query(torch.zeros(2, 3), guesses, low, target)

    assert matched == 1
