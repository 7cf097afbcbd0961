"""SAM 3's tracker for clicks and propagation: from the file it shares with its detector.

The network is transformers', whose import takes seconds: it waits until a network is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from model import catalog
from model.checkpoint import load_strictly, read_tensors, under
from model.pictures import SAM3_DEVIATION, SAM3_MEAN
from model.refiners.memory_refiner import MemoryRefiner
from model.refiners.transformers_memory import TransformersMemory
from model.segmenter import ModelError
from model.transformers_folder import described, weights_in

OFFICIAL_IMAGE_SIZE = 1008
PATCH = 14
PARTS = {
    "detector_model.vision_encoder.backbone.": "vision_encoder.backbone.",
    "tracker_neck.": "vision_encoder.neck.",
    "tracker_model.": "",
}
"""Where the official file keeps what the tracker is made of, and the network's names of it."""


def of_tracker(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tracker's tensors of the official file by the network's own names."""
    return {
        ours + name: value
        for theirs, ours in PARTS.items()
        for name, value in under(theirs, tensors).items()
    }


def build(*, image_size: int = OFFICIAL_IMAGE_SIZE) -> Any:
    """The network of the official weights with untrained ones, for pictures of `image_size`."""
    from transformers import Sam3TrackerVideoConfig, Sam3TrackerVideoModel

    return Sam3TrackerVideoModel(Sam3TrackerVideoConfig(image_size=image_size))


def _build_described(description: dict[str, Any]) -> Any:
    """The tracker of a Sam3VideoConfig, which describes the detector as well."""
    from transformers import Sam3TrackerVideoConfig, Sam3TrackerVideoModel

    config = Sam3TrackerVideoConfig(**description["tracker_config"])
    if config.image_size % PATCH:
        raise ValueError(f"image_size {config.image_size} is no multiple of {PATCH}")
    return Sam3TrackerVideoModel(config)


def load_network(weights: Path, device: str) -> TransformersMemory:
    """SAM 3's tracker with the weights of a file, the official one, or of a folder that describes
    its own.

    Raises:
        ModelError: the weights cannot be read, or do not fit.
    """
    if weights.is_dir():
        network = described(weights, _build_described, "SAM 3")
        tensors = of_tracker(weights_in(weights))
    else:
        tensors = of_tracker(read_tensors(weights))
        network = build()
    load_strictly(network, tensors, "SAM 3's tracker")
    return driven(network, device)


def driven(network: Any, device: str, *, precise: bool = False) -> TransformersMemory:
    """A Sam3TrackerVideoModel as a MemoryNetwork."""
    return TransformersMemory(
        network, device, mean=SAM3_MEAN, deviation=SAM3_DEVIATION, precise=precise
    )


def untrained(device: str = "cpu", *, image_size: int = OFFICIAL_IMAGE_SIZE) -> MemoryRefiner:
    """SAM 3's tracker with random weights: draws nonsense at the true cost, for benchmarks."""
    network = driven(build(image_size=image_size), device)
    return MemoryRefiner(f"sam3-tracker at {image_size} pixels, untrained", network)


def load(device: str) -> MemoryRefiner:
    """SAM 3's tracker as a refiner; raises ModelError where its weights are missing or strange."""
    weights = catalog.weights_path("sam3-tracker")
    if weights is None:
        raise ModelError(
            "The weights of SAM 3 are not here: once Meta let you in, fetch them with `python -m "
            "model.weights fetch sam3-tracker`, or name the file in REFSCRIBE_SAM3."
        )
    return MemoryRefiner("sam3-tracker", load_network(weights, device))
