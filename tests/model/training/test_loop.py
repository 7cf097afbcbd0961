"""The loop of every stage, and what it keeps: rate, running mean, checkpoint."""

from __future__ import annotations

import itertools

import pytest
import torch

from model.training.loop import Recipe, run
from model.training.state import Clock, Progress, load_state, running_mean, save_state

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def every_look_at_the_clock_takes_a_second(monkeypatch):
    monkeypatch.setattr("time.monotonic", itertools.count(1000.0).__next__)


def test_the_learning_rate_rises_then_falls():
    clock = Clock(1e6, 0)
    assert clock.learning_rate(1.0, step=0, warm_up=10) == pytest.approx(0.1)
    assert clock.learning_rate(1.0, step=10, warm_up=10) == pytest.approx(1.0)
    assert Clock(100, 50).learning_rate(1.0, step=500, warm_up=10) == pytest.approx(0.51, abs=0.02)
    assert Clock(100, 100).learning_rate(1.0, step=500, warm_up=10) == pytest.approx(0.02)


def test_the_mean_of_the_weights_follows_faster_at_first():
    module = torch.nn.Linear(1, 1)
    average = running_mean(module, 0.5)
    kept = []
    for _ in range(12):
        before = average.module.weight.item()
        with torch.no_grad():
            module.weight.fill_(before + 1)
        average.update_parameters(module)
        kept.append(before + 1 - average.module.weight.item())

    assert kept[:3] == pytest.approx([2 / 11, 3 / 12, 4 / 13], rel=1e-4)
    assert kept[-1] == pytest.approx(0.5, rel=1e-4)


def test_a_checkpoint_is_taken_up_again(tmp_path):
    module = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(module.parameters())
    average = running_mean(module, 0.5)
    assert load_state(tmp_path / "none.pt", module, optimizer, average) == Progress(0, 0.0)
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    average.update_parameters(module)
    save_state(tmp_path / "a.pt", module, optimizer, average, Progress(1, 1.5))

    other = torch.nn.Linear(2, 2)
    other_optimizer = torch.optim.AdamW(other.parameters())
    other_average = running_mean(other, 0.5)
    assert load_state(tmp_path / "a.pt", other, other_optimizer, other_average) == Progress(1, 1.5)

    assert torch.equal(other.weight, module.weight)
    for mean, network in ((average, module), (other_average, other)):
        with torch.no_grad():
            network.weight.fill_(7)
        mean.update_parameters(network)
    assert torch.equal(other_average.module.weight, average.module.weight)


class Batches:
    """Ones for ever; knows at which step it was begun, and whether it was ended."""

    def __init__(self):
        self.begun, self.ended = [], []

    def __call__(self, step):
        self.begun.append(step)
        try:
            while True:
                yield torch.ones(1, 2)
        finally:
            self.ended.append(step)


def train(path, module, seconds, batches=None, loss=None, check=str):
    recipe = Recipe(learning_rate=0.1, warm_up=1, mean_decay=0.5)
    run(
        path,
        recipe,
        module,
        seconds=seconds,
        batches=batches or Batches(),
        loss=loss or (lambda batch: module(batch).square().sum()),
        check=check,
    )
    return torch.load(path, weights_only=True)


def test_a_stage_goes_on_where_it_was(tmp_path):
    batches = Batches()
    first = train(tmp_path / "a.pt", torch.nn.Linear(2, 1), 30, batches)
    second = train(tmp_path / "a.pt", torch.nn.Linear(2, 1), 60, batches)

    assert 0 < first["step"] < second["step"]
    assert batches.begun == batches.ended == [0, first["step"]]
    assert second["seconds"] > first["seconds"] > 30
    at_once = train(tmp_path / "a.pt", torch.nn.Linear(2, 1), 60, batches)
    assert at_once["step"] == second["step"]


def test_a_stage_leaves_the_weights_and_checks_their_mean(tmp_path):
    module, checked = torch.nn.Linear(2, 1), []

    def check(average):
        checked.append(average.weight.clone())

    left = train(tmp_path / "a.pt", module, 30, check=check)

    assert torch.equal(left["module"]["weight"], module.weight)
    assert torch.equal(left["average"]["weight"], checked[-1])
    assert not torch.equal(left["average"]["weight"], module.weight)


def test_a_long_stage_is_checked_and_saved_on_the_way(tmp_path):
    path, saved = tmp_path / "a.pt", []

    def check(_):
        saved.append(path.is_file())

    train(path, torch.nn.Linear(2, 1), 1000, check=check)

    assert saved[:2] == [True, True]
    assert len(saved) >= 3


def test_what_is_frozen_stays_as_it_is_through_a_stage(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    module[0].requires_grad_(False)
    frozen, trained = (layer.weight.clone() for layer in module)

    train(tmp_path / "a.pt", module, 30)

    assert torch.equal(module[0].weight, frozen)
    assert not torch.equal(module[1].weight, trained)


def test_an_error_in_a_stage_ends_what_makes_its_batches(tmp_path):
    batches = Batches()

    def broken(_):
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        train(tmp_path / "a.pt", torch.nn.Linear(2, 1), 30, batches, broken)

    assert batches.ended == [0]
    assert not (tmp_path / "a.pt").exists()
