"""EdgeTAM's weights fit exactly, as the official file or a folder of one's own, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model import catalog
from model.refiners import edgetam
from model.segmenter import ModelError
from tests.conftest import REPOSITORY
from tests.model.refiners.toy_edgetam import write_toy
from video_types import Click


@pytest.fixture
def folder(tmp_path):
    return write_toy(tmp_path / "toy")


def test_the_network_for_the_official_file_has_its_size():
    with torch.device("meta"):
        network = edgetam.build(edgetam.official_config(1024))

    assert sum(values.numel() for values in network.parameters()) == 13_895_794
    assert len(network.state_dict()) == 984


def test_a_file_of_official_names_and_shapes_loads_at_any_size_of_picture(tmp_path):
    torch.manual_seed(0)
    official = edgetam.build(edgetam.official_config(1024)).state_dict()
    file = tmp_path / "model.safetensors"
    save_file(official, file)

    network = edgetam.load_network(file, "cpu", image_size=256)

    features = network.embed(np.zeros((37, 61, 3), dtype=np.uint8))
    assert [tuple(level.shape[1:]) for level in features.levels] == [
        (32, 64, 64),
        (64, 32, 32),
        (256, 16, 16),
    ]
    save_file({**official, "no_memory_embedding": torch.zeros(1, 1, 8)}, file)
    with pytest.raises(ModelError, match=r"do not fit EdgeTAM: .*no_memory_embedding \(1, 1, 8\)"):
        edgetam.load_network(file, "cpu", image_size=256)


def test_a_folder_says_which_network_it_holds(folder, monkeypatch):
    monkeypatch.setenv("REFSCRIBE_EDGETAM", str(folder))

    assert catalog.state("edgetam", "cpu").ready
    refiner = catalog.load_refiner("edgetam", "cpu")

    frame = np.random.default_rng(0).integers(0, 255, (37, 61, 3), dtype=np.uint8)
    found = refiner.refine(frame, [Click(0, 20.0, 15.0, True)], None, key=0)
    assert found.mask.shape == (37, 61)
    assert found.mask[15, 20]


def test_weights_that_lack_something_are_refused(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["no_object_pointer"]
    save_file({**weights, "stray": torch.zeros(1)}, folder / "model.safetensors")

    with pytest.raises(ModelError) as refused:
        edgetam.load_network(folder, "cpu", image_size=256)

    assert "1 missing (no_object_pointer)" in str(refused.value)
    assert "1 not known (stray)" in str(refused.value)


def no_description(folder):
    (folder / "config.json").unlink()


def no_json(folder):
    (folder / "config.json").write_text("<html>")


def an_encoder_from_elsewhere(folder):
    description = json.loads((folder / "config.json").read_text())
    description["vision_config"]["backbone_config"]["architecture"] = "hf-hub:somebody/something"
    (folder / "config.json").write_text(json.dumps(description))


def another_network(folder):
    (folder / "config.json").write_text('{"vision_config": {"model_type": "sam2_vision_model"}}')


@pytest.mark.parametrize(
    "spoil", [no_description, no_json, an_encoder_from_elsewhere, another_network]
)
def test_a_folder_that_describes_no_such_network_is_one_sentence(folder, spoil):
    spoil(folder)

    with pytest.raises(ModelError, match=r"config\.json") as refused:
        edgetam.load_network(folder, "cpu", image_size=256)

    assert "\n" not in str(refused.value)


def test_missing_weights_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("REFSCRIBE_EDGETAM", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    assert "56 MB to fetch with" in catalog.state("edgetam", "cpu").sentence
    with pytest.raises(ModelError, match="weights of EdgeTAM are not here"):
        catalog.load_refiner("edgetam", "cpu")


def test_the_library_is_loaded_with_an_engine_and_not_before():
    program = "import model.refiners.edgetam, sys; sys.exit('transformers' in sys.modules)"

    assert (
        subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False).returncode == 0
    )
