"""Drafts: having a segmenter make one, showing it, accepting it, discarding it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from annotation_store.errors import NotFoundError
from app.notices import RefusedError
from app.parameters import FrameIndex, Id, Share, Text
from app.routes import wire
from app.routes.frame_list import frame_numbers
from app.routes.replies import (
    FOREVER,
    MOST_PACKED,
    applied_json,
    binary,
    done_before,
    packed,
    say_applied,
)
from app.routes.start import Segmentation, start_segmentation
from app.services import Services, edit_of


class Acceptance(BaseModel):
    first: FrameIndex
    last: FrameIndex
    threshold: Share | None = None
    overwrite_edited: bool = False


def draft_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    workspace = services.workspace

    @router.post("/expressions/{expression_id}/segment")
    def segment(expression_id: Id, wanted: Segmentation) -> dict[str, Any]:
        job = start_segmentation(services, expression_id, wanted)
        return {"job": job.as_json(), "draft_id": job.draft_id}

    @router.get("/drafts/{draft_id}/masks.bin")
    def masks(draft_id: Id, request: Request, frames: Text | None = None) -> Response:
        wanted = None if frames is None else frame_numbers(frames)
        size = workspace.clips.get(workspace.drafts.get(draft_id).clip_id).size
        found = wire.draft_masks(workspace.drafts.masks(draft_id, wanted))
        return binary(request, wire.encode_masks(size, found))

    def map_file(draft_id: Id, frame_index: FrameIndex) -> bytes:
        try:
            return workspace.drafts.map_path(draft_id, frame_index).read_bytes()
        except OSError as error:
            raise NotFoundError(
                f"The soft map of frame {frame_index} is not there; run the segmenter again."
            ) from error

    def kept_how(draft_id: Id) -> str:
        """Soft maps never change, unless another of the segmenter's answers can be chosen."""
        return FOREVER if workspace.drafts.queries.chosen(draft_id) is None else "no-store"

    @router.get("/drafts/{draft_id}/maps/{frame_index}.png")
    def soft_map(draft_id: Id, frame_index: FrameIndex) -> Response:
        headers = {"Cache-Control": kept_how(draft_id), "Vary": "Cookie"}
        return Response(map_file(draft_id, frame_index), media_type="image/png", headers=headers)

    @router.get("/drafts/{draft_id}/maps.pack")
    def soft_maps(draft_id: Id, frames: Text) -> Response:
        """Several soft maps in one reply: words of 32 bits, count and lengths, then the PNGs."""
        wanted = frame_numbers(frames)
        if len(wanted) > MOST_PACKED:
            raise RefusedError(f"Expected at most {MOST_PACKED} frames, got {len(wanted)}.")
        maps = [map_file(draft_id, frame_index) for frame_index in wanted]
        return packed(maps, kept_how(draft_id))

    @router.post("/drafts/{draft_id}/accept")
    def accept(draft_id: Id, wanted: Acceptance, request: Request) -> dict[str, Any]:
        if (done := done_before(services, request)) is not None:
            return applied_json(done)
        draft = workspace.drafts.get(draft_id)
        target_id = workspace.expressions.get(draft.expression_id).target_id
        applied = workspace.drafts.accept(
            draft_id,
            services.annotator(request),
            wanted.first,
            wanted.last,
            wanted.threshold,
            overwrite_edited=wanted.overwrite_edited,
            name=edit_of(request),
        )
        say_applied(services, request, draft.clip_id, target_id, applied)
        return applied_json(applied)

    @router.delete("/drafts/{draft_id}")
    def discard(draft_id: Id) -> dict[str, Any]:
        draft = workspace.drafts.get(draft_id)
        services.jobs.cancel_where(lambda job: job.draft_id == draft_id)
        workspace.drafts.remove(draft_id)
        services.live.say_clip(draft.clip_id)
        return {}

    return router
