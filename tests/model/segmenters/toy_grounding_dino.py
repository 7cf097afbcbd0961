"""Grounding DINO's real code at toy size with random weights, as a folder of the official files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "the", "a", "orange", "disc", "that"),
    *("moves", "red", "kite", "on", "left", "of", "it", "##s", "is"),
)


def toy_network() -> Any:
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection

    torch.manual_seed(3)
    config = GroundingDinoConfig(
        backbone_config={
            "model_type": "swin",
            "embed_dim": 16,
            "depths": [1, 1, 1, 1],
            "num_heads": [1, 2, 2, 2],
            "image_size": 64,
            "out_indices": [2, 3, 4],
        },
        text_config={
            "model_type": "bert",
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "vocab_size": len(WORDS),
            "max_position_embeddings": 256,
        },
        num_queries=20,
        encoder_layers=1,
        encoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_layers=2,  # of one the library cannot tie the heads
        decoder_ffn_dim=32,
        decoder_attention_heads=2,
        d_model=32,
    )
    return GroundingDinoForObjectDetection(config).eval()


def blind(network: Any) -> Any:
    """`network`, in which whatever is seen is the opposite of whatever is read."""
    for norm, value in (
        (network.model.decoder.layer_norm, 1.0),
        (network.model.encoder.layers[-1].text_enhancer_layer.layer_norm_after, -1.0),
    ):
        torch.nn.init.zeros_(norm.weight)
        torch.nn.init.constant_(norm.bias, value)
    return network


def write_toy(folder: Path, network: Any = None) -> Path:
    """The toy as the official repository holds it."""
    from transformers import BertTokenizer, GroundingDinoImageProcessor

    logging.getLogger("transformers").setLevel(logging.WARNING)
    (network or toy_network()).save_pretrained(folder)
    GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 128}).save_pretrained(
        folder
    )
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    BertTokenizer(vocab=vocabulary, do_lower_case=True).save_pretrained(folder)
    return folder
