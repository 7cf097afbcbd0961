"""Clicks: the model's answer to all clicks of a frame, kept or only shown; and embedding ahead.

The answer to a click holds the mask that was kept and, behind it, the model's other readings of the
same clicks with version 0: the page offers them, and saves the one chosen as any other edit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from annotation_store.clips import Clip
from annotation_store.edits import MaskChange
from annotation_store.errors import StaleMaskError
from annotation_store.masks import StoredMask
from annotation_store.runs import MaskRuns, is_empty
from app.notices import RefusedError
from app.parameters import FrameIndex, Id, Pixels, Version, Word
from app.routes import wire
from app.routes.newest import Newest
from app.routes.replies import apply_edit, binary, clip_of, done_before
from app.routes.waiting import GoneError, answer_to
from app.services import Services, tab_of
from app.work.likely import likely_mask
from app.workers.messages import FrameRefined
from app.workers.worker import CallCancelledError, Priority
from video_types import Box, Click, Size

CLICK_TIMEOUT_S = 180.0
"""A first click may have to wait for the refiner to be loaded."""
MOST_CLICKS = 200


class ClickPoint(BaseModel):
    x: Pixels
    y: Pixels
    positive: bool


class Clicks(BaseModel):
    clicks: list[ClickPoint] = Field(max_length=MOST_CLICKS)
    seen: Version
    box: tuple[Pixels, Pixels, Pixels, Pixels] | None = None
    refiner: Word | None = None
    preview: bool = False


class Redrawing(BaseModel):
    seen: Version
    refiner: Word | None = None


class Playhead(BaseModel):
    clip_id: Id
    frame_index: FrameIndex
    refiner: Word | None = None


def click_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    _add_clicks(router, services)
    _add_redraw(router, services)
    _add_prefetch(router, services)
    return router


def read_clicks(points: Iterable[ClickPoint], frame_index: int, size: Size) -> tuple[Click, ...]:
    """The clicks of a request, all inside a frame of `size` (H, W)."""
    height, width = size
    clicks = tuple(Click(frame_index, point.x, point.y, point.positive) for point in points)
    for click in clicks:
        if not (0 <= click.x < width and 0 <= click.y < height):
            raise RefusedError(
                f"The click at ({click.x:g}, {click.y:g}) is outside the {width}x{height} frame."
            )
    return clicks


@dataclass(frozen=True)
class _Asked:
    """Clicks that can be answered: what is `shown` on their frame now, and the `base` of it that
    they correct; where there is nothing to correct, what the target is `likely` to look like."""

    clip: Clip
    shown: StoredMask
    base: StoredMask
    clicks: tuple[Click, ...]
    likely: bytes | None


def _add_clicks(router: APIRouter, services: Services) -> None:
    workspace = services.workspace
    previews = Newest()

    @router.post("/targets/{target_id}/frames/{frame_index}/clicks")
    async def click(
        target_id: Id, frame_index: FrameIndex, wanted: Clicks, request: Request
    ) -> Response:
        asked = await run_in_threadpool(look_up, target_id, frame_index, wanted, request)
        if isinstance(asked, Response):
            return asked
        if not asked.clicks and wanted.box is None:
            return await run_in_threadpool(take_back, asked, request)
        call = services.models.submit(
            "refine",
            Priority.CLICK,
            clip_id=asked.clip.id,
            frame_index=frame_index,
            size=asked.clip.size,
            refiner=wanted.refiner or services.settings.refiner,
            clicks=asked.clicks,
            prior=_prior(asked.base),
            box=_read_box(wanted.box, asked.clip.size),
            likely=asked.likely,
        )
        if not wanted.preview:
            refined = await call.answer(CLICK_TIMEOUT_S)
            return await run_in_threadpool(keep, asked, refined, request)
        previews.ask(tab_of(request), call.cancel)
        try:
            refined = await answer_to(request, call, CLICK_TIMEOUT_S)
        except (CallCancelledError, GoneError):  # a newer preview of the tab took its place
            return Response(status_code=204)
        return await run_in_threadpool(show, asked, refined, request)

    def look_up(
        target_id: int, frame_index: int, wanted: Clicks, request: Request
    ) -> _Asked | Response:
        clip = clip_of(services, target_id)
        if not 0 <= frame_index < clip.frame_count:
            raise RefusedError(f"The clip has no frame {frame_index}.", code="missing", status=404)
        clicks = read_clicks(wanted.clicks, frame_index, clip.size)
        done = done_before(services, request)
        shown = workspace.masks.load(target_id, "target", frame_index)
        if done is not None:
            return binary(request, wire.encode_masks(clip.size, [shown]))
        if shown.version != wanted.seen:
            raise StaleMaskError(frame_index, seen=wanted.seen, stored=shown.version)
        base = base_of(shown)
        begins = _prior(base) is None and wanted.box is None
        likely = likely_mask(workspace, target_id, frame_index) if begins else None
        return _Asked(clip, shown, base, clicks, likely)

    def base_of(shown: StoredMask) -> StoredMask:
        """What the clicks in force correct: the mask from before the first of them."""
        if not shown.clicks:
            return shown
        if shown.base_version == 0:
            return StoredMask(
                shown.target_id, "target", shown.frame_index, 0, None, None, False, (), 0
            )
        return workspace.masks.version(
            shown.target_id, "target", shown.frame_index, shown.base_version
        )

    def show(asked: _Asked, refined: FrameRefined, request: Request) -> Response:
        shown = replace(
            asked.shown,
            rle=refined.rle,
            origin="click",
            verified=False,
            clicks=asked.clicks,
            base_version=0,
            confidence=None,
        )
        return binary(request, wire.encode_masks(asked.clip.size, [shown]))

    def keep(asked: _Asked, refined: FrameRefined, request: Request) -> Response:
        shown = asked.shown
        mask = MaskRuns(refined.rle, asked.clip.size)
        change = MaskChange(
            "target", shown.frame_index, mask, shown.version, asked.clicks, asked.base.version
        )
        return keep_refined(services, request, asked.clip, shown, change, refined)

    def take_back(asked: _Asked, request: Request) -> Response:
        """Take all clicks of a frame back: its base comes again, as what it was."""
        shown, base, clip = asked.shown, asked.base, asked.clip
        if shown.clicks:
            mask = None if base.rle is None else MaskRuns(base.rle, clip.size)
            change = MaskChange("target", shown.frame_index, mask, shown.version)
            origin = base.origin or "clear"
            apply_edit(services, request, shown.target_id, clip.id, origin, [change])
            shown = workspace.masks.load(shown.target_id, "target", shown.frame_index)
        return binary(request, wire.encode_masks(clip.size, [shown]))


def _add_redraw(router: APIRouter, services: Services) -> None:
    workspace = services.workspace

    @router.post("/targets/{target_id}/frames/{frame_index}/redraw")
    async def redraw(
        target_id: Id, frame_index: FrameIndex, wanted: Redrawing, request: Request
    ) -> Response:
        """Read the mask shown, roughly painted as it may be, as what it was meant to be."""
        found = await run_in_threadpool(look_up, target_id, frame_index, wanted, request)
        if isinstance(found, Response):
            return found
        clip, shown, rough = found
        call = services.models.submit(
            "redraw",
            Priority.CLICK,
            clip_id=clip.id,
            frame_index=frame_index,
            size=clip.size,
            refiner=wanted.refiner or services.settings.refiner,
            rough=rough,
        )
        refined = await call.answer(CLICK_TIMEOUT_S)
        return await run_in_threadpool(keep, clip, shown, refined, request)

    def look_up(
        target_id: int, frame_index: int, wanted: Redrawing, request: Request
    ) -> tuple[Clip, StoredMask, bytes] | Response:
        clip = clip_of(services, target_id)
        done = done_before(services, request)
        shown = workspace.masks.load(target_id, "target", frame_index)
        if done is not None:
            return binary(request, wire.encode_masks(clip.size, [shown]))
        if shown.version != wanted.seen:
            raise StaleMaskError(frame_index, seen=wanted.seen, stored=shown.version)
        rough = _prior(shown)
        if rough is None:
            raise RefusedError(f"Frame {frame_index} has no mask. Paint the target roughly first.")
        return clip, shown, rough

    def keep(clip: Clip, shown: StoredMask, refined: FrameRefined, request: Request) -> Response:
        mask = MaskRuns(refined.rle, clip.size)
        change = MaskChange("target", shown.frame_index, mask, shown.version)
        return keep_refined(services, request, clip, shown, change, refined)


def keep_refined(
    services: Services,
    request: Request,
    clip: Clip,
    shown: StoredMask,
    change: MaskChange,
    refined: FrameRefined,
) -> Response:
    """Save a refiner's answer; the reply holds what was kept, and behind it the other readings."""
    apply_edit(services, request, shown.target_id, clip.id, "click", [change])
    saved = services.workspace.masks.load(shown.target_id, "target", shown.frame_index)
    others = [replace(saved, version=0, rle=rle) for rle in refined.candidates]
    return binary(request, wire.encode_masks(clip.size, [saved, *others]))


def _prior(base: StoredMask) -> bytes | None:
    """The mask a click corrects; where there is nothing, the click begins a mask of its own."""
    return None if base.rle is None or is_empty(base.rle) else base.rle


def _read_box(box: tuple[float, float, float, float] | None, size: Size) -> Box | None:
    if box is None:
        return None
    height, width = size
    left, top, right, bottom = box
    found = Box(max(0.0, left), max(0.0, top), min(right, width), min(bottom, height))
    if not (found.left < found.right and found.top < found.bottom):
        raise RefusedError("The box holds no part of the frame.")
    return found


def _add_prefetch(router: APIRouter, services: Services) -> None:
    wishes = Newest()  # a playhead that moved on makes the wish before it pointless

    @router.post("/prefetch", status_code=202)
    def prefetch(playhead: Playhead, request: Request) -> dict[str, Any]:
        clip = services.workspace.clips.get(playhead.clip_id)
        call = services.models.submit(
            "prepare",
            Priority.AHEAD,
            clip_id=clip.id,
            frame_count=clip.frame_count,
            frame_index=playhead.frame_index,
            refiner=playhead.refiner or services.settings.refiner,
        )
        wishes.ask(tab_of(request), call.cancel)
        return {}

    @router.delete("/prefetch", status_code=204)
    def leave_off(request: Request) -> None:
        """The tab needs the machine for something else, such as playing."""
        wishes.take_back(tab_of(request))
