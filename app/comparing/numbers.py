"""The numbers of a comparison, kept by the content of the masks they are of.

A changed mask is another key, so that nothing kept can be outdated; after an edit only the
frames it changed are counted again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from cachetools import LRUCache
from starlette.concurrency import run_in_threadpool

from annotation_store import runs
from app.comparing.runs import Compared, Run, engine_limits
from model import comparison, metrics
from video_types import Size

KEPT = 60_000  # values: eight runs of a thousand frames with room to spare, some 10 MB
AT_ONCE = 48  # pairs measured before their values are kept: a second or two of F


@dataclass(frozen=True)
class Pair:
    """Two masks to compare outside `ignore`, as COCO counts."""

    first: bytes
    second: bytes
    ignore: bytes | None

    def digest(self) -> bytes:
        found = hashlib.blake2b(digest_size=16)
        for part in (self.first, self.second, self.ignore or b""):
            found.update(len(part).to_bytes(4, "little") + part)
        return found.digest()


_Key = tuple[bytes, Size]
Measure = Callable[[Sequence[Pair], Size], list[float]]


def overlaps(pairs: Sequence[Pair], size: Size) -> list[float]:
    """J of each pair."""
    return [comparison.overlap(pair.first, pair.second, size, pair.ignore) for pair in pairs]


def boundary(pair: Pair, size: Size) -> float:
    """F of a pair."""
    ignore = None if pair.ignore is None else runs.decode(pair.ignore, size)
    return metrics.boundary_similarity(
        runs.decode(pair.first, size), runs.decode(pair.second, size), ignore
    )


def boundaries(*, pairs: Sequence[Pair], size: Size) -> Generator[None, None, list[float]]:
    """A worker's task: F of each pair, one a step; returns them in order."""
    found = []
    for pair in pairs:
        found.append(boundary(pair, size))
        yield
    return found


AsyncMeasure = Callable[[Sequence[Pair], Size], Awaitable[list[float]]]


class MeasureCache:
    """A measure whose newest values are remembered, by the content of what was measured."""

    def __init__(self, measure: AsyncMeasure) -> None:
        self._measure = measure
        self._values: LRUCache[_Key, float] = LRUCache(KEPT)
        self._lock = threading.Lock()

    async def __call__(
        self, pairs: Iterable[Pair], size: Size, go_on: Callable[[], None] = lambda: None
    ) -> dict[Pair, float]:
        """The value of each pair; only those not known yet are measured.

        `go_on` is called again and again, and raises once nobody waits for the answer.
        """
        wanted = list(dict.fromkeys(pairs))
        found: dict[Pair, float] = {}
        for start in range(0, len(wanted), AT_ONCE):
            go_on()
            part = wanted[start : start + AT_ONCE]
            # Asked part by part: whoever asks for the same meanwhile finds here what is measured.
            known = await run_in_threadpool(self._known, part, size)
            missing = [pair for pair in part if pair not in known]
            if missing:
                measured = await self._measure(missing, size)
                known |= dict(zip(missing, measured, strict=True))
                await run_in_threadpool(self._keep, known, size)
            found |= known
        return found

    def _known(self, pairs: Sequence[Pair], size: Size) -> dict[Pair, float]:
        with self._lock:
            values = {pair: self._values.get((pair.digest(), size)) for pair in pairs}
        return {pair: value for pair, value in values.items() if value is not None}

    def _keep(self, values: Mapping[Pair, float], size: Size) -> None:
        with self._lock:
            for pair, value in values.items():
                self._values[pair.digest(), size] = value


def pairs_with(
    first: Mapping[int, bytes], second: Mapping[int, bytes], ignore: Mapping[int, bytes]
) -> dict[int, Pair]:
    """By frame index, where both have a mask."""
    return {
        frame_index: Pair(first[frame_index], second[frame_index], ignore.get(frame_index))
        for frame_index in sorted(first.keys() & second.keys())
    }


def truth_pairs(compared: Compared, run: Run) -> dict[int, Pair]:
    """A run's masks beside the annotation's, by frame index; none for the annotation itself."""
    if compared.annotation is None or run.target_id == compared.annotation.target_id:
        return {}
    return pairs_with(run.masks, compared.annotation.masks, compared.annotation.ignore)


def agreement_pairs(compared: Compared) -> dict[tuple[str, str], dict[int, Pair]]:
    """Each two runs' masks beside each other, by their keys and frame index."""
    ignore = {} if compared.annotation is None else compared.annotation.ignore
    return {
        (a.key, b.key): pairs_with(a.masks, b.masks, ignore)
        for a, b in combinations(compared.runs, 2)
    }


def comparison_json(compared: Compared, j: Measure, f: Measure | None) -> dict[str, Any]:
    """All numbers of a comparison; F is left out where `f` is None."""
    count = compared.clip.frame_count
    size = compared.clip.size
    listed = []
    for run in compared.runs:
        pairs = truth_pairs(compared, run)
        overlap = _per_frame(pairs, j, size, count)
        edges = None if f is None else _per_frame(pairs, f, size, count)
        summary = comparison.summarise(overlap, edges)
        listed.append(
            {
                **{name: getattr(run, name) for name in RUN_FACTS},
                "limits": engine_limits(run.segmenter),
                "frames_done": len(run.masks),
                "frames_compared": summary.frames,
                "j": overlap,
                "f": edges or [None] * count,
                "mean": None if summary.mean is None else asdict(summary.mean),
                "temporal": None if summary.temporal is None else asdict(summary.temporal),
                "iou_gap": {str(gap): value for gap, value in summary.iou_gap.items()},
            }
        )
    agreement = []
    for (a, b), pairs in agreement_pairs(compared).items():
        agreed = _per_frame(pairs, j, size, count)
        mean = comparison.summarise(agreed).mean
        agreement.append({"a": a, "b": b, "j": agreed, "mean": mean and mean.j})
    return {
        "frame_count": count,
        "target_id": None if compared.annotation is None else compared.annotation.target_id,
        "threshold_note": threshold_note(compared.runs),
        "runs": listed,
        "agreement": agreement,
    }


RUN_FACTS = (
    "key",
    "title",
    "segmenter",
    "expression",
    "weights_hash",
    "seed",
    "threshold",
    "query",
)


def _per_frame(
    pairs: Mapping[int, Pair], measure: Measure, size: Size, count: int
) -> list[float | None]:
    values: list[float | None] = [None] * count
    found = measure(list(pairs.values()), size)
    for frame_index, value in zip(pairs, found, strict=True):
        values[frame_index] = value
    return values


def threshold_note(compared: Sequence[Run]) -> str:
    """Where the masks compared were cut from the soft maps.

    >>> threshold_note([])
    ''
    """
    cuts = {run.title: run.threshold for run in compared if run.threshold is not None}
    if not cuts:
        return ""
    if len(set(cuts.values())) == 1:
        return f"Masks were cut at {next(iter(cuts.values())):g}, as they were drafted."
    each = "; ".join(f"{title} at {value:g}" for title, value in cuts.items())
    return f"Masks were cut as they were drafted: {each}."
