"""SAM 3's tracker takes its part of a file it shares; who was not let in is told whom to ask."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model import catalog, hub
from model.refiners import sam3_tracker
from model.segmenter import ModelError
from tests.conftest import REPOSITORY
from tests.model.toy_sam3 import toy_model, write_toy
from video_types import Click

SIZE = (53, 81)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A folder with toy weights of detector and tracker."""
    return write_toy(tmp_path_factory.mktemp("sam3"))


def test_the_network_for_the_official_file_has_its_size():
    with torch.device("meta"):
        network = sam3_tracker.build()

    assert sum(values.numel() for values in network.parameters()) == 465_782_146
    assert network.prompt_encoder.mask_input_size == (288, 288)


def test_the_tracker_takes_what_is_its_own_of_the_shared_file(shared, monkeypatch):
    monkeypatch.setenv("REFSCRIBE_SAM3", str(shared))
    model = toy_model()

    refiner = catalog.load_refiner("sam3-tracker", "cpu")

    tensors = sam3_tracker.of_tracker(load_file(shared / "model.safetensors"))
    assert torch.equal(tensors["no_memory_embedding"], model.tracker_model.no_memory_embedding)
    eyes = model.detector_model.vision_encoder.backbone.state_dict()
    assert all(torch.equal(tensors[f"vision_encoder.backbone.{name}"], eyes[name]) for name in eyes)
    frame = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    found = refiner.refine(frame, [Click(0, 20.0, 15.0, True)], None, key=0)
    assert found.mask.shape == SIZE
    assert found.mask[15, 20]


def test_its_pictures_have_a_mean_and_deviation_of_a_half(shared):
    network = sam3_tracker.load_network(shared, "cpu")
    seen = []
    network._network.vision_encoder.register_forward_pre_hook(
        lambda _, given: seen.append(given[0])
    )

    network.embed(np.full((*SIZE, 3), 255, dtype=np.uint8))

    assert torch.equal(seen[0], torch.ones_like(seen[0]))


def saved_by_the_library(folder):
    """Its own way of saving writes names that it does not find again, and says nothing."""
    toy_model().save_pretrained(folder)


def without_the_neck(folder):
    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("tracker_neck")}
    save_file(kept, folder / "model.safetensors")


@pytest.mark.parametrize("spoil", [saved_by_the_library, without_the_neck])
def test_a_file_that_leaves_a_part_untrained_is_refused(tmp_path, spoil):
    write_toy(tmp_path)
    spoil(tmp_path)

    with pytest.raises(ModelError, match=r"do not fit SAM 3's tracker: [0-9]+ missing"):
        sam3_tracker.load_network(tmp_path, "cpu")


def test_without_its_weights_the_picker_says_whom_to_ask(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("REFSCRIBE_SAM3", raising=False)

    said = catalog.state("sam3-tracker", "cpu").sentence
    assert said.startswith("gated: ask Meta first; then 3.4 GB to fetch with")
    with pytest.raises(ModelError, match="once Meta let you in"):
        catalog.load_refiner("sam3-tracker", "cpu")


def test_it_needs_a_gpu(shared, monkeypatch):
    monkeypatch.setenv("REFSCRIBE_SAM3", str(shared))

    assert "needs a GPU with 8 GB" in catalog.state("sam3-tracker", "cpu").sentence


def test_the_file_is_named_exactly():
    (need,) = hub.needs("sam3-tracker")

    assert hub.chosen(need, ["config.json", "model.safetensors", "sam3.pt"]) == [
        "model.safetensors"
    ]


@pytest.mark.parametrize("status", [401, 403])
def test_who_was_not_let_in_is_told_whom_to_ask(status):
    """By a hub that refuses everything."""

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(status)

        def do_HEAD(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        ran = subprocess.run(
            [sys.executable, "-m", "model.weights", "fetch", "sam3-tracker", "--yes"],
            cwd=REPOSITORY,
            env=os.environ
            | {
                "HF_HUB_OFFLINE": "0",
                "HF_ENDPOINT": f"http://127.0.0.1:{refusing.server_address[1]}",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        refusing.shutdown()

    assert ran.returncode == 2
    assert "Licence: SAM License" in ran.stdout
    assert "facebook/sam3 is gated: ask Meta first" in ran.stderr
    assert "REFSCRIBE_SAM3" in ran.stderr
    assert ran.stderr.count("\n") == 1
