"""How good and how fast the refiners are on clips with known masks.

    python -m benchmarks.refinement --davis FOLDER   J by clicks, by propagation and in the loop
    python -m benchmarks.refinement --memory         what a long clip costs in memory
    python -m benchmarks.refinement --latency        how long a click on a visited frame takes

FOLDER is laid out like DAVIS (JPEGImages/480p/CLIP/*.jpg, Annotations/480p/CLIP/*.png).
Clicks are simulated: each goes to the deepest place of the largest error.  Propagation starts
from the true mask of the middle frame and goes both ways; the middle frame is not scored.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.annotator_loop import print_loop
from benchmarks.known_clips import Clip, next_click
from benchmarks.refiner_costs import print_latency, print_memory, print_speed
from model import catalog
from model.metrics import region_similarity
from model.refiner import ClickRefiner, MaskPropagator, Propagated
from model.refiners.flow import FlowEstimator, Share
from model.refiners.mobile_sam import MobileSam, load_network, logits_of_share, to_picture
from model.refiners.places import deep_points
from model.refiners.propagation import Anchors, Chain, propagate
from model.refiners.view import box_of
from video_types import Click, Frame, Mask

CLICKS = 5


class FlowAlone:
    """Baseline: the mask is where optical flow takes it."""

    name = "flow alone"

    def __init__(self, frame: Frame, mask: Mask) -> None:
        self._flow = FlowEstimator()
        self._frame = frame
        self._share: Share = mask.astype(np.float32)

    def step(self, frame_index: int, frame: Frame) -> tuple[Mask, float]:  # noqa: ARG002
        """The mask on the next frame."""
        self._share = self._flow.between(frame, self._frame).carry(self._share)
        self._frame = frame
        return self._share > 0.5, 1.0


class RepromptingAlone:
    """Baseline: MobileSAM prompted on each frame with the last mask, without flow."""

    name = "re-prompting alone"

    def __init__(self, network: MobileSam, frame: Frame, mask: Mask) -> None:  # noqa: ARG002
        self._network = network
        self._mask = mask

    def step(self, frame_index: int, frame: Frame) -> tuple[Mask, float]:  # noqa: ARG002
        """The mask on the next frame."""
        box = box_of(self._mask)
        if box is None:
            return self._mask, 0.0
        embedding = self._network.embed(frame)
        points = deep_points(self._mask, most=1)
        decoded = self._network.decode(
            embedding,
            points=points,
            positive=np.ones(len(points), dtype=bool),
            box=box,
            logits=logits_of_share(self._mask.astype(np.float32), embedding),
        )
        self._mask = to_picture(decoded.logits[0], embedding) > 0
        return self._mask, float(decoded.scores[0])


class ByChains:
    """A MaskPropagator of one of the baselines."""

    def __init__(self, name: str, begin: Callable[[Frame, Mask], Chain]) -> None:
        self.name = name
        self._begin = begin

    def propagate(
        self,
        frames: Sequence[Frame],
        anchors: Mapping[int, Mask],
        *,
        targets: Sequence[int],
        clip_key: Hashable = None,  # noqa: ARG002
    ) -> Iterator[Propagated | None]:
        """As `MaskPropagator.propagate`."""

        def begin(settled: Anchors, anchor: int) -> Generator[None, None, Chain]:
            yield from ()
            frame = frames[anchor]
            return self._begin(frame, settled.mask(anchor, frame))

        return propagate(frames, anchors, targets=targets, begin=begin)


def overlaps_by_click(refiner: ClickRefiner, frame: Frame, truth: Mask, key: str) -> list[float]:
    """J after 1, 2, ... simulated clicks."""
    mask = np.zeros_like(truth)
    clicks: list[Click] = []
    overlaps: list[float] = []
    for _ in range(CLICKS):
        click = next_click(truth, mask)
        if click is not None:
            clicks.append(click)
            mask = refiner.refine(frame, clicks, None, key=key).mask
        overlaps.append(region_similarity(mask, truth))
    return overlaps


def print_clicks(refiner: ClickRefiner, clips: Sequence[Clip], every: int) -> None:
    """One line per clip: J after 1, 3 and 5 clicks on every so many frames."""
    print(f"\n{refiner.name}: J after 1, 3, 5 clicks")
    means = []
    began = time.perf_counter()
    frames = 0
    for clip in clips:
        indices = range(every // 2, len(clip), every)
        rows = [
            overlaps_by_click(refiner, clip[index], clip.truth(index), f"{clip.name}/{index}")
            for index in indices
        ]
        frames += len(rows)
        means.append(np.mean(rows, axis=0))
        shown = "  ".join(f"{means[-1][count - 1]:.3f}" for count in (1, 3, 5))
        print(f"  {clip.name:16} {shown}   ({len(rows)} frames)", flush=True)
    shown = "  ".join(f"{np.mean(means, axis=0)[count - 1]:.3f}" for count in (1, 3, 5))
    seconds = (time.perf_counter() - began) / (frames * CLICKS)
    print(f"  {'mean of clips':16} {shown}   {seconds:.2f} s a click")


def print_propagation(propagator: MaskPropagator, clips: Sequence[Clip]) -> None:
    """One line per clip: mean J both ways from the middle frame, and the worst frame."""
    print(f"\n{propagator.name}: J propagated from the middle frame")
    means = []
    began = time.perf_counter()
    frames = 0
    for clip in clips:
        middle = len(clip) // 2
        targets = [*range(middle + 1, len(clip)), *range(middle - 1, -1, -1)]
        overlaps = {
            found.frame_index: region_similarity(found.mask, clip.truth(found.frame_index))
            for found in propagator.propagate(clip, {middle: clip.truth(middle)}, targets=targets)
            if found is not None
        }
        frames += len(overlaps)
        means.append(float(np.mean(list(overlaps.values()))))
        worst = min(overlaps, key=lambda index: overlaps[index])
        print(
            f"  {clip.name:16} {means[-1]:.3f}   worst {overlaps[worst]:.3f} at frame {worst}",
            flush=True,
        )
    seconds = (time.perf_counter() - began) / frames
    print(f"  {'mean of clips':16} {np.mean(means):.3f}   {seconds:.2f} s a frame")


def main() -> None:
    """Run what the flags ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--davis", type=Path, help="folder of clips with true masks")
    parser.add_argument("--clips", default="", help="names of clips, comma between; default all")
    parser.add_argument("--refiners", default="", help="names, comma between; default all at hand")
    parser.add_argument("--stride", type=int, default=1, help="take every Nth frame of a clip")
    parser.add_argument("--every", type=int, default=8, help="click on every Nth frame taken")
    parser.add_argument(
        "--only", choices=("clicks", "propagation", "loop"), help="one of the three tables"
    )
    parser.add_argument("--no-baselines", action="store_true", help="leave the baselines out")
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps")
    parser.add_argument("--memory", action="store_true", help="memory over a long clip instead")
    parser.add_argument("--latency", action="store_true", help="seconds of a click instead")
    parser.add_argument("--speed", action="store_true", help="frames a second, compiled too")
    parser.add_argument("--frames", type=int, default=1500, help="length of the long clip")
    options = parser.parse_args()
    device = catalog.choose_device(options.device)
    names = [name for name in options.refiners.split(",") if name] or [
        entry.name
        for entry in catalog.entries()
        if entry.kind == "refiner" and catalog.state(entry.name, device).ready
    ]
    if options.memory:
        print_memory(device, options.frames)
    if options.latency:
        print_latency(device)
    if options.speed:
        print_speed(device)
    if options.davis is None:
        if not (options.memory or options.latency or options.speed):
            parser.error("name a folder with --davis, or ask for --memory, --latency or --speed")
        return
    folders = sorted((options.davis / "JPEGImages" / "480p").iterdir())
    wanted = [name for name in options.clips.split(",") if name] or [each.name for each in folders]
    clips = [Clip(options.davis, name, options.stride) for name in wanted]
    for name in names:
        refiner = catalog.load_refiner(name, device)
        if options.only in (None, "clicks"):
            print_clicks(refiner, clips, options.every)
        if options.only in (None, "propagation"):
            print_propagation(refiner, clips)
        if options.only in (None, "loop"):
            print_loop(refiner, clips)
    if options.only in (None, "propagation") and not options.no_baselines:
        network = load_network(device)
        print_propagation(ByChains(FlowAlone.name, FlowAlone), clips)
        print_propagation(
            ByChains(
                RepromptingAlone.name, lambda frame, mask: RepromptingAlone(network, frame, mask)
            ),
            clips,
        )


if __name__ == "__main__":
    main()
