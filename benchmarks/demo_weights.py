"""How well the demo weights find what an expression means: `python -m benchmarks.demo_weights`.

On rendered clips from seeds never trained on, drawn as in training, drawn unlike it, and before
photographs (`--photographs FOLDER` of JPEG or PNG files).  J is region similarity at the clip's own
size, mean over frames; "picked" says how often the mask overlaps the right thing more than any
other of the clip.  Both with their standard errors.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from model.catalog import load_segmenter
from model.segmenter import TextSegmenter
from model.synthetic.clips import MaskStack, SyntheticClip, render
from model.synthetic.expressions import TYPES
from model.training.clips import HELD_OUT_SEED
from model.training.score import Score, score_masks
from video_types import Frame, Size

SIZE: Size = (144, 256)
FRAMES = 16
_FIRST_SEED = HELD_OUT_SEED + 100_000  # apart from the few that the training itself reports on


@dataclass(frozen=True)
class Item:
    """One expression about one target of a clip."""

    clip: SyntheticClip
    key: str  # the same for every item of a clip
    target: int
    kind: str  # of expression
    text: str

    def others(self) -> list[MaskStack]:
        """Every other thing of the clip."""
        targets = self.clip.targets
        rest = [t.masks for index, t in enumerate(targets) if index != self.target]
        return rest + list(self.clip.distractors)


def items(
    per_type: int, *, style: str = "training", photographs: Sequence[Frame] = ()
) -> Iterator[Item]:
    """Up to `per_type` items of each type, at most two per clip and type, clip by clip."""
    left = dict.fromkeys(TYPES, per_type)
    seed = _FIRST_SEED
    while any(left.values()):
        seed += 1
        rng = np.random.default_rng(seed)
        ground = None
        if photographs:
            ground = [photographs[int(rng.integers(len(photographs)))]] * FRAMES
        clip = render(
            seed,
            size=SIZE,
            frame_count=FRAMES,
            style="unlike" if style == "unlike" else "training",
            photographs=ground,
        )
        for kind in TYPES:
            said = [
                (index, text)
                for index, target in enumerate(clip.targets)
                for found, text in target.expressions
                if found == kind
            ]
            for at in rng.permutation(len(said))[: min(2, left[kind])]:
                left[kind] -= 1
                yield Item(clip, f"{style} {seed}", said[at][0], kind, said[at][1])


def predicted(segmenter: TextSegmenter, item: Item) -> MaskStack:
    """The masks (T, H, W) the segmenter draws for an item."""
    masks = np.zeros(item.clip.frames.shape[:3], dtype=np.bool_)
    for step in segmenter.segment(list(item.clip.frames), item.text, clip_key=item.key):
        for frame in step.frames:
            masks[frame.frame_index] = frame.mask
    return masks


def measure(segmenter: TextSegmenter, chosen: Iterator[Item]) -> dict[str, list[Score]]:
    """Scores by type of expression."""
    scores: dict[str, list[Score]] = {kind: [] for kind in TYPES}
    for item in chosen:
        target = item.clip.targets[item.target]
        masks = predicted(segmenter, item) & ~target.ignore  # Ignore counts neither way
        scores[item.kind].append(score_masks(masks, target.masks, item.others()))
    return scores


def table(scores: dict[str, list[Score]]) -> str:
    """One line per type, and the mean over all items."""
    lines = [f"{'expressions by':<14}{'items':>6}{'J':>16}{'picked':>16}"]
    every = [score for of_type in scores.values() for score in of_type]
    for kind, of_type in [*scores.items(), ("all types", every)]:
        j, picked = (_figure([getattr(s, name) for s in of_type]) for name in ("j", "picked"))
        lines.append(f"{kind:<14}{len(of_type):>6}{j:>16}{picked:>16}")
    return "\n".join(lines)


def _figure(values: Sequence[float]) -> str:
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.2f} ± {error:.2f}"


def read_photographs(folder: Path, most: int = 60) -> list[Frame]:
    """Up to `most` pictures of a folder and those below it, cut to `SIZE`.

    Raises:
        FileNotFoundError: there is none.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not paths:
        raise FileNotFoundError(f"no JPEG or PNG file lies in {folder}")
    step = max(1, len(paths) // most)
    pictures = []
    for path in paths[::step][:most]:
        picture = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR))[..., ::-1]
        pictures.append(cv2.resize(picture, SIZE[::-1], interpolation=cv2.INTER_AREA))
    return pictures


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo_weights")
    parser.add_argument("--items", type=int, default=100, help="per type of expression")
    parser.add_argument("--photographs", type=Path, help="a folder of pictures to stand behind")
    parser.add_argument("--segmenter", default="rem-demo")
    options = parser.parse_args(arguments)
    segmenter = load_segmenter(options.segmenter, "cpu")
    sets = [("as in training", items(options.items))]
    sets.append(("drawn unlike training", items(options.items, style="unlike")))
    if options.photographs is not None:
        photographs = read_photographs(options.photographs)
        sets.append(
            ("before photographs", items(options.items, style="photo", photographs=photographs))
        )
    for name, chosen in sets:
        start = time.monotonic()
        found = table(measure(segmenter, chosen))
        print(f"\n{name} ({FRAMES} frames of {SIZE[1]}x{SIZE[0]})\n{found}")
        print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
