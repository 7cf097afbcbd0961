"""Every segmenter and refiner: what it is, what it needs, whether it can run here.

Importing this loads no network and no torch; an engine's code is imported when it is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from model import hub
from model.refiner import Refiner
from model.segmenter import ModelError, TextSegmenter

Kind = Literal["segmenter", "refiner"]

DEMO = Path(__file__).parent / "demo"


@dataclass(frozen=True)
class Entry:
    """One engine.

    `loader` is "module:function"; a segmenter's is called with (device, weights path or None), a
    refiner's with (device).  `gpu_gb` is the GPU memory it needs, 0 where a CPU will do; `note` is
    a sentence or two on what it is good for, `limits` one on what of an expression it does not see,
    for those who compare.  `carried` says that a refiner draws and carries what
    the segmenter finds; see `carrier`.  `gated` names whoever must be asked before a download, and
    `weights_of` the engine whose weights these are, where two share a file.  `licence_page` is
    where a licence for downloads is to be read, and `is_non_commercial` sums it up.
    """

    name: str
    kind: Kind
    title: str
    licence: str
    loader: str
    download_bytes: int = 0
    gpu_gb: int = 0
    is_demo: bool = False
    note: str = ""
    limits: str = ""
    carried: bool = False
    gated: str = ""
    weights_of: str = ""
    licence_page: str = ""
    is_non_commercial: bool = False


@dataclass(frozen=True)
class EntryState:
    """Whether an engine can run here, and why not."""

    ready: bool
    sentence: str


_SAM2 = {
    "tiny": (156_008_466, "SAM 2.1 tiny"),
    "small": (184_416_285, "SAM 2.1 small"),
    "base-plus": (323_606_802, "SAM 2.1 base+"),
    "large": (898_083_611, "SAM 2.1 large"),
}

_APACHE_PAGE = "https://www.apache.org/licenses/LICENSE-2.0"
_SAM3_LICENCE = "SAM License (Meta's own: commercial use too, nothing military)"
_SAM3_PAGE = "https://github.com/facebookresearch/sam3/blob/main/LICENSE"
_SAM3_BYTES = 3_440_000_000
UNTRIED = "Not tried with its official weights yet."
_DEMO_NOTE = "Trained on rendered clips; for trying the page, not for real footage."

_ENTRIES: tuple[Entry, ...] = (
    Entry(
        "rem-demo",
        "segmenter",
        "REM demo",
        "Apache-2.0",
        "model.weights:load_demo_rem",
        is_demo=True,
        note=_DEMO_NOTE,
    ),
    Entry(
        "rem",
        "segmenter",
        "REM",
        "CC BY 4.0 (REM), CC BY-NC 4.0 (ModelScope's VAE and text encoder)",
        "model.weights:load_official_rem",
        download_bytes=7_340_000_000,  # the UNet's 5.6, the VAE's 0.3, the text encoder's 1.4 GB
        gpu_gb=24,
        licence_page="https://creativecommons.org/licenses/by-nc/4.0/",
        is_non_commercial=True,
    ),
    Entry(
        "vdit-demo",
        "segmenter",
        "VD-IT demo",
        "Apache-2.0",
        "model.segmenters.vdit_demo:load",
        is_demo=True,
        note=_DEMO_NOTE,
    ),
    Entry(
        "vdit",
        "segmenter",
        "VD-IT",
        "contradictory statements; treat as non-commercial (CC BY-NC 4.0)",
        "model.weights:load_official_vdit",
        download_bytes=10_500_000_000,
        gpu_gb=80,
        licence_page="https://huggingface.co/buxiangzhiren/VD-IT",
        is_non_commercial=True,
    ),
    Entry(
        "grounding-dino",
        "segmenter",
        "Grounding DINO",
        "Apache-2.0",
        "model.segmenters.box_segmenter:load",
        download_bytes=689_000_000,
        note="Finds a box by words on a few frames; a refiner draws what is in it and carries it. "
        + UNTRIED,
        limits="Sees single frames: words for motion do not help it.",
        carried=True,
        licence_page=_APACHE_PAGE,
    ),
    Entry(
        "sam3",
        "segmenter",
        "SAM 3",
        _SAM3_LICENCE,
        "model.segmenters.sam3_segmenter:load",
        download_bytes=_SAM3_BYTES,
        gpu_gb=16,
        note="Follows every thing of the kind that is named; each is a query of the draft, and so "
        f"are all together. {UNTRIED}",
        limits="Ignores places and relations: it reads what kind of thing is named, and takes the "
        "surest of the kind.",
        gated="Meta",
        licence_page=_SAM3_PAGE,
    ),
    Entry(
        "mobile-sam",
        "refiner",
        "MobileSAM",
        "Apache-2.0",
        "model.refiners.mobile_sam_refiner:load",
    ),
    *(
        Entry(
            f"sam2.1-{size}",
            "refiner",
            title,
            "Apache-2.0",
            f"model.refiners.sam2_refiner:load_{size.replace('-', '_')}",
            download_bytes=size_bytes,
            licence_page=_APACHE_PAGE,
        )
        for size, (size_bytes, title) in _SAM2.items()
    ),
    Entry(
        "edgetam",
        "refiner",
        "EdgeTAM",
        "Apache-2.0",
        "model.refiners.edgetam:load",
        download_bytes=55_900_000,
        note="Light, for a CPU too: a frame costs a sixth of SAM 2.1 tiny's at the same size; its "
        f"published figures are a little lower. {UNTRIED}",
        licence_page=_APACHE_PAGE,
    ),
    Entry(
        "sam3-tracker",
        "refiner",
        "SAM 3 tracker",
        _SAM3_LICENCE,
        "model.refiners.sam3_tracker:load",
        download_bytes=_SAM3_BYTES,
        gpu_gb=8,
        note="Large: seven times the cost of SAM 2.1 tiny, and not always better. For those who "
        f"have SAM 3 for its words. {UNTRIED}",
        gated="Meta",
        weights_of="sam3",
        licence_page=_SAM3_PAGE,
    ),
)


def entries(checkpoints: Iterable[str] = ()) -> tuple[Entry, ...]:
    """All engines, in the order the page offers them; those of further `checkpoints` last."""
    return (*_ENTRIES, *map(entry, checkpoints))


def checkpoint_name(engine: str, path: Path) -> str:
    """What an engine with weights of its own is called beside the engine itself.

    >>> checkpoint_name("rem", Path("runs/step-20000.ckpt"))
    'rem:step-20000'
    """
    return f"{engine}:{path.stem}"


def entry(name: str) -> Entry:
    """The engine called `name`, which may be one with weights of its own ("rem:step-20000").

    Raises:
        ModelError: there is none.
    """
    engine, _, label = name.partition(":")
    for one in _ENTRIES:
        if one.name == engine:
            return replace(one, name=name, title=f"{one.title} · {label}") if label else one
    known = ", ".join(one.name for one in _ENTRIES)
    raise ModelError(f"There is no engine called {name!r}. There are: {known}.")


def state(name: str, device: str = "auto", weights: Path | None = None) -> EntryState:
    """Whether the engine can run on `device` now, from `weights` or the usual places.

    Looks at files, loads nothing.
    """
    one = entry(name)
    module = one.loader.partition(":")[0]
    if find_spec(module) is None:
        return EntryState(False, "not part of this version yet")
    refiner = carrier(name)
    if refiner is not None:
        if refiner not in [other.name for other in _ENTRIES if other.kind == "refiner"]:
            return EntryState(False, f"there is no refiner called {refiner!r} to draw for it")
        drawing = state(refiner, device)
        if not drawing.ready:
            return EntryState(
                False, f"{entry(refiner).title}, which draws for it: {drawing.sentence}"
            )
    if weights is not None:
        there = weights.exists()
        return EntryState(there, "ready" if there else f"its weights are not at {weights}")
    if one.is_demo:
        folder = DEMO / name.removesuffix("-demo")
        if not (folder / "weights.safetensors").is_file():
            training = "demo" if name == "rem-demo" else name
            return EntryState(
                False,
                f"its weights are not there; train them with `python -m model.train {training}`",
            )
        return EntryState(True, "ready")
    if one.download_bytes and weights_path(name) is None:
        lost = lost_path(name)
        if lost:
            return EntryState(False, lost)
        gate = f"gated: ask {one.gated} first; then " if one.gated else "weights not here: "
        return EntryState(
            False,
            f"{gate}{_size(one.download_bytes)} to fetch with "
            f"`python -m model.weights fetch {name}`",
        )
    if one.gpu_gb and not has_gpu(device):
        return EntryState(False, f"needs a GPU with {one.gpu_gb} GB; this machine has none")
    return EntryState(True, "ready")


def carrier(name: str) -> str | None:
    """The refiner that draws and carries what the segmenter called `name` finds; None for those
    that draw themselves.

    MobileSAM, or the one named in REFSCRIBE_<NAME>_REFINER.
    """
    one = entry(name)
    variable = _variable(one.name.partition(":")[0]) + "_REFINER"
    return os.environ.get(variable) or "mobile-sam" if one.carried else None


def weights_path(name: str) -> Path | None:
    """The engine's checkpoint: named by REFSCRIBE_<NAME>, or in the Hugging Face cache."""
    name = entry(name).weights_of or name
    named = os.environ.get(_variable(name))
    if named:
        return Path(named) if Path(named).exists() else None
    return hub.cached_checkpoint(name)


def lost_path(name: str) -> str:
    """Why a path named for the engine's weights does not count; "" where none is, or it does."""
    variable = _variable(entry(name).weights_of or name)
    named = os.environ.get(variable)
    if not named or Path(named).exists():
        return ""
    return f"there are no weights at {named}, which {variable} names; correct or unset it"


def other_ways(name: str) -> str:
    """How an engine gets its weights when the page cannot fetch them, as a sentence."""
    variable = _variable(entry(name).weights_of or name)
    return (
        f"Other ways: `python -m model.weights fetch {name}` on a command line, or start Refscribe "
        f"with the path of weights you have in {variable}."
    )


def _variable(name: str) -> str:
    """
    >>> _variable("sam2.1-base-plus"), _variable("grounding-dino")
    ('REFSCRIBE_SAM2_BASE_PLUS', 'REFSCRIBE_GROUNDING_DINO')
    """
    return "REFSCRIBE_" + name.replace(".1-", "_").replace("-", "_").upper()


def _size(size_bytes: int) -> str:
    """
    >>> _size(5_645_118_394), _size(156_008_466)
    ('5.6 GB', '156 MB')
    """
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


@cache
def has_gpu(device: str) -> bool:
    """Whether there may be a GPU for networks on `device`; looks at files alone."""
    if device == "cpu":
        return False
    return any(Path("/proc/driver/nvidia/gpus").glob("*")) or Path("/dev/nvidia0").exists()


def choose_device(device: str = "auto") -> str:
    """`device`, or for "auto" the best there is: CUDA, Apple's, or the CPU."""
    if device != "auto":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_segmenter(name: str, device: str = "auto", weights: Path | None = None) -> TextSegmenter:
    """The segmenter called `name`, on `device`, from `weights` or the usual places.

    Raises:
        ModelError: it cannot run here, or its weights cannot be read.
    """
    return _load(name, "segmenter")(choose_device(device), weights)


def load_refiner(name: str, device: str = "auto") -> Refiner:
    """The refiner called `name`; raises as `load_segmenter` does."""
    return _load(name, "refiner")(choose_device(device))


def _load(name: str, kind: Kind) -> Any:
    one = entry(name)
    if one.kind != kind:
        raise ModelError(f"{one.title} is a {one.kind}, not a {kind}.")
    module, _, function = one.loader.partition(":")
    return getattr(import_module(module), function)
