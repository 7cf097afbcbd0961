"""Repairing masks that are nearly right: holes, islands, ragged or misplaced borders."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from app.notices import RefusedError
from app.parameters import FrameIndex, Id
from app.services import Services
from app.work.keepers import MaskKeeper
from app.workers.worker import Priority

Operation = Literal["fill-holes", "drop-islands", "smooth", "grow", "shrink"]
MOST_PIXELS = 100
DONE_TO: dict[Operation, str] = {
    "fill-holes": "Filling holes of",
    "drop-islands": "Dropping islands of",
    "smooth": "Smoothing",
    "grow": "Growing",
    "shrink": "Shrinking",
}


class Repair(BaseModel):
    """`pixels` as `model.postprocess.REPAIRS` has it; frames `first` to `last`, both included."""

    operation: Operation
    pixels: int = Field(ge=0, le=MOST_PIXELS)
    first: FrameIndex
    last: FrameIndex


def repair_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    workspace = services.workspace

    @router.post("/targets/{target_id}/repair")
    def repair(target_id: Id, wanted: Repair, request: Request) -> dict[str, Any]:
        target = workspace.targets.get(target_id)
        clip = workspace.clips.get(target.clip_id)
        if wanted.pixels == 0 and wanted.operation in ("smooth", "grow", "shrink"):
            raise RefusedError("Expected a size of at least one pixel, got 0.")
        last = min(wanted.last, clip.frame_count - 1)
        seen = {
            one.frame_index: one.version
            for one in workspace.masks.load_all(target_id, range(wanted.first, last + 1))
            if one.layer == "target" and one.rle is not None
        }
        if not seen:
            raise RefusedError(
                f"There is no mask from frame {wanted.first} to {wanted.last} to repair.",
                code="refused",
                status=422,
            )
        call = services.files.submit(
            "repair",
            Priority.CLIP,
            target_id=target_id,
            operation=wanted.operation,
            pixels=wanted.pixels,
            first=wanted.first,
            last=last,
        )
        name = target.name or f"target {target.number}"
        annotator = services.annotator(request)
        keeper = MaskKeeper(workspace, services.live, clip, target_id, annotator, "repair", seen)
        job = services.jobs.start(
            "repair",
            f"{DONE_TO[wanted.operation]} {name}",
            call,
            keeper,
            clip_id=clip.id,
            target_id=target_id,
        )
        return {"job": job.as_json()}

    return router
