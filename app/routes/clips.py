"""Clips, their pictures, targets and expressions; and what the page asks for first."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from annotation_store.clips import CATEGORIES, Clip, ClipSummary
from annotation_store.drafts import Draft
from annotation_store.errors import NotFoundError
from annotation_store.expressions import Expression
from annotation_store.frame_folder import SUFFIXES
from annotation_store.frames import strip_frames
from annotation_store.targets import Target
from app.notices import RefusedError
from app.parameters import FrameIndex, Id, Text, Word
from app.routes.engine_list import engines
from app.routes.frame_list import frame_numbers
from app.routes.media import VIDEO_SUFFIXES, list_media
from app.routes.replies import FOREVER, MOST_PACKED, packed
from app.services import Services, edit_of
from app.settings import VERSION


class ClipFacts(BaseModel):
    name: Text | None = None
    concept: Text | None = None
    category: Word | None = None
    state: Word | None = None


class TargetName(BaseModel):
    name: Text = ""


class ExpressionText(BaseModel):
    text: Text


CLIP_FACTS = (
    "id",
    "name",
    "concept",
    "category",
    "state",
    "width",
    "height",
    "frame_count",
    "fps",
    "created_at",
    "source_name",
    "trim_start_s",
    "trim_end_s",
    "crop",
)
EXPRESSION_FACTS = ("id", "target_id", "label", "text", "annotator")
DRAFT_FACTS = (
    "id",
    "expression_id",
    "expression_text",
    "segmenter",
    "seed",
    "threshold",
    "state",
    "frames_done",
    "created_at",
    "note",
    "query",
)


def clip_json(clip: Clip) -> dict[str, Any]:
    facts = {name: getattr(clip, name) for name in CLIP_FACTS}
    return facts | {"thumb": f"/api/clips/{clip.id}/thumb.jpg"}


def _summary_json(summary: ClipSummary) -> dict[str, Any]:
    counts = {name: value for name, value in asdict(summary).items() if name != "clip"}
    return clip_json(summary.clip) | counts


def target_json(target: Target) -> dict[str, Any]:
    return {"id": target.id, "number": target.number, "name": target.name}


def expression_json(expression: Expression) -> dict[str, Any]:
    return {name: getattr(expression, name) for name in EXPRESSION_FACTS}


def draft_json(draft: Draft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in DRAFT_FACTS}


def clip_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    _add_session(router, services)
    _add_clips(router, services)
    _add_pictures(router, services)
    _add_targets(router, services)
    return router


def _add_session(router: APIRouter, services: Services) -> None:
    settings = services.settings
    cookie = f"refscribe-workspace-{settings.port}"
    workspace_id = services.workspace.identity()
    notices = [said for said in (services.workspace.cleared,) if said]

    @router.get("/session")
    def session(request: Request, response: Response) -> dict[str, Any]:
        # Frames are kept by the browser under addresses that another workspace uses too; they
        # vary by this cookie (see `_picture`).
        said, notices[:] = list(notices), []  # once, to who asks first
        response.set_cookie(cookie, workspace_id, samesite="lax", httponly=True)
        return {
            "annotator": services.annotator(request),
            "workspace": str(services.workspace.folder),
            "workspace_id": workspace_id,
            "version": VERSION,
            "segmenters": engines("segmenter", settings),
            "refiners": engines("refiner", settings),
            "categories": list(CATEGORIES),
            "notices": said,
            "frame_suffixes": list(SUFFIXES),
            "video_suffixes": sorted(VIDEO_SUFFIXES),
            "default_segmenter": settings.segmenter,
            "default_refiner": settings.refiner,
            "media": [
                {"id": one.id, "name": one.name, "kind": one.kind}
                for one in list_media(settings.media)
            ],
        }


def _add_clips(router: APIRouter, services: Services) -> None:
    workspace = services.workspace

    @router.get("/clips")
    def clips() -> dict[str, Any]:
        return {"clips": [_summary_json(one) for one in workspace.clips.summary()]}

    @router.get("/clips/{clip_id}")
    def clip(clip_id: Id) -> dict[str, Any]:
        shown = workspace.clips.get(clip_id)
        return {
            "clip": clip_json(shown),
            "targets": [target_json(one) for one in workspace.targets.list(clip_id)],
            "expressions": [expression_json(one) for one in workspace.expressions.list(clip_id)],
            "drafts": [draft_json(one) for one in workspace.drafts.list(clip_id)],
            "revision": shown.revision,
        }

    @router.patch("/clips/{clip_id}")
    def change(clip_id: Id, facts: ClipFacts) -> dict[str, Any]:
        changed = workspace.clips.update(clip_id, **facts.model_dump(exclude_none=True))
        services.live.say_clip(clip_id)
        return clip_json(changed)

    @router.delete("/clips/{clip_id}")
    def remove(clip_id: Id) -> dict[str, Any]:
        services.jobs.cancel_where(lambda job: job.clip_id == clip_id and job.kind != "ingest")
        workspace.clips.remove(clip_id)
        services.live.say_clips()
        services.live.say_clip(clip_id)
        return {}


def _add_pictures(router: APIRouter, services: Services) -> None:
    stored = services.workspace.frames

    @router.get("/clips/{clip_id}/frames/{frame_index}.jpg")
    def frame(clip_id: Id, frame_index: FrameIndex) -> Response:
        return _picture(stored.path(clip_id, frame_index))

    @router.get("/clips/{clip_id}/frames.pack")
    def pack(clip_id: Id, frames: Text) -> Response:
        """Several frames in one reply: 32-bit words, the count and each length, then the JPEGs."""
        wanted = frame_numbers(frames)
        if len(wanted) > MOST_PACKED:
            raise RefusedError(f"Expected at most {MOST_PACKED} frames, got {len(wanted)}.")
        return packed([_read(stored.path(clip_id, frame_index)) for frame_index in wanted])

    @router.get("/clips/{clip_id}/thumb.jpg")
    def thumb(clip_id: Id) -> Response:
        return _picture(stored.thumb_path(clip_id))

    @router.get("/clips/{clip_id}/strip.jpg")
    def strip(clip_id: Id) -> Response:
        picture = _picture(stored.strip_path(clip_id))
        shown = strip_frames(services.workspace.clips.get(clip_id).frame_count)
        picture.headers["X-Strip-Frames"] = ",".join(str(index) for index in shown)
        return picture


def _picture(path: Path) -> Response:
    """A stored JPEG; a clip's number is never given twice, so what it shows never changes."""
    headers = {"Cache-Control": FOREVER, "Vary": "Cookie"}
    return Response(_read(path), media_type="image/jpeg", headers=headers)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFoundError("There is no such picture; its clip may have been removed.") from error


def _add_targets(router: APIRouter, services: Services) -> None:
    workspace = services.workspace

    @router.post("/clips/{clip_id}/targets")
    def add_target(clip_id: Id, wanted: TargetName, request: Request) -> dict[str, Any]:
        target = workspace.targets.add(clip_id, wanted.name, asked_as=edit_of(request))
        services.live.say_clip(clip_id)
        return target_json(target)

    @router.patch("/targets/{target_id}")
    def rename_target(target_id: Id, wanted: TargetName) -> dict[str, Any]:
        target = workspace.targets.rename(target_id, wanted.name)
        services.live.say_clip(target.clip_id)
        return target_json(target)

    @router.delete("/targets/{target_id}")
    def remove_target(target_id: Id) -> dict[str, Any]:
        target = workspace.targets.get(target_id)
        services.jobs.cancel_where(lambda job: job.target_id == target_id)
        workspace.targets.remove(target_id)
        services.live.say_clip(target.clip_id)
        return {}

    @router.post("/targets/{target_id}/expressions")
    def add_expression(target_id: Id, wanted: ExpressionText, request: Request) -> dict[str, Any]:
        annotator = services.annotator(request)
        expression = workspace.expressions.add(target_id, wanted.text, annotator)
        services.live.say_clip(expression.clip_id)
        return expression_json(expression)

    @router.patch("/expressions/{expression_id}")
    def change_expression(expression_id: Id, wanted: ExpressionText) -> dict[str, Any]:
        expression = workspace.expressions.update(expression_id, wanted.text)
        services.live.say_clip(expression.clip_id)
        return expression_json(expression)

    @router.delete("/expressions/{expression_id}")
    def remove_expression(expression_id: Id) -> dict[str, Any]:
        expression = workspace.expressions.get(expression_id)
        drafts = {
            draft.id
            for draft in workspace.drafts.list(expression.clip_id)
            if draft.expression_id == expression_id
        }
        services.jobs.cancel_where(lambda job: job.draft_id in drafts)
        workspace.expressions.remove(expression_id)
        services.live.say_clip(expression.clip_id)
        return {}
