"""The answers of segmenters that give several: which there are, and taking another one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from app.parameters import FrameIndex, Id
from app.services import Services


class QueryChoice(BaseModel):
    index: FrameIndex


def query_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    drafts = services.workspace.drafts

    @router.get("/drafts/{draft_id}/queries")
    def queries(draft_id: Id) -> list[dict[str, Any]]:
        return [asdict(one) for one in drafts.queries.list(draft_id)]

    @router.post("/drafts/{draft_id}/query")
    def choose(draft_id: Id, wanted: QueryChoice) -> list[dict[str, Any]]:
        drafts.queries.choose(draft_id, wanted.index)
        draft = drafts.get(draft_id)
        services.live.say(
            {
                "type": "draft",
                "clip_id": draft.clip_id,
                "draft_id": draft_id,
                "frames_done": draft.frames_done,
                "frames": [frame_index for frame_index, _ in drafts.masks(draft_id)],
            }
        )
        services.live.say_clip(draft.clip_id)
        return queries(draft_id)

    return router
