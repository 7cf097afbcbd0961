"""Better tools: which weights are worth fetching for this machine, and fetching them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query

from app.notices import RefusedError
from app.parameters import Word
from app.routes.engine_list import engines
from app.services import Services
from app.work.jobs import Job
from app.work.keepers import EngineKeeper
from app.workers.worker import Priority

KINDS = ("segmenter", "refiner")
GPU_WITHIN_S = 60.0
"""The model process may be loading a network; afterwards the answer is kept."""


def tool_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    gpu_bytes = _gpu_asker(services)
    starting = threading.Lock()

    @router.get("/engines")
    def all_engines() -> dict[str, Any]:
        return {f"{kind}s": engines(kind, services.settings) for kind in KINDS}

    @router.get("/tools")
    def tools(also: Annotated[list[Word], Query()] = []) -> dict[str, Any]:  # noqa: B006
        """`also` names engines that are asked for beside those worth fetching."""
        from model import better_tools, hub

        ready = [
            one["name"]
            for kind in KINDS
            for one in engines(kind, services.settings)
            if one["ready"]
        ]
        machine = better_tools.this_machine(gpu_bytes(), ready)
        return {
            "tools": [_tool_json(one) for one in better_tools.worth_fetching(machine, also)],
            "gpu_bytes": machine.gpu_bytes,
            "free_bytes": machine.free_bytes,
            "hub": hub.host(),
            "folder": str(hub.cache_folder()),
        }

    @router.post("/tools/{name}/fetch")
    def fetch(name: str) -> dict[str, Any]:
        """Begin to fetch an engine's weights; where that is under way, its job is the answer."""
        with starting:
            return {"job": (_job_of(services, name) or _started(services, name)).as_json()}

    return router


def _gpu_asker(services: Services) -> Callable[[], int]:
    """Memory of the GPU, in bytes.  Only the model process may import what knows it."""
    known: list[int] = []

    def ask() -> int:
        from model import catalog

        if not catalog.has_gpu(services.settings.device):
            return 0
        if not known:
            known.append(services.models.submit("gpu", Priority.CLICK).result(GPU_WITHIN_S))
        return known[0]

    return ask


def _tool_json(tool: Any) -> dict[str, Any]:
    from model import catalog, hub

    entry = tool.entry
    return {
        "name": entry.name,
        "kind": entry.kind,
        "title": entry.title,
        "better_at": tool.better_at,
        "size_bytes": entry.download_bytes,
        "licence": entry.licence,
        "licence_page": entry.licence_page,
        "is_non_commercial": entry.is_non_commercial,
        "caution": catalog.UNTRIED if catalog.UNTRIED in entry.note else "",
        "gated": entry.gated,
        "page": hub.page(entry.name),
        "is_here": tool.is_here,
        "has_room": tool.has_room,
        "is_chosen": tool.is_chosen,
    }


def _job_of(services: Services, name: str) -> Job | None:
    """The job that fetches the same weights already."""
    from model import hub

    wanted = hub.needs(name)
    under_way = services.jobs.running("fetch")
    return next((job for job in under_way if hub.needs(job.engine or "") == wanted), None)


def _started(services: Services, name: str) -> Job:
    from model import catalog, download

    entry = next((one for one in catalog.entries() if one.name == name), None)
    if entry is None or not entry.download_bytes:
        raise RefusedError(
            f"There is nothing to fetch for “{name[:80]}”.", code="missing", status=404
        )
    if services.settings.weights_for(name) or catalog.weights_path(name):
        raise RefusedError(f"{entry.title} is here already.", code="here", status=409)
    lost = catalog.lost_path(name)
    if lost:
        # What the hub holds would not be looked at.
        raise RefusedError(f"{entry.title}: {lost}.", code="refused", status=422)
    waiting = [catalog.entry(job.engine or "") for job in services.jobs.running("fetch")]
    download.require_room(sum(one.download_bytes for one in (entry, *waiting)))
    return services.jobs.start(
        "fetch",
        f"Fetching {entry.title}",
        services.downloads.submit(name),
        EngineKeeper(services.live),
        engine=name,
    )
