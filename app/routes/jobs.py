"""Propagation, and looking after everything that takes long."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request

from app.notices import RefusedError
from app.parameters import Id
from app.routes.start import require_ready
from app.services import Services
from app.work.keepers import MaskKeeper
from app.work.propagation_plan import Propagation, plan_propagation
from app.workers.worker import Priority


def job_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    _add_jobs(router, services)
    _add_propagation(router, services)
    return router


def _add_jobs(router: APIRouter, services: Services) -> None:
    @router.get("/jobs")
    def jobs() -> dict[str, Any]:
        return {"jobs": [job.as_json() for job in services.jobs.all()]}

    @router.post("/jobs/{job_id}/{what}")
    def change(job_id: Id, what: Literal["cancel", "pause", "resume"]) -> dict[str, Any]:
        if what == "cancel":
            job = services.jobs.cancel(job_id)
        else:
            job = services.jobs.pause(job_id, what == "pause")
        if job is None:
            raise RefusedError(f"There is no job {job_id} any more.", code="missing", status=404)
        return {"job": job.as_json()}


def _add_propagation(router: APIRouter, services: Services) -> None:
    workspace = services.workspace

    @router.post("/targets/{target_id}/propagate")
    def propagate(target_id: Id, wanted: Propagation, request: Request) -> dict[str, Any]:
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
        makers = workspace.masks.makers(target_id)
        plan = plan_propagation(shown, makers, wanted, clip.frame_count, refiner)
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
        keeper = MaskKeeper(
            workspace, services.live, clip, target_id, annotator, "propagation", seen, refiner
        )
        job = services.jobs.start(
            "propagate",
            f"Propagating {name} from frame {wanted.frame_index}",
            call,
            keeper,
            clip_id=clip.id,
            target_id=target_id,
        )
        return {"job": job.as_json()}
