"""The list of frames to look at next."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.parameters import Id
from app.routes.newest import Newest
from app.routes.waiting import GoneError, answer_to
from app.services import Services, tab_of
from app.workers.worker import CallCancelledError, Priority

TIMEOUT_S = 120.0


def attention_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    wishes = Newest()  # a list asked for again after an edit takes the place of the one before

    @router.get("/targets/{target_id}/attention", response_model=None)
    async def attention(target_id: Id, request: Request) -> dict[str, Any] | Response:
        """204 without a body where the tab has asked anew meanwhile."""
        await run_in_threadpool(services.workspace.targets.get, target_id)
        call = services.files.submit("attention", Priority.PROPAGATION, target_id=target_id)
        wishes.ask(tab_of(request), call.cancel)
        try:
            frames = await answer_to(request, call, TIMEOUT_S)
        except (CallCancelledError, GoneError):
            return Response(status_code=204)
        return {"frames": [asdict(one) for one in frames]}

    return router
