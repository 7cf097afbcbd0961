"""MobileSAM's image encoder, TinyViT, for pictures of any size.

The weights are the package's.  Its own forward pass is told the size of the picture beforehand, in
numbers kept in its layers; here every number is read from the picture, so that threads may
share it and one graph traced from it serves every size.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 16
"""Pixels on a side of one cell of the features."""


class AnySizeEncoder(nn.Module):
    """From a picture to its features."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: Any) -> None:
        """`network` is the package's Sam with a TinyViT."""
        super().__init__()
        vit = network.image_encoder
        self.register_buffer("mean", network.pixel_mean.clone())
        self.register_buffer("std", network.pixel_std.clone())
        self.patch_embed = vit.patch_embed
        self.first = vit.layers[0]
        self.stages = nn.ModuleList(_Stage(layer) for layer in vit.layers[1:])
        self.neck = vit.neck

    def forward(self, picture: Tensor) -> Tensor:
        """
        Args:
            picture: (1, H, W, 3), 0 to 255, 8-bit.

        Returns:
            (1, 256, h, w), cells of 16 pixels; the last row and column may reach past the picture.
        """
        pixels = (picture.permute(0, 3, 1, 2).float() - self.mean) / self.std
        missing = [-side % PATCH for side in pixels.shape[-2:]]
        pixels = F.pad(pixels, (0, missing[1], 0, missing[0]))
        features = self.patch_embed(pixels.contiguous(memory_format=torch.channels_last))
        for block in self.first.blocks:
            features = block(features)  # (1, 64, H / 4, W / 4)
        features = _merged(self.first.downsample, features)
        for stage in self.stages:
            features = stage(features)
        return self.neck(features)


class _Stage(nn.Module):
    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(block) for block in layer.blocks)
        self.downsample = layer.downsample

    def forward(self, features: Tensor) -> Tensor:
        """(1, C, h, w) -> (1, C', h', w')."""
        for block in self.blocks:
            features = block(features)
        return features if self.downsample is None else _merged(self.downsample, features)


class _Block(nn.Module):
    """Attention within windows, a convolution across them, and a perceptron."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.side = block.window_size
        self.attention = _WindowAttention(block.attn)
        self.local_conv = block.local_conv
        self.mlp = block.mlp

    def forward(self, features: Tensor) -> Tensor:
        """(1, C, h, w) -> the same."""
        cells = features.permute(0, 2, 3, 1)
        cells = cells + self._attended(cells)
        cells = self.local_conv(cells.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return (cells + self.mlp(cells)).permute(0, 3, 1, 2)

    def _attended(self, cells: Tensor) -> Tensor:
        """(1, h, w, C) -> the same; cells see their window; the first one begins in the corner."""
        height, width = cells.shape[1:3]
        side, channels = self.side, self.attention.channels
        below, beside = -height % side, -width % side
        rows, columns = (height + below) // side, (width + beside) // side
        padded = F.pad(cells, (0, 0, 0, beside, 0, below))
        windows = padded.reshape(rows, side, columns, side, channels).transpose(1, 2)
        windows = self.attention(windows.reshape(-1, side * side, channels))
        windows = windows.reshape(rows, columns, side, side, channels).transpose(1, 2)
        return windows.reshape(1, rows * side, columns * side, channels)[:, :height, :width]


class _WindowAttention(nn.Module):
    """The package's attention with query, key and value apart, which runs faster."""

    weights: Tensor
    biases: Tensor
    places: Tensor

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.heads, self.each = attention.num_heads, attention.key_dim
        self.channels = attention.dh
        if attention.d != self.each:
            raise ValueError(f"expected values as wide as keys, {self.each}; got {attention.d}")
        self.norm, self.proj = attention.norm, attention.proj
        weight = attention.qkv.weight.detach().view(self.heads, 3, self.each, -1)
        bias = attention.qkv.bias.detach().view(self.heads, 3, self.each)
        self.register_buffer("weights", weight.transpose(0, 1).reshape(3, self.channels, -1))
        self.register_buffer("biases", bias.transpose(0, 1).reshape(3, self.channels))
        self.register_buffer("places", attention.ab.clone()[None])  # (1, heads, N, N)

    def forward(self, windows: Tensor) -> Tensor:
        """(n, N, C) -> the same."""
        cells = windows.shape[1]
        normed = self.norm(windows)
        query, key, value = (
            F.linear(normed, weight, bias).reshape(-1, cells, self.heads, self.each).transpose(1, 2)
            for weight, bias in zip(self.weights, self.biases, strict=True)
        )  # (n, heads, N, each)
        seen = F.scaled_dot_product_attention(
            query, key, value, attn_mask=self.places.to(query.dtype)
        )
        return self.proj(seen.transpose(1, 2).reshape(-1, cells, self.channels))


def _merged(merging: Any, features: Tensor) -> Tensor:
    """The package's PatchMerging on a grid: (1, C, h, w) -> (1, C', h', w')."""
    features = merging.act(merging.conv1(features))
    return merging.conv3(merging.act(merging.conv2(features)))
