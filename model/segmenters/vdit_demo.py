"""VD-IT at toy size: how its description on disk becomes the network, its words and a segmenter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn

from model.catalog import DEMO
from model.checkpoint import load_strictly, read_tensors, under
from model.segmenter import ModelError
from model.segmenters.tokenizer import CompactTokenizer
from model.segmenters.vdit import VdIt, VdItConfig
from model.segmenters.vdit_segmenter import VdItSegmenter
from model.weight_files import file_hash


class CompactWords:
    """A compact vocabulary for the words' encoder: no padding behind the end, nothing cut."""

    def __init__(self, tokenizer: CompactTokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """Begin, tokens, end.

        >>> CompactWords(CompactTokenizer(("<pad>", "<begin>", "<end>", "<unknown>"))).encode("red")
        [1, 3, 2]
        """
        return [place for place in self._tokenizer.encode(text) if place]


def config_from(sizes: Mapping[str, Any]) -> VdItConfig:
    """The sizes of every part, as `config.json` holds them.

    Raises:
        ModelError: names or values that are no sizes of VD-IT.
    """
    known = {field.name for field in fields(VdItConfig)}
    if not set(sizes) <= known:
        raise ModelError(f"VD-IT has no size called {', '.join(sorted(set(sizes) - known))}.")
    tuples: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in sizes.items()
    }
    return VdItConfig(**tuples)


def build(config: VdItConfig) -> VdIt:
    """The network without what nothing reads, as it is trained and shipped at toy size.

    VD-IT takes features, not pictures: neither the autoencoder's decoder nor the last block of
    the denoiser is ever run.
    """
    network = VdIt(config)
    vae, unet = network.features.vae, network.features.unet
    vae.decoder, vae.post_quant_conv = nn.Identity(), nn.Identity()
    unet.up_blocks[-1] = nn.Identity()
    unet.conv_norm_out, unet.conv_out = nn.Identity(), nn.Identity()
    del network.sentence_proj
    return network


def load(device: str, weights: Path | None = None) -> VdItSegmenter:
    """The demo's VD-IT from the folder that ships with the project, or another of its kind.

    Raises:
        ModelError: the folder lacks a file, or the weights do not fit its description.
    """
    folder = weights or DEMO / "vdit"
    try:
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Expected a folder with config.json and weights.safetensors at {folder}."
        ) from error
    file = folder / "weights.safetensors"
    network = build(config_from(description["network"]))
    load_strictly(network, under("", read_tensors(file)), "the demo's VD-IT")
    tokenizer = CompactTokenizer(tuple(description["vocabulary"]), description["context"])
    return VdItSegmenter(
        "vdit-demo",
        network.to(device),
        tokenizer,
        CompactWords(tokenizer),
        weights_hash=file_hash(file),
        short_side=description["short_side"],
        window_frames=description["window_frames"],
        spread=True,
    )
