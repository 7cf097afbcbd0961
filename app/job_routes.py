"""Propagation, and looking after everything that takes long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from annotation_store.masks import StoredMask
from app.draft_routes import require_ready
from app.keepers import MaskKeeper
from app.notices import RefusedError
from app.services import Services
from app.worker import Priority

Direction = Literal["both", "forward", "backward"]


class Propagation(BaseModel):
    frame_index: int
    direction: Direction = "both"
    first: int | None = None
    last: int | None = None
    refiner: str | None = None
    overwrite: bool = False


def job_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    _add_jobs(router, services)
    _add_propagation(router, services)
    return router


def _add_jobs(router: APIRouter, services: Services) -> None:
    @router.get("/jobs")
    def jobs() -> dict[str, Any]:
        return {"jobs": [job.as_json() for job in services.jobs.all()]}

    @router.post("/jobs/{job_id}/cancel")
    def cancel(job_id: int) -> dict[str, Any]:
        job = services.jobs.cancel(job_id)
        if job is None:
            raise RefusedError(f"There is no job {job_id} any more.", code="missing", status=404)
        return {"job": job.as_json()}


@dataclass(frozen=True)
class PropagationPlan:
    """Where masks come from, and which frames they are carried to, in order."""

    anchors: dict[int, bytes]
    targets: list[int]


def plan_propagation(
    shown: Mapping[int, StoredMask], wanted: Propagation, frame_count: int
) -> PropagationPlan:
    """What of the clip is filled, given the target's masks by frame.

    Frames edited or verified by hand are anchors and stay, unless they are to be overwritten.

    Raises:
        RefusedError: the frame has no mask, or nothing is left to fill.
    """
    begin = shown.get(wanted.frame_index)
    if begin is None or begin.rle is None:
        raise RefusedError(
            f"Frame {wanted.frame_index} has no mask to carry on. Go to a frame that has one.",
            code="refused",
            status=422,
        )
    first = max(0, wanted.first if wanted.first is not None else 0)
    last = min(frame_count - 1, wanted.last if wanted.last is not None else frame_count - 1)
    forward = range(max(first, wanted.frame_index + 1), last + 1)
    backward = range(min(last, wanted.frame_index - 1), first - 1, -1)
    reach = [
        *(forward if wanted.direction != "backward" else ()),
        *(backward if wanted.direction != "forward" else ()),
    ]
    settled = (
        {}
        if wanted.overwrite
        else {index: shown[index] for index in reach if index in shown and shown[index].by_hand}
    )
    anchors = {index: one.rle for index, one in settled.items() if one.rle is not None}
    targets = [index for index in reach if index not in settled]
    if not targets:
        raise RefusedError(
            "There is no frame to fill: all of them were edited or verified by hand. Choose "
            "another range, or allow overwriting them.",
            code="refused",
            status=422,
        )
    return PropagationPlan(anchors | {wanted.frame_index: begin.rle}, targets)


def _add_propagation(router: APIRouter, services: Services) -> None:
    workspace = services.workspace

    @router.post("/targets/{target_id}/propagate")
    def propagate(target_id: int, wanted: Propagation, request: Request) -> dict[str, Any]:
        target = workspace.targets.get(target_id)
        clip = workspace.clips.get(target.clip_id)
        refiner = wanted.refiner or services.settings.refiner
        require_ready(services, "refiner", refiner)
        if any(job.target_id == target_id for job in services.jobs.running("propagate")):
            raise RefusedError(
                "This target is being propagated already; wait for it or cancel it.",
                code="busy",
                status=409,
            )
        shown = {
            one.frame_index: one
            for one in workspace.masks.load_all(target_id)
            if one.layer == "target"
        }
        plan = plan_propagation(shown, wanted, clip.frame_count)
        seen = {index: shown[index].version if index in shown else 0 for index in plan.targets}
        call = services.models.submit(
            "propagate",
            Priority.PROPAGATION,
            clip_id=clip.id,
            frame_count=clip.frame_count,
            size=clip.size,
            refiner=refiner,
            anchors=plan.anchors,
            targets=plan.targets,
        )
        name = target.name or f"target {target.number}"
        annotator = services.annotator(request)
        job = services.jobs.start(
            "propagate",
            f"Propagating {name} from frame {wanted.frame_index}",
            call,
            MaskKeeper(services, clip, target_id, annotator, "propagation", seen),
            clip_id=clip.id,
            target_id=target_id,
        )
        return {"job": job.as_json()}
