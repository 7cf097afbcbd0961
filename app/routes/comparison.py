"""Comparing models on a clip: their numbers, having several of them run, taking it all out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from annotation_store.clips import Clip
from annotation_store.drafts import Draft
from annotation_store.errors import NotFoundError
from annotation_store.expressions import Expression
from annotation_store.formats.ref_vps import folder_names
from app.comparing import runs as compare_runs
from app.comparing.numbers import (
    Measure,
    MeasureCache,
    Pair,
    agreement_pairs,
    comparison_json,
    overlaps,
    truth_pairs,
)
from app.comparing.runs import Compared
from app.notices import RefusedError
from app.parameters import MOST_FORMATS, MOST_FRAMES, FrameIndex, Id, Seed, Share, Text, Word
from app.routes.newest import AskedAnewError, Newest
from app.routes.start import Segmentation, require_ready, start_segmentation
from app.services import Services, tab_of
from app.work.jobs import ENDED
from app.work.keepers import ExportKeeper
from app.workers.comparison import ComparisonFormat, require_exportable
from app.workers.worker import Priority
from video_types import Size

LONGEST_WAIT_S = 300.0
MOST_PAIRS = 100


class Runs(BaseModel):
    expression_ids: list[Id] = Field(min_length=1, max_length=MOST_PAIRS)
    segmenters: list[Word] = Field(min_length=1, max_length=MOST_PAIRS)
    seed: Seed = 0
    threshold: Share = 0.5


class ComparisonWish(BaseModel):
    """What to take out; `frames` are those of the figure, None for a few evenly spaced."""

    runs: list[Word] = Field(min_length=1, max_length=MOST_PAIRS)
    target_id: Id | None = None
    frames: list[FrameIndex] | None = Field(default=None, max_length=MOST_FRAMES)
    formats: list[ComparisonFormat] = Field(min_length=1, max_length=MOST_FORMATS)


def compare_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    _add_numbers(router, services)
    _add_runs(router, services)
    _add_export(router, services)
    return router


def _add_numbers(router: APIRouter, services: Services) -> None:
    async def in_worker(pairs: Sequence[Pair], size: Size) -> list[float]:
        call = services.files.submit(
            "boundaries", Priority.PROPAGATION, pairs=list(pairs), size=size
        )
        found: list[float] = await call.answer(LONGEST_WAIT_S)
        return found

    async def in_a_thread(pairs: Sequence[Pair], size: Size) -> list[float]:
        return await run_in_threadpool(overlaps, pairs, size)

    region, edges = MeasureCache(in_a_thread), MeasureCache(in_worker)
    questions = Newest()

    @router.get("/clips/{clip_id}/comparison", response_model=None)
    async def comparison(
        request: Request, clip_id: Id, runs: Text, target: Id | None = None, f: bool = True
    ) -> dict[str, Any] | Response:
        """204 without a body where the tab has asked anew meanwhile."""
        go_on = questions.ask(tab_of(request))
        compared, against, agreeing = await run_in_threadpool(
            look_up, clip_id, runs.split(","), target
        )
        size = compared.clip.size
        try:
            j = await region([*against, *agreeing], size, go_on)
            edge = await edges(against, size, go_on) if f else None
        except AskedAnewError:
            return Response(status_code=204)
        measure_f = None if edge is None else lookup(edge)
        return await run_in_threadpool(comparison_json, compared, lookup(j), measure_f)

    def look_up(
        clip_id: int, keys: list[str], target: int | None
    ) -> tuple[Compared, list[Pair], list[Pair]]:
        """What is compared: the pairs with the annotation, and those of two runs."""
        compared = compare_runs.load(services.workspace, clip_id, keys, target)
        against = [pair for run in compared.runs for pair in truth_pairs(compared, run).values()]
        agreeing = [pair for pairs in agreement_pairs(compared).values() for pair in pairs.values()]
        return compared, against, agreeing

    def lookup(values: Mapping[Pair, float]) -> Measure:
        return lambda pairs, _size: [values[pair] for pair in pairs]


def _add_runs(router: APIRouter, services: Services) -> None:
    workspace = services.workspace

    @router.post("/clips/{clip_id}/runs")
    def run(clip_id: Id, wanted: Runs) -> dict[str, Any]:
        clip = workspace.clips.get(clip_id)
        chosen = dict.fromkeys(wanted.expression_ids)
        expressions = [one for one in workspace.expressions.list(clip_id) if one.id in chosen]
        if len(expressions) < len(chosen):
            raise NotFoundError(f"One of these expressions is not in “{clip.name}”; reload it.")
        segmenters = list(dict.fromkeys(wanted.segmenters))
        if len(expressions) * len(segmenters) > MOST_PAIRS:
            raise RefusedError(f"Expected at most {MOST_PAIRS} runs at once.")
        for segmenter in segmenters:
            require_ready(services, "segmenter", segmenter)
        drafts = workspace.drafts.list(clip_id)
        queued, reused = [], []
        for segmenter in segmenters:  # all of a model together: it is loaded once
            for expression in expressions:
                pair = {"expression_id": expression.id, "segmenter": segmenter}
                wish = Segmentation(
                    segmenter=segmenter, seed=wanted.seed, threshold=wanted.threshold
                )
                alike = [draft for draft in drafts if _same_wish(draft, expression, wish)]
                finished = _finished(services, clip, segmenter, alike)
                if finished is not None:
                    reused.append({"draft_id": finished.id, **pair})
                    continue
                job = _on_its_way(services, alike) or start_segmentation(
                    services, expression.id, wish
                )
                queued.append({"job": job.as_json(), "draft_id": job.draft_id, **pair})
        return {"queued": queued, "reused": reused}


def _add_export(router: APIRouter, services: Services) -> None:
    exports = services.workspace.folder / "exports"

    @router.post("/clips/{clip_id}/comparison/export")
    def export(clip_id: Id, wanted: ComparisonWish) -> dict[str, Any]:
        compared = compare_runs.load(services.workspace, clip_id, wanted.runs, wanted.target_id)
        require_exportable(compared, wanted.formats, wanted.frames)
        (name,) = folder_names([compared.clip.name])
        day = time.strftime("%Y-%m-%d")
        destination = exports / f"comparison-{name[:40]}-{day}"
        call = services.files.submit(
            "export-comparison",
            Priority.CLIP,
            clip_id=clip_id,
            keys=wanted.runs,
            target_id=wanted.target_id,
            frames=wanted.frames,
            formats=wanted.formats,
            destination=str(destination),
        )
        title = f"Exporting the comparison of {compared.clip.name}"
        job = services.jobs.start("export", title, call, ExportKeeper(), clip_id=clip_id)
        return {"job": job.as_json()}


def _same_wish(draft: Draft, expression: Expression, wish: Segmentation) -> bool:
    return (draft.expression_text, draft.segmenter, draft.seed, draft.threshold) == (
        expression.text,
        wish.segmenter,
        wish.seed,
        wish.threshold,
    )


def _finished(
    services: Services, clip: Clip, segmenter: str, alike: Sequence[Draft]
) -> Draft | None:
    """The newest whole draft made with the weights that would be used now.

    A file of weights is hashed only where there is a draft to compare with.
    """
    from model.weight_files import weights_hash

    whole = [
        draft for draft in alike if draft.state == "done" and draft.frames_done == clip.frame_count
    ]
    if not whole:
        return None
    weights = weights_hash(segmenter, services.settings.weights_for(segmenter))
    return next((draft for draft in whole if draft.weights_hash == weights), None)


def _on_its_way(services: Services, alike: Sequence[Draft]) -> Any:
    """The job that makes one of these drafts already."""
    ids = {draft.id for draft in alike if draft.state == "running"}
    return next(
        (
            job
            for job in services.jobs.running("segment")
            if job.draft_id in ids and job.state not in ENDED and not job.cancelling
        ),
        None,
    )
