"""VD-IT: referring segmentation on the features of a text-to-video diffusion network.

Exploring Pre-trained Text-to-Video Diffusion Models for Referring Video Object
Segmentation (arXiv 2403.12042), by the official code.  Here stands the whole network;
`vdit_features` holds what looks at the clip, `vdit_head` what answers the expression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet3DConditionModel
from torch import Tensor, nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    RobertaConfig,
    RobertaModel,
)

from model.segmenters.schedule import OFFICIAL_TEXT, OFFICIAL_UNET, OFFICIAL_VAE
from model.segmenters.vdit_features import Condition, VdItFeatures
from model.segmenters.vdit_head import (
    DeformableTransformer,
    MaskRefinement,
    Mlp,
    dynamic_masks,
    refined_boxes,
    sine_position,
    word_position,
)

PIXEL_SHUFFLE = 4  # 16 mask features of a quarter-size cell are its 4 x 4 pixels
MASK_FEATURES = 16


@dataclass(frozen=True)
class VdItConfig:
    """Sizes of every part.  The defaults are those of the official checkpoint."""

    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    text: Mapping[str, Any]
    vision: Mapping[str, Any]
    words: Mapping[str, Any]
    prompt_heads: int = 16
    prompt_head_width: int = 64
    prompt_hidden_width: int = 512
    map_hidden_widths: tuple[int, int, int, int] = (256, 512, 1024, 1024)
    map_widths: tuple[int, int, int, int] = (128, 256, 512, 1024)
    width: int = 256
    heads: int = 8
    encoder_layers: int = 4
    decoder_layers: int = 4
    feed_forward: int = 2048
    queries: int = 5
    points: int = 4
    condition: Condition = "image and text"
    predict_noise: bool = True


OFFICIAL = VdItConfig(
    unet=OFFICIAL_UNET,
    vae=OFFICIAL_VAE,
    text=OFFICIAL_TEXT,
    vision={
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "projection_dim": 1024,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "image_size": 224,
        "patch_size": 14,
        "hidden_act": "gelu",
    },
    words={
        "vocab_size": 50265,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
    },
)


class _WordProjection(nn.Module):
    """RoBERTa's width to the head's; also carries the sentence feature, which nothing reads."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)
        self.layer_norm = nn.LayerNorm(outputs, eps=1e-12)

    def forward(self, words: Tensor) -> Tensor:
        return self.layer_norm(self.fc(words))


class _Words(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.text_backbone: Any = RobertaModel(RobertaConfig(**config))


class _Fusion(nn.Module):
    """Query tokens multiplied by what they read from the words."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, queries: Tensor, words: Tensor, position: Tensor, padding: Tensor) -> Tensor:
        """(B, Q, width), (B, L, width) twice, (B, L) -> (B, Q, width)."""
        read: Tensor = self.multihead_attn(
            queries, words + position, words, key_padding_mask=padding
        )[0]
        return queries * read


@dataclass(frozen=True)
class Queries:
    """Everything the head says of every query, before one is chosen.

    Attributes:
        scores: (layers, F, Q) logits that the query shows the target.
        boxes: (layers, F, Q, 4), (cx, cy, w, h) in 0 to 1 of the unpadded frame.
        centres: (layers, F, Q, 2), the boxes' centres in pixels of the unpadded frame.
        hidden: (layers, F, Q, width).
        mask_features: (F, width, /8).
        maps: the backbone's maps at /4 and /8, which refine masks.
        stages: intermediate tensors by name, for comparison with other implementations.
    """

    scores: Tensor
    boxes: Tensor
    centres: Tensor
    hidden: Tensor
    mask_features: Tensor
    maps: tuple[Tensor, Tensor]
    stages: Mapping[str, Tensor] = field(default_factory=dict)

    def clip_scores(self) -> Tensor:
        """(Q,) mean probability over the clip of the last layer; the largest is the choice."""
        return self.scores[-1].sigmoid().mean(dim=0)

    def part(self, frames: slice) -> Queries:
        """The same of some of the frames, without the stages."""
        quarter, eighth = self.maps
        return Queries(
            self.scores[:, frames],
            self.boxes[:, frames],
            self.centres[:, frames],
            self.hidden[:, frames],
            self.mask_features[frames],
            (quarter[frames], eighth[frames]),
        )


class VdIt(nn.Module):
    """The whole network.  One clip and one expression at a time, but for what is trained with."""

    def __init__(self, config: VdItConfig = OFFICIAL) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.features = VdItFeatures(
            unet=UNet3DConditionModel(**config.unet),
            vae=AutoencoderKL(**config.vae),
            text_encoder=CLIPTextModel(CLIPTextConfig(**config.text)),
            image_encoder=CLIPVisionModelWithProjection(CLIPVisionConfig(**config.vision)),
            prompt_heads=config.prompt_heads,
            prompt_head_width=config.prompt_head_width,
            prompt_hidden_width=config.prompt_hidden_width,
            map_hidden_widths=config.map_hidden_widths,
            map_widths=config.map_widths,
            condition=config.condition,
            predict_noise=config.predict_noise,
        )
        self.text_encoder = _Words(config.words)
        self.text_proj = _WordProjection(config.words["hidden_size"], width)
        self.sentence_proj = _WordProjection(config.words["hidden_size"], width)
        self.fusion_module = _Fusion(width, config.heads)
        self.query_tensors = nn.Parameter(torch.randn(config.queries, width))
        self.query_embed = nn.Embedding(config.queries, width)
        inputs = config.map_widths[1:]
        self.input_proj = nn.ModuleList(
            [
                *(_projected(channels, width, 1, 1) for channels in inputs),
                _projected(inputs[-1], width, 3, 2),
            ]
        )
        self.transformer = DeformableTransformer(
            width=width,
            hidden=config.feed_forward,
            levels=4,
            heads=config.heads,
            encoder_layers=config.encoder_layers,
            decoder_layers=config.decoder_layers,
            encoder_points=config.points,
            decoder_points=config.points,
        )
        self.class_embed = nn.ModuleList(nn.Linear(width, 1) for _ in range(config.decoder_layers))
        m = MASK_FEATURES
        self.controller = Mlp(width, width, (width + 2) * m + m * m + 2 * m, 3)
        self.mask_refine = MaskRefinement(m, config.map_widths[1], config.map_widths[0])

    def forward(
        self,
        pixel_values: Tensor,
        padding: Tensor,
        clip_ids: Tensor,
        word_ids: Tensor,
        noise: Tensor,
        *,
        only_frame: int | None = None,
    ) -> Queries:
        """
        Args:
            pixel_values: (F, 3, H, W) ImageNet-normalised, zero-padded at the right and bottom.
            padding: (H, W), True where there is no picture.
            clip_ids: (1, 77) tokens for the denoiser; word_ids: (1, L) for RoBERTa.
            noise: (F, 4, H/8, W/8) normal, the draw from the VAE's posterior.
            only_frame: the head looks at this frame alone, the denoiser at all: for evaluation on
                A2D, where one frame of a clip is annotated.
        """
        maps = self.features(pixel_values, clip_ids, noise)
        if only_frame is not None:
            maps = [level[only_frame : only_frame + 1] for level in maps]
        return self.answer(maps, padding, word_ids)

    def answer(
        self,
        maps: list[Tensor],
        padding: Tensor,
        word_ids: Tensor,
        word_padding: Tensor | None = None,
    ) -> Queries:
        """Ask the four feature maps for what the words name.

        Several clips of equal length may be stacked, with one row of `word_ids` each; then
        `word_padding` (clips, L) is True where a row has no word.
        """
        frames = len(maps[0])
        if word_padding is None:
            word_padding = torch.zeros_like(word_ids, dtype=torch.bool)
        read = self.text_encoder.text_backbone(word_ids, attention_mask=(~word_padding).long())
        words = self.text_proj(read[0])  # (clips, L, width)
        tokens = self.fusion_module(
            self.query_tensors.expand(len(words), -1, -1),
            words,
            word_position(word_padding, self.config.width),
            word_padding,
        ).repeat_interleave(frames // len(words), dim=0)

        levels = [project(level) for project, level in zip(self.input_proj, maps[1:], strict=False)]
        levels.append(self.input_proj[3](maps[-1]))
        paddings = [
            F.interpolate(padding[None, None].float(), level.shape[-2:])[0].bool()
            for level in levels
        ]
        positions = [sine_position(level, self.config.width) for level in paddings]
        decoded = self.transformer(
            levels,
            [level.expand(frames, -1, -1) for level in paddings],
            [level.expand(frames, -1, -1, -1) for level in positions],
            tokens,
            self.query_embed.weight,
        )

        scores = torch.stack(
            [
                embed(hidden)[..., 0]
                for embed, hidden in zip(self.class_embed, decoded.hidden, strict=True)
            ]
        )
        before = [decoded.first_reference, *decoded.references[:-1]]
        boxes = torch.stack(
            [
                refined_boxes(embed(hidden), reference)
                for embed, hidden, reference in zip(
                    self.transformer.decoder.bbox_embed, decoded.hidden, before, strict=True
                )
            ]
        )
        height, width = _picture_size(padding)
        centres = decoded.references[..., :2] * decoded.references.new_tensor([width, height])
        eighth, *coarser = decoded.memory[:3]
        mask_features = eighth + sum(
            F.interpolate(level, eighth.shape[-2:], mode="bicubic", align_corners=False)
            for level in coarser
        )
        stages = {
            "words": words,
            "query_tokens": tokens[0],
            "first_reference": decoded.first_reference,
            "references": decoded.references,
            **{f"level{i}": level for i, level in enumerate(levels)},
            **{f"position{i}": level for i, level in enumerate(positions)},
            **{f"memory{i}": level for i, level in enumerate(decoded.memory)},
        }
        return Queries(
            scores, boxes, centres, decoded.hidden, mask_features, (maps[0], maps[1]), stages
        )

    def low_masks(self, queries: Queries, layer: int, chosen: Tensor) -> Tensor:
        """(F, q, 16, /8) mask features of the `chosen` (q,) queries after a decoder layer."""
        parameters = self.controller(queries.hidden[layer][:, chosen])
        return dynamic_masks(
            queries.mask_features, parameters, queries.centres[layer][:, chosen], MASK_FEATURES
        )

    def refined(self, low: Tensor, queries: Queries) -> Tensor:
        """Mask features (F, q, 16, /8) -> logits (F, q, H, W) at the padded frame's size."""
        quarter, eighth = queries.maps
        count = low.shape[1]
        features = self.mask_refine(
            low.flatten(0, 1),
            eighth.repeat_interleave(count, dim=0),
            quarter.repeat_interleave(count, dim=0),
        )
        return F.pixel_shuffle(features, PIXEL_SHUFFLE)[:, 0].unflatten(0, (-1, count))

    def masks(self, queries: Queries, chosen: Tensor) -> Tensor:
        """(F, q, H, W) logits of the `chosen` (q,) queries at the padded frame's size."""
        return self.refined(self.low_masks(queries, -1, chosen), queries)


def _projected(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2),
        nn.GroupNorm(32, outputs),
    )


def _picture_size(padding: Tensor) -> tuple[int, int]:
    """(H, W) of the picture inside a padding mask (H, W)."""
    return int((~padding[:, 0]).sum()), int((~padding[0]).sum())


# Our names of what the official checkpoint calls otherwise, most specific first.
OFFICIAL_NAMES = {
    # transformers 5 holds the text tower without the extra level older versions had.
    "backbone.0.diff_ftex.text_encoder.text_model.": "features.text_encoder.",
    "backbone.0.diff_ftex.noise_pred.": "features.noise.noise_pred.",
    "backbone.0.diff_ftex.noise_fc.": "features.noise.noise_fc.",
    "backbone.0.diff_ftex.": "features.",
}
OPTIONAL_SUFFIXES = (".embeddings.position_ids", ".embeddings.token_type_ids")


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official checkpoint keys to ours; aliases and buffers of older versions are dropped."""
    renamed = {}
    for key, value in state.items():
        if key.endswith(OPTIONAL_SUFFIXES) or is_alias(key):
            continue
        renamed[our_name(key)] = value
    return renamed


def is_alias(key: str) -> bool:
    """Whether an official key names a tensor that stands elsewhere under its own name.

    >>> is_alias("bbox_embed.0.layers.0.weight")
    True
    >>> is_alias("transformer.decoder.bbox_embed.0.layers.0.weight")
    False
    """
    # act_k_postprocess and act_postprocess.{k-1} are one module; we keep the list.
    return key.startswith("bbox_embed.") or "_postprocess" in key.replace("act_postprocess", "")


def our_name(key: str) -> str:
    """One official key in our words.

    >>> our_name("backbone.0.diff_ftex.noise_fc.2.weight")
    'features.noise.noise_fc.2.weight'
    """
    for official, ours in OFFICIAL_NAMES.items():
        if key.startswith(official):
            return ours + key.removeprefix(official)
    return key
