"""Weights fit exactly or are refused with a sentence; official layouts load by the same door."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from model import catalog, weights
from model.rem import RemNetworks
from model.segmenter import ModelError
from model.tokenizer import compact_vocabulary
from model.vdit import VdIt, from_official
from tests.conftest import REPOSITORY
from tests.model.test_rem import TOY_TEXT, TOY_UNET, TOY_VAE
from tests.model.test_vdit import toy_config


@cache
def networks(seed: int = 1) -> RemNetworks:
    torch.manual_seed(seed)
    return RemNetworks.build(TOY_UNET, TOY_VAE, TOY_TEXT)


def legacy(name: str) -> str:
    """A VAE's key as old diffusers wrote it."""
    for old, new in weights.LEGACY_VAE.items():
        name = name.replace(new, old) if ".attentions." in name else name
    return name


def write_official(folder, source: RemNetworks) -> None:
    """The official layout: a training checkpoint, and ModelScope's folders beside it."""
    (folder / "base" / "vae").mkdir(parents=True)
    (folder / "base" / "text_encoder").mkdir()
    arguments = argparse.Namespace(lr=1e-6, note="kept by the training script")
    torch.save(
        {"unet": source.unet.state_dict(), "epoch": 3, "args": arguments}, folder / "rem.pth"
    )
    vae = {legacy(name): value for name, value in source.vae.state_dict().items()}
    torch.save(vae, folder / "base" / "vae" / "diffusion_pytorch_model.bin")
    text = {f"text_model.{name}": value for name, value in source.text_encoder.state_dict().items()}
    text["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(
        {name: value.contiguous() for name, value in text.items()},
        folder / "base" / "text_encoder" / "model.safetensors",
    )


def same(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    others = second.state_dict()
    return all(torch.equal(value, others[name]) for name, value in first.state_dict().items())


def test_the_official_layout_of_rem_loads_exactly(tmp_path):
    write_official(tmp_path, networks(1))
    with torch.device("meta"):
        empty = RemNetworks.build(TOY_UNET, TOY_VAE, TOY_TEXT)

    weights.fill_official_rem(empty, weights.checkpoint_in(tmp_path), tmp_path / "base")

    assert same(networks(1).unet, empty.unet)
    assert same(networks(1).vae, empty.vae)
    assert same(networks(1).text_encoder, empty.text_encoder)


def test_the_official_layout_of_vdit_loads_exactly_aliases_and_old_buffers_aside(tmp_path):
    torch.manual_seed(2)
    source = VdIt(toy_config())
    theirs = {}
    for name, value in source.state_dict().items():
        official = name.replace("features.noise.", "features.").replace(
            "features.text_encoder.", "features.text_encoder.text_model."
        )
        theirs[official.replace("features.", "backbone.0.diff_ftex.", 1)] = value
    theirs["bbox_embed.0.layers.0.weight"] = torch.zeros(1)
    theirs["text_encoder.text_backbone.embeddings.position_ids"] = torch.arange(40)[None]
    torch.save({"model": theirs, "epoch": 8}, tmp_path / "vdit.pth")
    with torch.device("meta"):
        empty = VdIt(toy_config())

    weights.fill_official_vdit(empty, tmp_path / "vdit.pth")

    assert set(from_official(theirs)) == set(source.state_dict())
    assert same(source, empty)


def test_weights_that_do_not_fit_name_what_is_missing_left_over_and_of_another_shape():
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    wrong = {"0.weight": torch.zeros(4, 5), "0.bias": torch.zeros(4), "head": torch.zeros(1)}

    with pytest.raises(ModelError) as refused:
        weights.load_strictly(layer, wrong, "the toy")

    said = str(refused.value)
    assert "2 missing (1.bias, 1.weight)" in said
    assert "1 not known (head)" in said
    assert "0.weight (4, 5) instead of (4, 3)" in said


def test_a_checkpoint_that_would_run_code_is_not_loaded(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "bad.pth").write_bytes(pickle.dumps({"unet": Hostile()}))

    with pytest.raises(ModelError):
        weights.read_tensors(tmp_path / "bad.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth"])
def test_a_damaged_file_is_one_sentence(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x00 not weights")

    with pytest.raises(ModelError, match=r"^The weights .*\.$"):
        weights.read_tensors(tmp_path / name)


def test_a_folder_without_one_checkpoint_says_what_it_found(tmp_path):
    with pytest.raises(ModelError, match="Expected one checkpoint"):
        weights.checkpoint_in(tmp_path)
    with pytest.raises(ModelError, match="There are no weights at"):
        weights.checkpoint_in(tmp_path / "nowhere")


def write_demo(folder) -> None:
    vocabulary = compact_vocabulary(["the red kite rising"])
    text = {**TOY_TEXT, "vocab_size": len(vocabulary)}
    torch.manual_seed(4)
    source = RemNetworks.build(TOY_UNET, TOY_VAE, text)
    tensors = {
        f"{part}.{name}": value.half().contiguous()
        for part in ("unet", "vae", "text_encoder")
        for name, value in getattr(source, part).state_dict().items()
    }
    save_file(tensors, folder / "weights.safetensors")
    config = {
        "unet": TOY_UNET,
        "vae": TOY_VAE,
        "text_encoder": text,
        "vocabulary": vocabulary,
        "context": 77,
        "frame_size": [72, 88],
        "chunk_frames": 4,
        "chunk_spread": True,
        "latent_scale": 0.3,
    }
    (folder / "config.json").write_text(json.dumps(config))


def test_a_folder_of_demo_weights_segments_a_clip(tmp_path):
    write_demo(tmp_path)
    frames = [np.full((31, 45, 3), shade, dtype=np.uint8) for shade in (10, 90, 200)]

    segmenter = catalog.load_segmenter("rem-demo", "cpu", tmp_path)
    drafted = [one for step in segmenter.segment(frames, "the red zebra") for one in step.frames]

    assert sorted(one.frame_index for one in drafted) == [0, 1, 2]
    assert all(one.mask.shape == (31, 45) for one in drafted)
    assert segmenter.describe_expression("the red zebra").unknown_words == ("zebra",)
    assert len(segmenter.weights_hash) == 64


def test_a_folder_that_holds_no_demo_weights_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"Expected a folder with config\.json"):
        catalog.load_segmenter("rem-demo", "cpu", tmp_path)


def test_every_engine_says_in_a_sentence_whether_it_can_run_here():
    for entry in catalog.entries():
        state = catalog.state(entry.name, "cpu")

        assert state.sentence
        assert entry.licence
        assert state.ready == (state.sentence == "ready"), entry.name


def test_named_weights_make_an_engine_ready_and_wrong_ones_say_so(tmp_path):
    assert catalog.state("rem", "cpu", tmp_path).ready
    assert "not at" in catalog.state("rem", "cpu", tmp_path / "nowhere").sentence


def test_an_engine_nobody_knows_is_refused_with_those_there_are():
    with pytest.raises(ModelError, match="There are: rem-demo, rem, vdit"):
        catalog.state("sam9")


def test_without_a_network_a_download_fails_in_one_sentence():
    ran = subprocess.run(
        [sys.executable, "-m", "model.weights", "fetch", "sam2.1-tiny", "--yes"],
        cwd=REPOSITORY,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert "Licence: Apache-2.0" in ran.stdout
    assert ran.stderr.count("\n") == 1
    assert "cannot be reached: check the network" in ran.stderr
