"""EdgeTAM, the light one of the networks with a memory: from its weights to a refiner.

The network is transformers', whose import takes seconds: it waits until a network is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model import catalog
from model.checkpoint import load_strictly, read_tensors
from model.pictures import IMAGENET_DEVIATION, IMAGENET_MEAN
from model.refiners.memory_refiner import MemoryRefiner
from model.refiners.transformers_memory import TransformersMemory
from model.segmenter import ModelError
from model.transformers_folder import described, weights_in

OFFICIAL_IMAGE_SIZE = 1024
CPU_IMAGE_SIZE = 512
"""A propagated frame costs 3.7 CPU-s at 1024 pixels, 0.8 at 512."""
SIZE_MULTIPLE = 256
"""Pixels: a sixteenth of a side is cut into 16 windows where a memory is made small."""


def official_config(image_size: int) -> Any:
    """The network of the official weights, for pictures squeezed to `image_size` pixels a side.

    The library's defaults hold another encoder, and two switches that these weights do not have.
    """
    from transformers import EdgeTamVideoConfig, EdgeTamVisionConfig, TimmWrapperConfig

    cells = [[image_size // stride] * 2 for stride in (4, 8, 16)]
    encoder = TimmWrapperConfig(
        architecture="repvit_m1.dist_in1k",
        model_args={"in_chans": 3, "features_only": True, "out_indices": (0, 1, 2, 3)},
    )
    return EdgeTamVideoConfig(
        vision_config=EdgeTamVisionConfig(backbone_config=encoder, backbone_feature_sizes=cells),
        prompt_encoder_config={"image_size": image_size},
        image_size=image_size,
        memory_attention_rope_feat_sizes=cells[-1],
        enable_temporal_pos_encoding_for_object_pointers=False,
        enable_occlusion_spatial_embedding=False,
    )


def build(config: Any) -> Any:
    """The network of an EdgeTamVideoConfig with untrained weights.

    Raises:
        ValueError: it is of no network that can be built here.
    """
    import timm
    from transformers import EdgeTamVideoModel

    encoder = getattr(config.vision_config, "backbone_config", None)
    name = str(getattr(encoder, "architecture", None))
    if not timm.is_model(name.partition(".")[0]):  # any other would be looked for on the hub
        raise ValueError(f"timm has no encoder called {name}")
    if config.image_size % SIZE_MULTIPLE:
        raise ValueError(f"image_size {config.image_size} is no multiple of {SIZE_MULTIPLE}")
    return EdgeTamVideoModel(config)


def _build_described(description: dict[str, Any]) -> Any:
    from transformers import EdgeTamVideoConfig

    return build(EdgeTamVideoConfig(**description))


def load_network(weights: Path, device: str, *, image_size: int) -> TransformersMemory:
    """EdgeTAM with the weights of a file, the official ones, or of a folder that describes its own.

    `image_size` counts for a file alone.

    Raises:
        ModelError: the weights cannot be read, or do not fit.
    """
    if weights.is_dir():
        network, tensors = described(weights, _build_described, "EdgeTAM"), weights_in(weights)
    else:
        tensors = read_tensors(weights)
        network = build(official_config(image_size))
    load_strictly(network, tensors, "EdgeTAM")
    return _driven(network, device)


def untrained(device: str = "cpu", *, image_size: int = OFFICIAL_IMAGE_SIZE) -> MemoryRefiner:
    """EdgeTAM with random weights: draws nonsense at the true cost, for benchmarks."""
    network = _driven(build(official_config(image_size)), device)
    return MemoryRefiner(f"edgetam at {image_size} pixels, untrained", network)


def _driven(network: Any, device: str) -> TransformersMemory:
    return TransformersMemory(
        network, device, mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION, encodes_memory=True
    )


def load(device: str) -> MemoryRefiner:
    """EdgeTAM as a refiner; raises ModelError where its weights are missing or do not fit."""
    weights = catalog.weights_path("edgetam")
    if weights is None:
        raise ModelError(
            "The weights of EdgeTAM are not here: fetch them with `python -m model.weights fetch "
            "edgetam`, or name the file in REFSCRIBE_EDGETAM."
        )
    image_size = CPU_IMAGE_SIZE if device == "cpu" else OFFICIAL_IMAGE_SIZE
    return MemoryRefiner("edgetam", load_network(weights, device, image_size=image_size))
