"""What is worth fetching for a machine: in order, with what it costs and whom to ask."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model.better_tools import Machine, gpu_bytes, worth_fetching
from model.catalog import entry, has_gpu, state

GB = 1_000_000_000
LAPTOP = Machine(memory_bytes=16 * GB, gpu_bytes=0, free_bytes=200 * GB)
WORKSTATION = replace(LAPTOP, memory_bytes=64 * GB, gpu_bytes=25 * GB)
SERVER = replace(LAPTOP, memory_bytes=512 * GB, gpu_bytes=85 * GB)


def names(tools, *, only=lambda _: True):
    return [tool.entry.name for tool in tools if only(tool)]


def test_a_machine_without_a_gpu_is_offered_what_a_processor_keeps_up_with():
    tools = worth_fetching(LAPTOP)

    assert names(tools) == ["edgetam", "grounding-dino", "sam2.1-tiny"]
    assert names(tools, only=lambda tool: tool.is_chosen) == ["edgetam", "grounding-dino"]


def test_a_gpu_is_offered_the_large_ones_that_fit_in_its_memory():
    assert names(worth_fetching(WORKSTATION)) == [
        "sam2.1-large",
        "rem",
        "grounding-dino",
        "sam3",
    ]
    assert "vdit" in names(worth_fetching(SERVER))
    assert "rem" not in names(worth_fetching(replace(WORKSTATION, gpu_bytes=12 * GB)))


def test_a_gpu_too_small_for_them_is_offered_what_a_processor_is():
    small = replace(LAPTOP, gpu_bytes=4 * GB)

    assert names(worth_fetching(small)) == names(worth_fetching(LAPTOP))


def test_what_has_to_be_asked_for_first_is_offered_but_not_chosen():
    [gated] = [tool for tool in worth_fetching(SERVER) if tool.entry.gated]

    assert gated.entry.name == "sam3"
    assert gated.has_room
    assert not gated.is_chosen


def test_of_two_engines_that_share_a_file_one_is_offered():
    smaller = replace(WORKSTATION, gpu_bytes=12 * GB)

    assert names(worth_fetching(SERVER))[-1] == "sam3"
    assert names(worth_fetching(smaller))[-1] == "sam3-tracker", "SAM 3 itself is too large here"


def test_what_is_here_stays_in_the_list_and_is_not_chosen():
    here = frozenset(names(worth_fetching(LAPTOP)))

    tools = worth_fetching(replace(LAPTOP, here=here))

    assert all(tool.is_here for tool in tools)
    assert not any(tool.is_chosen for tool in tools)


def test_a_disk_with_room_for_the_first_gets_the_first_only():
    tools = worth_fetching(replace(LAPTOP, free_bytes=GB // 2))

    assert names(tools, only=lambda tool: tool.has_room) == ["edgetam", "sam2.1-tiny"]
    assert names(tools, only=lambda tool: tool.is_chosen) == ["edgetam"]


def test_what_fits_alone_but_not_beside_what_is_chosen_is_left_to_the_person():
    room = entry("sam2.1-large").download_bytes + GB // 2

    [large, _, finder, _] = worth_fetching(replace(WORKSTATION, free_bytes=room))

    assert large.is_chosen
    assert finder.has_room
    assert not finder.is_chosen


def test_a_machine_too_small_to_load_an_engine_is_not_offered_it():
    assert names(worth_fetching(replace(LAPTOP, memory_bytes=3 * GB))) == ["edgetam", "sam2.1-tiny"]


def test_an_engine_asked_for_stands_behind_unless_it_cannot_run_here():
    asked = names(worth_fetching(LAPTOP, ["sam2.1-small", "rem", "edgetam", "rem-demo", "sam9"]))

    assert asked == ["edgetam", "grounding-dino", "sam2.1-tiny", "sam2.1-small"]


def test_a_processor_has_no_memory_of_a_gpu():
    assert gpu_bytes("cpu") == 0


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu("auto"), reason="this machine has no GPU")
def test_the_memory_of_the_gpu_is_what_torch_sees():
    assert gpu_bytes("auto") > GB


def test_a_path_named_for_weights_that_is_not_there_is_said_before_a_download(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("REFSCRIBE_SAM3", str(tmp_path / "gone"))

    said = state("sam3-tracker", "cpu").sentence

    assert said == (
        f"there are no weights at {tmp_path / 'gone'}, which REFSCRIBE_SAM3 names; correct or "
        "unset it"
    )


@pytest.mark.parametrize("machine", [LAPTOP, SERVER])
def test_every_offer_says_what_it_is_better_at_and_where_its_licence_is(machine):
    for tool in worth_fetching(machine):
        assert tool.better_at.endswith(".")
        assert tool.better_at.count(".") <= 2, "one sentence, and names as SAM 2.1"
        assert tool.entry.licence
        assert tool.entry.licence_page.startswith("https://")
        assert tool.entry.is_non_commercial == ("NC" in tool.entry.licence)
