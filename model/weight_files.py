"""Which file an engine's weights are, and its hash; loads no torch and no network."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from model.catalog import DEMO, carrier, entry, weights_path
from model.segmenter import ModelError

DEMO_FILE = "weights.safetensors"


def checkpoint_in(path: Path) -> Path:
    """The checkpoint `path` is, or the only one in the folder it is.

    In a folder as transformers writes it, with a description, other forms beside it do not count.
    """
    if not path.exists():
        raise ModelError(f"There are no weights at {path}.")
    if path.is_file():
        return path
    if (path / "config.json").is_file() and (path / "model.safetensors").is_file():
        return path / "model.safetensors"
    found = [
        file
        for ending in ("safetensors", "pth", "pt", "bin")
        for file in sorted(path.glob(f"*.{ending}"))
    ]
    if len(found) != 1:
        raise ModelError(f"Expected one checkpoint in {path}, found {len(found)}. Name the file.")
    return found[0]


def weight_file(name: str, weights: Path | None = None) -> Path:
    """The file a segmenter takes its weights from.

    `weights` is where its weights were said to be; None for the usual places.

    Raises:
        ModelError: there is none.
    """
    if entry(name).is_demo:
        folder = weights or DEMO / name.removesuffix("-demo")
        return checkpoint_in(folder / DEMO_FILE)
    found = weights or weights_path(name)
    if found is None:
        raise ModelError(f"The weights of {name} are not here.")
    return checkpoint_in(found)


def weights_hash(name: str, weights: Path | None = None) -> str:
    """A segmenter's `weights_hash` as it will be once it is loaded, and as `hash_with` has it.

    Raises:
        ModelError: its weights are not there.
    """
    return hash_with(weight_file(name, weights), carrier(name))


def hash_with(file: Path, refiner: str | None) -> str:
    """What tells a segmenter's weights from others: its file's SHA-256, and the refiner it has
    draw for it, if any."""
    return file_hash(file) + (f"+{refiner}" if refiner else "")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, remembered while its size and time stay the same."""
    facts = path.stat()
    return _hash(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=16)
def _hash(path: Path, _size: int, _time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
