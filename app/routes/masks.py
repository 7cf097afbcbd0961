"""Reading masks and editing them: strokes, verifying, undo and redo."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from annotation_store.clips import Clip
from annotation_store.edits import MaskChange, Reverted
from annotation_store.masks import Origin, StoredMask
from annotation_store.runs import MaskRuns
from app.notices import RefusedError
from app.parameters import MOST_FRAMES, FrameIndex, Id, Text
from app.routes import wire
from app.routes.frame_list import frame_numbers
from app.routes.replies import applied_json, apply_edit, binary, clip_of, done_before
from app.services import Services, edit_of, tab_of

EditKind = Literal["stroke", "clear", "lasso", "click"]


class Verified(BaseModel):
    frames: list[FrameIndex] = Field(min_length=1, max_length=MOST_FRAMES)
    verified: bool
    empty: bool = False


class Cleared(BaseModel):
    """Frames `first` to `last`, both included."""

    first: FrameIndex
    last: FrameIndex


def mask_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    _add_masks(router, services)
    _add_clear(router, services)
    _add_verify(router, services)
    _add_undo(router, services)
    return router


def _add_masks(router: APIRouter, services: Services) -> None:
    @router.get("/targets/{target_id}/masks.bin")
    def masks(target_id: Id, request: Request, frames: Text | None = None) -> Response:
        wanted = None if frames is None else frame_numbers(frames)
        clip = clip_of(services, target_id)
        shown = services.workspace.masks.load_all(target_id, wanted)
        return binary(request, wire.encode_masks(clip.size, shown))

    @router.post("/targets/{target_id}/masks")
    async def save(target_id: Id, request: Request, kind: EditKind = "stroke") -> Any:
        body = await request.body()
        return await run_in_threadpool(save_now, target_id, request, kind, body)

    def save_now(target_id: Id, request: Request, kind: EditKind, body: bytes) -> dict[str, Any]:
        if (done := done_before(services, request)) is not None:
            return applied_json(done)
        clip = clip_of(services, target_id)
        sent = wire.decode_masks(body, clip.size, clip.frame_count)
        if not sent:
            raise RefusedError("Expected at least one mask to save.")
        changes = [MaskChange(one.layer, one.frame_index, one.mask, one.seen) for one in sent]
        # A lasso is drawn by hand like a stroke; "click" is another reading of a click.
        origin: Origin = "stroke" if kind == "lasso" else kind
        applied = apply_edit(services, request, target_id, clip.id, origin, changes)
        return applied_json(applied)


def _add_clear(router: APIRouter, services: Services) -> None:
    @router.post("/targets/{target_id}/clear")
    def clear(target_id: Id, wanted: Cleared, request: Request) -> dict[str, Any]:
        """Take all masks of a range away, target and Ignore, as one step of undo."""
        if (done := done_before(services, request)) is not None:
            return applied_json(done)
        clip = clip_of(services, target_id)
        last = min(wanted.last, clip.frame_count - 1)
        changes = [
            MaskChange(one.layer, one.frame_index, None, one.version)
            for one in services.workspace.masks.load_all(target_id, range(wanted.first, last + 1))
            if one.rle is not None
        ]
        if not changes:
            raise RefusedError(
                f"There is no mask from frame {wanted.first} to {wanted.last} to clear.",
                code="refused",
                status=422,
            )
        return applied_json(apply_edit(services, request, target_id, clip.id, "clear", changes))


def _add_verify(router: APIRouter, services: Services) -> None:
    workspace = services.workspace

    @router.post("/targets/{target_id}/verify")
    def verify(target_id: Id, wanted: Verified, request: Request) -> dict[str, Any]:
        if (done := done_before(services, request)) is not None:
            return applied_json(done)
        clip = clip_of(services, target_id)
        shown = {
            one.frame_index: one
            for one in workspace.masks.load_all(target_id, wanted.frames)
            if one.layer == "target"
        }
        changes = [
            _verified(shown.get(frame_index), frame_index, wanted, clip)
            for frame_index in dict.fromkeys(wanted.frames)
        ]
        kind: Origin = "clear" if wanted.empty else "verify"
        return applied_json(apply_edit(services, request, target_id, clip.id, kind, changes))


def _verified(
    shown: StoredMask | None, frame_index: int, wanted: Verified, clip: Clip
) -> MaskChange:
    seen = 0 if shown is None else shown.version
    if wanted.empty:
        mask = MaskRuns.empty(clip.size)
    elif shown is None or shown.rle is None:
        raise RefusedError(
            f"Frame {frame_index} has no mask to verify. Make one, or say that the target is not "
            "to be seen there.",
            code="refused",
            status=422,
        )
    else:
        mask = MaskRuns(shown.rle, clip.size)
    return MaskChange("target", frame_index, mask, seen, verified=wanted.verified)


def _add_undo(router: APIRouter, services: Services) -> None:
    edits = services.workspace.edits

    @router.post("/clips/{clip_id}/undo")
    def undo(clip_id: Id, request: Request) -> dict[str, Any]:
        return told(
            clip_id,
            request,
            edits.undo(clip_id, services.annotator(request), name=edit_of(request)),
        )

    @router.post("/clips/{clip_id}/redo")
    def redo(clip_id: Id, request: Request) -> dict[str, Any]:
        return told(
            clip_id,
            request,
            edits.redo(clip_id, services.annotator(request), name=edit_of(request)),
        )

    def told(clip_id: Id, request: Request, reverted: Reverted | None) -> dict[str, Any]:
        if reverted is None:
            return {"edit": None, "changed": []}
        frames: dict[int, list[int]] = {}
        for target_id, _, frame_index in reverted.changed:
            frames.setdefault(target_id, []).append(frame_index)
        for target_id, changed in frames.items():
            services.live.say_masks(clip_id, target_id, changed, reverted.revision, tab_of(request))
        return {
            "edit": {"id": reverted.edit_id, "kind": reverted.kind},
            "changed": [
                {"target_id": target_id, "layer": layer, "frame_index": frame_index}
                for target_id, layer, frame_index in reverted.changed
            ],
            "revision": reverted.revision,
        }
