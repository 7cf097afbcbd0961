"""VD-IT's head: deformable transformer, dynamic mask convolutions, mask refinement.

The head is that of SgMg and ReferFormer over Deformable DETR (arXiv 2010.04159), as the
official VD-IT code runs it.  Frames are independent batch items, called F; queries Q.
Attribute names are those of the official checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sine_position(padding: Tensor, width: int) -> Tensor:
    """Sine position codes (F, width, h, w) of a padding mask (F, h, w), True on padding.

    Places are (cumulative count - 0.5) / (last count + 1e-6) * 2 pi, temperature 10,000.
    """
    inside = ~padding
    codes = []
    for dimension in (1, 2):
        place = inside.cumsum(dimension, dtype=torch.float32)
        last = place.select(dimension, -1).unsqueeze(dimension)
        place = (place - 0.5) / (last + 1e-6) * 2 * math.pi
        codes.append(_waves(place, width // 2))
    return torch.cat(codes, dim=-1).permute(0, 3, 1, 2)


def word_position(padding: Tensor, width: int) -> Tensor:
    """Sine position codes (1, L, width) of words; like frames', but not shifted by half."""
    place = (~padding).cumsum(1, dtype=torch.float32)
    place = place / (place[:, -1:] + 1e-6) * 2 * math.pi
    return _waves(place, width)


def _waves(place: Tensor, width: int) -> Tensor:
    """Interleaved sine and cosine of `place` (...) at `width` frequencies: (..., width)."""
    index = torch.arange(width, device=place.device)
    frequency = 10000 ** (2 * torch.div(index, 2, rounding_mode="floor") / width)
    angles = place.unsqueeze(-1) / frequency
    return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], dim=-1).flatten(-2)


def inverse_sigmoid(values: Tensor, epsilon: float = 1e-5) -> Tensor:
    """log(x / (1 - x)), with x and 1 - x kept from 0 as Deformable DETR keeps them."""
    values = values.clamp(0, 1)
    return (values.clamp(min=epsilon) / (1 - values).clamp(min=epsilon)).log()


class Mlp(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, inputs: int, hidden: int, outputs: int, layers: int) -> None:
        super().__init__()
        widths = [inputs, *[hidden] * (layers - 1), outputs]
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))

    def forward(self, values: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            values = layer(values).relu()
        return self.layers[-1](values)


class DeformableAttention(nn.Module):
    """Attention to a few learned places per level and head (Deformable DETR, eq. 3).

    In plain PyTorch: `grid_sample` with align_corners=False reads the same places as the
    original CUDA extension.
    """

    def __init__(self, width: int, levels: int, heads: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(width, heads * levels * points * 2)
        self.attention_weights = nn.Linear(width, heads * levels * points)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)

    def forward(
        self,
        query: Tensor,
        reference: Tensor,
        values: Tensor,
        sizes: Sequence[tuple[int, int]],
        padding: Tensor,
    ) -> Tensor:
        """
        Args:
            query: (F, q, width).
            reference: (F, q, levels, 2) points, or (F, q, levels, 4) boxes, in 0 to 1.
            values: (F, sum of h*w, width), the levels one after the other.
            sizes: (h, w) of each level.
            padding: (F, sum of h*w), True where there is no picture.

        Returns:
            (F, q, width).
        """
        frames, queries, _ = query.shape
        projected = self.value_proj(values).masked_fill(padding.unsqueeze(-1), 0)
        projected = projected.unflatten(-1, (self.heads, -1))  # (F, S, heads, d)
        shape = (frames, queries, self.heads, self.levels, self.points)
        offsets = self.sampling_offsets(query).view(*shape, 2)
        weights = self.attention_weights(query).view(*shape[:3], -1).softmax(-1).view(shape)
        places = self._places(reference, offsets, sizes)

        sampled = []
        levels = projected.split([h * w for h, w in sizes], dim=1)
        for level, (level_values, (height, width)) in enumerate(zip(levels, sizes, strict=True)):
            # (F * heads, d, h, w) read at (F * heads, q, points, 2)
            picture = level_values.permute(0, 2, 3, 1).reshape(
                frames * self.heads, -1, height, width
            )
            grid = (2 * places[:, :, :, level] - 1).transpose(1, 2).flatten(0, 1)
            sampled.append(F.grid_sample(picture, grid, align_corners=False))
        # (F * heads, d, q, levels, points) weighted by (F * heads, 1, q, levels, points)
        by_head = weights.transpose(1, 2).reshape(
            frames * self.heads, 1, queries, self.levels, self.points
        )
        read = (torch.stack(sampled, dim=-2) * by_head).sum(dim=(-2, -1))
        return self.output_proj(read.view(frames, -1, queries).transpose(1, 2))

    def _places(
        self, reference: Tensor, offsets: Tensor, sizes: Sequence[tuple[int, int]]
    ) -> Tensor:
        """(F, q, heads, levels, points, 2) in 0 to 1."""
        if reference.shape[-1] == 2:
            extent = offsets.new_tensor([(w, h) for h, w in sizes]).view(1, 1, 1, -1, 1, 2)
            return reference[:, :, None, :, None] + offsets / extent
        centre, size = reference[:, :, None, :, None].split(2, dim=-1)
        return centre + offsets / self.points * size * 0.5


class EncoderLayer(nn.Module):
    def __init__(self, width: int, hidden: int, levels: int, heads: int, points: int) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(width, levels, heads, points)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(
        self,
        tokens: Tensor,
        position: Tensor,
        reference: Tensor,
        sizes: Sequence[tuple[int, int]],
        padding: Tensor,
    ) -> Tensor:
        attended = self.self_attn(tokens + position, reference, tokens, sizes, padding)
        tokens = self.norm1(tokens + attended)
        return self.norm2(tokens + self.linear2(self.linear1(tokens).relu()))


class DecoderLayer(nn.Module):
    def __init__(self, width: int, hidden: int, levels: int, heads: int, points: int) -> None:
        super().__init__()
        self.cross_attn = DeformableAttention(width, levels, heads, points)
        self.norm1 = nn.LayerNorm(width)
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm3 = nn.LayerNorm(width)

    def forward(
        self,
        queries: Tensor,
        position: Tensor,
        reference: Tensor,
        memory: Tensor,
        sizes: Sequence[tuple[int, int]],
        padding: Tensor,
    ) -> Tensor:
        asking = queries + position
        queries = self.norm2(queries + self.self_attn(asking, asking, queries)[0])
        attended = self.cross_attn(queries + position, reference, memory, sizes, padding)
        queries = self.norm1(queries + attended)
        return self.norm3(queries + self.linear2(self.linear1(queries).relu()))


class _Encoder(nn.Module):
    def __init__(self, layers: int, **sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(**sizes) for _ in range(layers))


class _Decoder(nn.Module):
    def __init__(self, layers: int, **sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(**sizes) for _ in range(layers))
        self.bbox_embed = nn.ModuleList(
            Mlp(sizes["width"], sizes["width"], 4, 3) for _ in range(layers)
        )


@dataclass(frozen=True)
class Decoded:
    """What the transformer returns.

    Attributes:
        memory: one (F, width, h, w) per level.
        hidden: (layers, F, Q, width), the queries after each decoder layer.
        first_reference: (F, Q, 2), where the queries started.
        references: (layers, F, Q, 4), boxes (cx, cy, w, h) in 0 to 1 after each layer.
    """

    memory: list[Tensor]
    hidden: Tensor
    first_reference: Tensor
    references: Tensor


class DeformableTransformer(nn.Module):
    """Encoder over four feature levels, decoder with box refinement."""

    def __init__(
        self,
        *,
        width: int,
        hidden: int,
        levels: int,
        heads: int,
        encoder_layers: int,
        decoder_layers: int,
        encoder_points: int,
        decoder_points: int,
    ) -> None:
        super().__init__()
        sizes = {"width": width, "hidden": hidden, "levels": levels, "heads": heads}
        self.level_embed = nn.Parameter(torch.zeros(levels, width))
        self.encoder = _Encoder(encoder_layers, points=encoder_points, **sizes)
        self.decoder = _Decoder(decoder_layers, points=decoder_points, **sizes)
        self.reference_points = nn.Linear(width, 2)

    def forward(
        self,
        maps: Sequence[Tensor],
        paddings: Sequence[Tensor],
        positions: Sequence[Tensor],
        queries: Tensor,
        query_position: Tensor,
    ) -> Decoded:
        """
        Args:
            maps: (F, width, h, w) per level; paddings (F, h, w); positions like maps.
            queries: (F, Q, width), from words.
            query_position: (Q, width), learned.
        """
        sizes = [(level.shape[2], level.shape[3]) for level in maps]
        tokens = torch.cat([level.flatten(2).transpose(1, 2) for level in maps], dim=1)
        padding = torch.cat([level.flatten(1) for level in paddings], dim=1)
        place = torch.cat(
            [
                (level + self.level_embed[index].view(1, -1, 1, 1)).flatten(2).transpose(1, 2)
                for index, level in enumerate(positions)
            ],
            dim=1,
        )
        ratios = torch.stack([_seen_share(level) for level in paddings], dim=1)  # (F, levels, 2)

        reference = _grid_reference(sizes, ratios)
        for layer in self.encoder.layers:
            tokens = layer(tokens, place, reference, sizes, padding)

        position = query_position.expand(len(queries), -1, -1)
        boxes = first = self.reference_points(position).sigmoid()
        hidden, references = [], []
        for layer, refine in zip(self.decoder.layers, self.decoder.bbox_embed, strict=True):
            scale = torch.cat([ratios, ratios], dim=-1) if boxes.shape[-1] == 4 else ratios
            queries = layer(
                queries, position, boxes[:, :, None] * scale[:, None], tokens, sizes, padding
            )
            boxes = refined_boxes(refine(queries), boxes).detach()
            hidden.append(queries)
            references.append(boxes)

        memory = [
            level.transpose(1, 2).unflatten(-1, size)
            for level, size in zip(
                tokens.split([h * w for h, w in sizes], dim=1), sizes, strict=True
            )
        ]
        return Decoded(memory, torch.stack(hidden), first, torch.stack(references))


def refined_boxes(change: Tensor, reference: Tensor) -> Tensor:
    """Boxes (..., 4) in 0 to 1: a `change` (..., 4) of points (..., 2) or boxes (..., 4)."""
    known = inverse_sigmoid(reference)
    return (change + F.pad(known, (0, 4 - known.shape[-1]))).sigmoid()


def _seen_share(padding: Tensor) -> Tensor:
    """(F, 2): the share of each map's width and height that holds picture."""
    height, width = padding.shape[1:]
    rows = (~padding[:, :, 0]).sum(1) / height
    columns = (~padding[:, 0, :]).sum(1) / width
    return torch.stack([columns, rows], dim=-1)


def _grid_reference(sizes: Sequence[tuple[int, int]], ratios: Tensor) -> Tensor:
    """(F, sum of h*w, levels, 2): the centre of every cell, as each level sees it."""
    per_level = []
    for level, (height, width) in enumerate(sizes):
        rows = torch.arange(0.5, height, device=ratios.device)
        columns = torch.arange(0.5, width, device=ratios.device)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        cells = torch.stack([x.flatten(), y.flatten()], dim=-1)  # (h*w, 2)
        extent = ratios[:, level] * ratios.new_tensor([width, height])  # (F, 2)
        per_level.append(cells / extent[:, None])
    return torch.cat(per_level, dim=1)[:, :, None] * ratios[:, None]


class MaskRefinement(nn.Module):
    """Two small residual steps at an eighth and a quarter of the frame's size."""

    def __init__(self, mask_width: int, eighth_width: int, quarter_width: int) -> None:
        super().__init__()
        self.conv1_1div8 = nn.Conv2d(mask_width + eighth_width, mask_width, 3, padding=1)
        self.conv2_1div8 = nn.Conv2d(mask_width, mask_width, 3, padding=1)
        self.conv1_1div4 = nn.Conv2d(mask_width + quarter_width, mask_width, 3, padding=1)
        self.conv2_1div4 = nn.Conv2d(mask_width, mask_width, 3, padding=1)

    def forward(self, masks: Tensor, eighth: Tensor, quarter: Tensor) -> Tensor:
        """
        Args:
            masks: (n, 16, /8), mask features of frames or of queries of frames.
            eighth, quarter: (n, 256, /8) and (n, 128, /4), the backbone's maps.

        Returns:
            (n, 16, /4).
        """
        change = torch.cat([masks, eighth], dim=1).relu()
        masks = masks + self.conv2_1div8(self.conv1_1div8(change).relu())
        masks = F.interpolate(masks, quarter.shape[-2:], mode="bilinear", align_corners=False)
        change = torch.cat([masks, quarter], dim=1).relu()
        return masks + self.conv2_1div4(self.conv1_1div4(change).relu())


def dynamic_masks(
    features: Tensor, parameters: Tensor, centres: Tensor, mask_width: int, stride: int = 8
) -> Tensor:
    """Two 1x1 convolutions whose weights each query brings along (CondInst).

    Args:
        features: (F, C, h, w) at 1/`stride` of the frame's size.
        parameters: (F, Q, n) weights and biases, n = (C + 2) m + m m + 2 m for width m.
        centres: (F, Q, 2) in pixels of the frame, (x, y).

    Returns:
        (F, Q, m, h, w).
    """
    channels, height, width = features.shape[1:]
    m = mask_width
    w0, w1, b0, b1 = parameters.split([(channels + 2) * m, m * m, m, m], dim=-1)
    rows = torch.arange(height, device=features.device) * stride + stride // 2
    columns = torch.arange(width, device=features.device) * stride + stride // 2
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    here = torch.stack([x, y]).to(features.dtype)  # (2, h, w)
    relative = centres[:, :, :, None, None] - here  # (F, Q, 2, h, w)

    first = w0.unflatten(-1, (m, channels + 2))
    # The last two inputs are the coordinates.  Features are the same for every query, so they
    # are multiplied without a copy for each.
    hidden = torch.einsum("fqmc,fchw->fqmhw", first[..., :channels], features)
    hidden = hidden + torch.einsum("fqmc,fqchw->fqmhw", first[..., channels:], relative)
    hidden = (hidden + b0[..., None, None]).relu()
    result = torch.einsum("fqmc,fqchw->fqmhw", w1.unflatten(-1, (m, m)), hidden)
    return result + b1[..., None, None]
