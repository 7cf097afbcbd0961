"""SAM 2.1's real code at toy size with random weights: fast, and its work can be counted."""

from __future__ import annotations

import torch

from model.refiners.sam2_network import Sam2Network, build

TOY = {
    "image_encoder.trunk.embed_dim": 8,
    "image_encoder.trunk.stages": [1, 1, 2, 1],
    "image_encoder.trunk.global_att_blocks": [3],
    "image_encoder.neck.backbone_channel_list": [64, 32, 16, 8],
    "memory_attention.num_layers": 1,
    "memory_attention.layer.dim_feedforward": 32,
}


class CountingNetwork(Sam2Network):
    """Counts how often a picture goes through the encoder."""

    embedded = 0

    def embed(self, picture):
        self.embedded += 1
        return super().embed(picture)


def toy_network() -> CountingNetwork:
    torch.manual_seed(7)
    toy = build("tiny", image_size=128, changes=TOY)
    # Untrained, it may as well believe that the target is nowhere, and draw nothing.
    torch.nn.init.constant_(toy.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 10.0)
    return CountingNetwork(toy, "cpu")
