"""SAM 2.1 as a refiner, for those who have its weights."""

from __future__ import annotations

import os

import torch

from model import catalog
from model.refiners.memory_refiner import MemoryRefiner
from model.refiners.sam2_network import Sam2Network, build, load_network
from model.segmenter import ModelError

CPU_IMAGE_SIZE = 512
"""Propagating at 1024 pixels takes over 4 s a frame on two cores, at 512 a sixth of that."""
COMPILE_VARIABLE = "REFSCRIBE_SAM2_COMPILE"


def load_tiny(device: str) -> MemoryRefiner:
    """SAM 2.1 tiny; raises ModelError where its weights are missing."""
    return _load("tiny", device)


def load_small(device: str) -> MemoryRefiner:
    """SAM 2.1 small; raises ModelError where its weights are missing."""
    return _load("small", device)


def load_base_plus(device: str) -> MemoryRefiner:
    """SAM 2.1 base+; raises ModelError where its weights are missing."""
    return _load("base-plus", device)


def load_large(device: str) -> MemoryRefiner:
    """SAM 2.1 large; raises ModelError where its weights are missing."""
    return _load("large", device)


def untrained(
    device: str = "cpu", *, image_size: int = 1024, compiled: bool = False
) -> MemoryRefiner:
    """SAM 2.1 tiny with random weights: draws nonsense at the true cost, for benchmarks."""
    torch.manual_seed(0)
    network = Sam2Network(build("tiny", image_size=image_size), device, compiled=compiled)
    how = "untrained, compiled" if compiled else "untrained"
    return MemoryRefiner(f"sam2.1-tiny at {image_size} pixels, {how}", network)


def _load(size: str, device: str) -> MemoryRefiner:
    name = f"sam2.1-{size}"
    weights = catalog.weights_path(name)
    if weights is None:
        raise ModelError(
            f"The weights of SAM 2.1 {size} are not here: fetch them with "
            f"`python -m model.weights fetch {name}`, or name the file in "
            f"REFSCRIBE_SAM2_{size.replace('-', '_').upper()}."
        )
    image_size = CPU_IMAGE_SIZE if device == "cpu" else 1024
    compiled = bool(os.environ.get(COMPILE_VARIABLE))
    network = load_network(size, weights, device, image_size=image_size, compiled=compiled)
    return MemoryRefiner(name, network)
