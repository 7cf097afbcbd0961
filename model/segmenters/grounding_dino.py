"""Grounding DINO: the box of what an expression refers to, on one frame.

The network is transformers', whose import takes seconds: it waits until a network is loaded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model import hub
from model.checkpoint import listed
from model.segmenter import ExpressionReport, ModelError
from model.segmenters.inference import inference
from video_types import Box, Frame

SCORE_NEEDED = 0.25
"""As its authors have it: below this a box is none."""
FRAMING_TOKENS = 3  # the text's beginning, its full stop and its end


@dataclass(frozen=True)
class Found:
    """A box in frame pixels, inside the frame, and how sure the network is of it, 0 to 1."""

    box: Box
    score: float


class GroundingDino:
    """The network with its weights on one device, and the tokenizer beside them."""

    def __init__(self, network: Any, processor: Any, device: str) -> None:
        self._network = network.to(device).eval()
        self._processor = processor
        self._device = torch.device(device)

    def describe(self, text: str) -> ExpressionReport:
        """What of `text` is read: full stops are taken out, since they part phrases from each
        other, and so is what goes beyond the network's number of tokens."""
        words = " ".join(text.replace(".", " ").split())
        coded = self._processor.tokenizer(
            words, add_special_tokens=False, return_offsets_mapping=True
        )
        places = coded["offset_mapping"]
        unknown = [
            words[slice(*place)]
            for place, token in zip(places, coded["input_ids"], strict=True)
            if token == self._processor.tokenizer.unk_token_id
        ]
        most = self._network.config.max_text_len - FRAMING_TOKENS
        cut = len(places) > most
        kept = words[: places[most - 1][1]] if cut else words
        return ExpressionReport(kept, cut, tuple(dict.fromkeys(unknown)))

    def find(self, frame: Frame, expression: str) -> Found | None:
        """The surest box on a frame (H, W, 3); None where the network is sure of none.

        Raises:
            ModelError: the device has no memory left.
        """
        # A list of one: the library closes it with a full stop, which it does for lists alone.  A
        # copy: frames may be read-only, of which it warns.
        asked = self._processor(
            images=frame.copy(), text=[[self.describe(expression).kept_text]], return_tensors="pt"
        ).to(self._device)
        with inference("Grounding DINO", 1, self._device):
            answer = self._network(**asked)
        height, width = frame.shape[:2]
        found = self._processor.post_process_grounded_object_detection(
            answer, asked["input_ids"], threshold=SCORE_NEEDED, target_sizes=[(height, width)]
        )[0]
        scores, boxes = found["scores"].cpu(), found["boxes"].cpu()
        for place in scores.argsort(descending=True):
            left, top, right, bottom = boxes[place].tolist()
            box = Box(max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height))
            if box.right - box.left >= 1 and box.bottom - box.top >= 1:
                return Found(box, float(scores[place]))
        return None


def load_network(folder: Path, device: str) -> GroundingDino:
    """Grounding DINO from a folder of the official files.

    Names in the file are older than the library's and are translated by it, so it does
    the loading; whatever it would leave untrained is refused.

    Raises:
        ModelError: a file is missing, cannot be read, or does not fit.
    """
    _require_files(folder)
    from transformers import (
        BertTokenizer,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )

    try:
        network, told = GroundingDinoForObjectDetection.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are told, too
            output_loading_info=True,
        )
        processor = GroundingDinoProcessor(
            GroundingDinoImageProcessor.from_pretrained(folder, local_files_only=True),
            BertTokenizer.from_pretrained(folder, local_files_only=True),
        )
    except Exception as error:  # whatever the library makes of files that are none
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise ModelError(f"Grounding DINO cannot be read from {folder}: {reason}.") from error
    wrong = [
        listed("missing", sorted(told["missing_keys"])),
        listed("not known", sorted(told["unexpected_keys"])),
        listed("of another shape", sorted(name for name, *_ in told["mismatched_keys"])),
    ]
    if any(wrong):
        raise ModelError(
            f"The weights in {folder} do not fit Grounding DINO: {'; '.join(filter(None, wrong))}. "
            "Choose the files made for this network."
        )
    return GroundingDino(network, processor, device)


def _require_files(folder: Path) -> None:
    """Refuse what the library would make up for, or look for elsewhere."""
    for name in hub.GROUNDING_DINO_FILES:
        if not (folder / name).is_file():
            raise ModelError(f"Grounding DINO needs {name} beside its weights, in {folder}.")
    try:
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kinds = description["model_type"], description["backbone_config"]["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / 'config.json'} does not describe Grounding DINO.") from error
    if kinds != ("grounding-dino", "swin"):
        raise ModelError(
            f"{folder / 'config.json'} describes {kinds[0]} on {kinds[1]}, not Grounding DINO "
            "on Swin."
        )
