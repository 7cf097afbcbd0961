"""Which weights are worth fetching for a machine, and what each is better at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model import download, hub
from model.catalog import Entry, entries, entry, has_gpu, weights_path
from model.segmenter import ModelError

LEAST_GPU_GB = 6
"""A smaller GPU gets what a processor gets: SAM 2.1 large would not fit beside a segmenter."""
OWN_BYTES = 2_000_000_000
"""What the program and its libraries take by themselves."""
ANNOUNCED = 1.25
"""The hub may hold this much more than the catalog announces; sizes there are rounded."""

_CHOSEN = "The one you chose in the picker."


@dataclass(frozen=True)
class Machine:
    """What decides which engines suit a machine; `here` are engines whose weights it has."""

    memory_bytes: int
    gpu_bytes: int  # 0 without a GPU that networks can use
    free_bytes: int  # on the disk that downloads go to
    here: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Tool:
    """An engine worth fetching.

    `better_at` is one sentence; `has_room` says whether it fits on the disk, and `is_chosen`
    whether it is fetched unless the person decides otherwise: it is not where somebody has to be
    asked first, nor where it does not fit beside those before it.
    """

    entry: Entry
    better_at: str
    is_here: bool
    has_room: bool
    is_chosen: bool


@dataclass(frozen=True)
class _Worth:
    name: str
    better_at: str
    at_once: bool = True  # False: beside those before it few need it


_FINDER = _Worth(
    "grounding-dino",
    "Drafts real footage from words for things and their looks; words for motion do not help.",
)
_ON_A_PROCESSOR = (
    _Worth(
        "edgetam",
        "Propagates with a memory of the target, light enough for a machine without a GPU.",
    ),
    _FINDER,
    _Worth(
        "sam2.1-tiny",
        "Better than EdgeTAM by published figures, in about three times the time without a GPU.",
        at_once=False,
    ),
)
_ON_A_GPU = (
    _Worth(
        "sam2.1-large",
        "Draws and propagates the best masks, by published figures, of all that anybody may fetch.",
    ),
    _Worth("rem", "Drafts real footage from words for motion and change, as smoke that rises."),
    _FINDER,
    _Worth("vdit", "The other video-diffusion segmenter, to compare REM with.", at_once=False),
    _Worth(
        "sam3",
        "Drafts every thing of a kind you name, places and relations aside; its tracker comes too.",
        at_once=False,
    ),
    _Worth(
        "sam3-tracker",
        "Draws and propagates at seven times the cost of SAM 2.1 tiny, not always better.",
        at_once=False,
    ),
)


def worth_fetching(machine: Machine, also: Sequence[str] = ()) -> tuple[Tool, ...]:
    """What suits the machine, most useful first; what it has already is among it.

    Engines named in `also` that can be fetched stand behind, unless they cannot run here.
    """
    rich = machine.gpu_bytes >= LEAST_GPU_GB * 1e9
    worths: tuple[_Worth, ...] = _ON_A_GPU if rich else _ON_A_PROCESSOR
    known = {worth.name for worth in worths}
    asked = [one for one in entries() if one.download_bytes and one.name in {*also} - known]
    worths += tuple(_Worth(one.name, one.note or _CHOSEN, at_once=False) for one in asked)
    room = machine.free_bytes - download.SPARE_BYTES
    tools: list[Tool] = []
    for worth in worths:
        wanted = entry(worth.name)
        same = {tool.entry.weights_of or tool.entry.name for tool in tools}
        if not _suits(wanted, machine) or wanted.weights_of in same:
            continue
        is_here = wanted.name in machine.here
        size = wanted.download_bytes
        is_chosen = worth.at_once and not wanted.gated and not is_here and size <= room
        has_room = is_here or size <= machine.free_bytes - download.SPARE_BYTES
        tools.append(Tool(wanted, worth.better_at, is_here, has_room, is_chosen))
        room -= size if is_chosen else 0
    return tuple(tools)


def _suits(wanted: Entry, machine: Machine) -> bool:
    # While they are loaded, a file and the network it fills are in memory together.
    return (
        machine.gpu_bytes >= wanted.gpu_gb * 1e9
        and machine.memory_bytes >= 2 * wanted.download_bytes + OWN_BYTES
    )


def this_machine(gpu_bytes: int, ready: Iterable[str] = ()) -> Machine:
    """The machine as it is now; looks at its memory, its disk and its weights.

    `ready` are engines that can run, from wherever they take their weights.
    """
    import psutil

    here = {one.name for one in entries() if one.download_bytes and weights_path(one.name)}
    memory = psutil.virtual_memory().total
    return Machine(memory, gpu_bytes, download.free_bytes(), frozenset(here.union(ready)))


def gpu_bytes(device: str) -> int:
    """Memory of the GPU that torch works on, 0 where it has none; imports torch if there may be."""
    if not has_gpu(device):
        return 0
    import torch

    if not torch.cuda.is_available():
        return 0
    return int(
        torch.cuda.get_device_properties("cuda" if device == "auto" else device).total_memory
    )


def plan(name: str) -> list[hub.Download]:
    """The files of an engine as the hub states them, if they are what the person agreed to.

    Raises:
        ModelError: as `hub.plan`; or the hub holds much more than the catalog announces.
    """
    wanted = entry(name)
    files = hub.plan(name)
    stated = sum(one.size_bytes for one in files)
    download.require_room(stated)
    if stated > ANNOUNCED * wanted.download_bytes:
        raise ModelError(
            f"The hub holds {stated / 1e6:,.0f} MB for {wanted.title}, not the "
            f"{wanted.download_bytes / 1e6:,.0f} MB that were announced; nothing was fetched. "
            f"`python -m model.weights fetch {name}` shows every file first."
        )
    return files
