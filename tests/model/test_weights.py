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

from model import catalog, checkpoint, hub, weights
from model.segmenter import ModelError
from model.segmenters.rem import RemNetworks
from model.segmenters.tokenizer import compact_vocabulary
from model.segmenters.vdit import VdIt, from_official
from model.weight_files import checkpoint_in
from tests.conftest import REPOSITORY
from tests.model.segmenters.test_rem import TOY_TEXT, TOY_UNET, TOY_VAE
from tests.model.segmenters.test_vdit import toy_config


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

    weights.fill_official_rem(empty, checkpoint_in(tmp_path), tmp_path / "base")

    assert same(networks(1).unet, empty.unet)
    assert same(networks(1).vae, empty.vae)
    assert same(networks(1).text_encoder, empty.text_encoder)
    ids = torch.arange(77)[None] % 60
    with torch.no_grad():  # what no checkpoint holds is there too: the networks run
        assert torch.equal(networks(1).encode_text(ids), empty.to("cpu").encode_text(ids))


def test_a_half_precision_twin_beside_the_weights_is_not_taken(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "model.fp16.safetensors")
    save_file({"a": torch.full((2,), 0.1)}, tmp_path / "model.safetensors")

    taken = weights.text_weights(tmp_path)

    assert torch.equal(taken["a"], torch.full((2,), 0.1))


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
    assert not any(buffer.is_meta for buffer in empty.buffers())
    expected = dict(source.named_buffers())
    assert all(torch.equal(buffer, expected[name]) for name, buffer in empty.named_buffers())


def test_weights_that_do_not_fit_name_what_is_missing_left_over_and_of_another_shape():
    layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    wrong = {"0.weight": torch.zeros(4, 5), "0.bias": torch.zeros(4), "head": torch.zeros(1)}

    with pytest.raises(ModelError) as refused:
        checkpoint.load_strictly(layer, wrong, "the toy")

    said = str(refused.value)
    assert "2 missing (1.bias, 1.weight)" in said
    assert "1 not known (head)" in said
    assert "0.weight (4, 5) instead of (4, 3)" in said


def test_a_file_whose_entries_are_no_tensors_is_named_as_such(tmp_path):
    torch.save({"model_state": {"a": torch.zeros(1)}, "epoch": 3}, tmp_path / "other.pth")

    with pytest.raises(
        ModelError, match=r"neither REM nor VD-IT: 2 entries \(model_state, epoch\)"
    ):
        weights.check(tmp_path / "other.pth")
    with pytest.raises(ModelError, match="2 entries that are no tensors"):
        checkpoint.load_strictly(
            torch.nn.Linear(1, 1), checkpoint.read_tensors(tmp_path / "other.pth"), "the toy"
        )


def test_a_torch_file_of_the_old_kind_is_read(tmp_path):
    torch.save({"a": torch.arange(3)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)

    assert torch.equal(checkpoint.read_tensors(tmp_path / "old.pth")["a"], torch.arange(3))


def test_a_checkpoint_that_would_run_code_is_not_loaded(tmp_path):
    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "bad.pth").write_bytes(pickle.dumps({"unet": Hostile()}))

    with pytest.raises(ModelError):
        checkpoint.read_tensors(tmp_path / "bad.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pth"])
def test_a_damaged_file_is_one_sentence(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x80\x00 not weights")

    with pytest.raises(ModelError, match=r"^The weights .*\.$"):
        checkpoint.read_tensors(tmp_path / name)


def test_a_folder_without_one_checkpoint_says_what_it_found(tmp_path):
    with pytest.raises(ModelError, match="Expected one checkpoint"):
        checkpoint_in(tmp_path)
    with pytest.raises(ModelError, match="There are no weights at"):
        checkpoint_in(tmp_path / "nowhere")


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


def cache_files(cache, repository: str, *names: str):
    """Put files into a Hugging Face cache as a download does; returns the snapshot's folder."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text("c0ffee")
    for name in names:
        path = folder / "snapshots" / "c0ffee" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder / "snapshots" / "c0ffee"


BASE_FILES = (
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
)


def test_rem_is_at_hand_once_all_it_needs_is_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("REFSCRIBE_REM", raising=False)

    assert catalog.weights_path("rem") is None
    assert (
        "7.3 GB to fetch with `python -m model.weights fetch rem`" in catalog.state("rem").sentence
    )
    folder = cache_files(tmp_path, hub.REM_REPOSITORY, "README.md", "rem_ms.pth", "rem_wan14b.pth")
    cache_files(tmp_path, hub.BASE_REPOSITORY, *BASE_FILES[:-1])
    assert catalog.weights_path("rem") is None
    cache_files(tmp_path, hub.BASE_REPOSITORY, *BASE_FILES)
    assert catalog.weights_path("rem") == folder / "rem_ms.pth"


def test_an_environment_variable_names_weights_for_the_loader_too(tmp_path, monkeypatch):
    monkeypatch.setenv("REFSCRIBE_REM", str(tmp_path))

    assert catalog.weights_path("rem") == tmp_path
    with pytest.raises(ModelError, match="Expected one checkpoint in"):
        catalog.load_segmenter("rem", "cpu")


def test_only_the_files_an_engine_uses_are_chosen():
    checkpoint_need, base = hub.needs("rem")
    names = ["README.md", "rem_ms.pth", "Wan/rem_Wan14b.pth"]
    twins = [
        "vae/diffusion_pytorch_model.bin",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "text_encoder/pytorch_model.fp16.bin",
    ]

    assert hub.chosen(checkpoint_need, names) == ["rem_ms.pth"]
    assert sorted(hub.chosen(base, [*BASE_FILES, *twins])) == sorted(BASE_FILES)
    with pytest.raises(ModelError, match=r"holds no text_encoder/\*model"):
        hub.chosen(base, BASE_FILES[:-1])


def test_where_a_repository_holds_several_checkpoints_one_must_be_named():
    need = hub.needs("rem")[0]
    names = ["rem_images.pth", "rem_video.pth"]

    with pytest.raises(ModelError, match=r"rem_images\.pth, rem_video\.pth; name the one you want"):
        hub.chosen(need, names)
    assert hub.chosen(need, names, "rem_video.pth") == ["rem_video.pth"]
    with pytest.raises(ModelError, match="--file"):
        hub.chosen(need, names, "rem_audio.pth")


def test_check_says_what_fits_and_what_does_not(tmp_path, capsys):
    (tmp_path / "demo").mkdir()
    write_demo(tmp_path / "demo")
    torch.save({"unet": networks(1).unet.state_dict()}, tmp_path / "small.pth")

    fitting = weights.main(["check", str(tmp_path / "demo")])
    said = capsys.readouterr().out
    wrong = weights.main(["check", str(tmp_path / "small.pth")])

    assert (fitting, wrong) == (0, 2)
    assert said.startswith("REM demo, SHA-256 ")
    assert "do not fit REM's UNet" in capsys.readouterr().err


@pytest.mark.parametrize(
    "network",
    [{"HF_HUB_OFFLINE": "1"}, {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}],
)
def test_without_a_network_a_download_fails_in_one_sentence(network, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "model.weights", "fetch", "sam2.1-tiny", "--yes"],
        cwd=REPOSITORY,
        env=os.environ | network | {"HF_HUB_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert "Licence: Apache-2.0" in ran.stdout
    assert ran.stderr.count("\n") == 1
    assert "cannot be reached: check the network" in ran.stderr
