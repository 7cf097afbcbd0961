"""A network's graph on OpenVINO: the same numbers, kept whole or not at all, torch without it."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from model import openvino_graph
from model.openvino_graph import Plan, RuntimeUnavailableError, multiplies_bfloat16
from model.refiners.mobile_sam import load_network
from tests.conftest import REPOSITORY
from tests.model.refiners.drawn import disc, picture

ODD = torch.randn(1, 3, 11, 17, generator=torch.Generator().manual_seed(0))
PLAN = Plan("toy", "0123", (ODD,), ((1, 3, -1, -1),), bfloat16=False)


def toy() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.GELU()).eval()


def never() -> nn.Module:
    raise AssertionError("the graph is made again")


def answers(graph: openvino_graph.Graph) -> np.ndarray:
    return graph(ODD.numpy())[0]


def test_a_graph_gives_the_networks_numbers_at_any_size(tmp_path):
    network = toy()
    graph = openvino_graph.load(PLAN, lambda: network, tmp_path)

    for size in ((11, 17), (6, 9), (40, 23)):
        picture = torch.randn(1, 3, *size)
        with torch.inference_mode():
            expected = network(picture).numpy()
        np.testing.assert_allclose(graph(picture.numpy())[0], expected, atol=1e-5)
    assert graph.runtime.startswith("OpenVINO 20")
    assert graph.runtime.endswith(", float32")


def test_a_later_start_takes_the_graph_that_is_kept(tmp_path):
    first = openvino_graph.load(PLAN, toy, tmp_path)

    again = openvino_graph.load(PLAN, never, tmp_path)

    assert np.array_equal(answers(first), answers(again))
    assert [path.suffix for path in tmp_path.iterdir()] == [".graph"]


def test_other_weights_are_another_graph_and_take_the_place_of_the_former(tmp_path):
    openvino_graph.load(PLAN, toy, tmp_path)
    (before,) = tmp_path.iterdir()

    other = Plan("toy", "4567", PLAN.examples, PLAN.sizes, bfloat16=False)
    openvino_graph.load(other, toy, tmp_path)

    (after,) = tmp_path.iterdir()
    assert after != before


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty", "whole but no graph"])
def test_a_damaged_file_is_made_again(tmp_path, caplog, damage):
    expected = answers(openvino_graph.load(PLAN, toy, tmp_path))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    nonsense = b"no graph at all" * 99
    path.write_bytes(
        {
            "cut short": whole[:-7],
            "one bit": bytes(flipped),
            "empty": b"",
            "whole but no graph": hashlib.sha256(nonsense).digest() + nonsense,
        }[damage]
    )

    with caplog.at_level(logging.WARNING):
        found = answers(openvino_graph.load(PLAN, toy, tmp_path))

    assert np.array_equal(found, expected)
    assert "made again" in caplog.text
    assert path.read_bytes()[:32] == hashlib.sha256(path.read_bytes()[32:]).digest()
    openvino_graph.load(PLAN, never, tmp_path)


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(tmp_path, caplog):
    (tmp_path / "graphs").write_text("a file is in the way")

    with caplog.at_level(logging.WARNING):
        graph = openvino_graph.load(PLAN, toy, tmp_path / "graphs")

    assert answers(graph).shape == (1, 5, 11, 17)
    assert "could not be kept" in caplog.text


def test_a_graph_that_gives_other_numbers_is_not_used(tmp_path):
    class Moody(nn.Module):
        sign = -1

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            self.sign = -self.sign
            return values * self.sign

    with pytest.raises(RuntimeUnavailableError, match="other numbers for toy"):
        openvino_graph.load(PLAN, Moody, tmp_path)
    assert not list(tmp_path.iterdir())


def test_making_a_graph_tells_nobody(tmp_path):
    program = """
import pathlib, socket, sys
from tests.model.test_openvino_graph import PLAN, openvino_graph, toy

def refuse(*_):
    sys.exit("it calls somebody")

socket.getaddrinfo = socket.socket.connect = refuse
openvino_graph.load(PLAN, toy, pathlib.Path(sys.argv[1]) / "graphs")
"""

    finished = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=REPOSITORY,
        env=os.environ | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    # Its telemetry leaves a folder with the number it knows the person by.
    assert [path.name for path in tmp_path.iterdir()] == ["graphs"]


def test_mobile_sams_features_are_those_of_torch(tmp_path):
    frame = picture(disc(100, 80, 30))[:171, :317]
    plain = load_network("cpu")
    graph = load_network("cpu", graphs=tmp_path)

    expected, found = plain.embed(frame).features, graph.embed(frame).features

    assert graph.runtime.startswith("OpenVINO")
    assert plain.runtime.startswith("PyTorch")
    assert found.shape == expected.shape == (1, 256, 35, 64)
    alike = torch.nn.functional.cosine_similarity(found, expected, dim=1)
    assert alike.min() > (0.98 if multiplies_bfloat16() else 0.9999)


@pytest.mark.parametrize("several", [False, True])
def test_mobile_sams_masks_are_those_of_torch(tmp_path_factory, several):
    target = disc(100, 80, 30)
    frame = picture(target)
    plain = load_network("cpu")
    graph = load_network("cpu", graphs=tmp_path_factory.getbasetemp() / "graphs")
    embedding = plain.embed(frame)
    points, positive = np.array([[100.0, 80.0], [300.0, 20.0]]), np.array([True, False])

    for logits in (None, plain.logits_of(target, embedding)):
        asked = {"points": points, "positive": positive, "logits": logits, "several": several}
        expected, found = plain.decode(embedding, **asked), graph.decode(embedding, **asked)
        assert found.logits.shape == expected.logits.shape == ((3 if several else 1), 144, 256)
        np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)
        assert ((found.logits > 0) != (expected.logits > 0)).mean() < 0.01


def test_without_the_package_mobile_sam_runs_on_torch_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "openvino", None)

    with caplog.at_level(logging.INFO):
        network = load_network("cpu", graphs=tmp_path)

    assert network.runtime.startswith("PyTorch")
    assert "OpenVINO is not installed" in caplog.text
    assert network.embed(picture()).features.shape == (1, 256, 36, 64)
    assert not list(tmp_path.iterdir())


def test_on_a_processor_openvino_does_not_know_mobile_sam_runs_on_torch(
    tmp_path, monkeypatch, caplog
):
    openvino = openvino_graph.quiet_openvino()

    def refuse(*_):
        raise RuntimeError("no device called CPU")

    monkeypatch.setattr(openvino.Core, "get_property", refuse)
    with caplog.at_level(logging.INFO):
        network = load_network("cpu", graphs=tmp_path)

    assert network.runtime.startswith("PyTorch")
    assert "no device called CPU" in caplog.text
    assert network.embed(picture()).features.shape == (1, 256, 36, 64)
