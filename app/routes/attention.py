"""The list of frames to look at next."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request

from app.parameters import Id
from app.routes.newest import Newest
from app.services import Services, tab_of
from app.workers.worker import Priority

TIMEOUT_S = 120.0


def attention_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    wishes = Newest()  # a list asked for again after an edit takes the place of the one before

    @router.get("/targets/{target_id}/attention")
    def attention(target_id: Id, request: Request) -> dict[str, Any]:
        services.workspace.targets.get(target_id)
        call = services.files.submit("attention", Priority.PROPAGATION, target_id=target_id)
        wishes.ask(tab_of(request), call.cancel)
        return {"frames": [asdict(one) for one in call.result(TIMEOUT_S)]}

    return router
