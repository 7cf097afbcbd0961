"""Propagation, adding clips, and looking after everything that takes long."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from annotation_store.errors import StoreError
from annotation_store.masks import StoredMask
from app.draft_routes import require_ready
from app.keepers import ClipKeeper, MaskKeeper
from app.media import find_medium
from app.notices import RefusedError
from app.services import Services
from app.worker import Priority

Direction = Literal["both", "forward", "backward"]
Crop = tuple[int, int, int, int]
LONGEST_NAME = 200
MOST_FRAMES = 20_000
GROUP_KEPT_S = 3600.0


class Propagation(BaseModel):
    frame_index: int
    direction: Direction = "both"
    first: int | None = None
    last: int | None = None
    refiner: str | None = None
    overwrite: bool = False


class Cut(BaseModel):
    trim_start: float | None = None
    trim_end: float | None = None
    crop: str | None = None


def job_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    _add_jobs(router, services)
    _add_propagation(router, services)
    _add_clip_sources(router, services)
    return router


def _add_jobs(router: APIRouter, services: Services) -> None:
    @router.get("/jobs")
    def jobs() -> dict[str, Any]:
        return {"jobs": [job.as_json() for job in services.jobs.all()]}

    @router.post("/jobs/{job_id}/cancel")
    def cancel(job_id: int) -> dict[str, Any]:
        job = services.jobs.cancel(job_id)
        if job is None:
            raise RefusedError(f"There is no job {job_id} any more.", code="missing", status=404)
        return {"job": job.as_json()}


@dataclass(frozen=True)
class PropagationPlan:
    """Where masks come from, and which frames they are carried to, in order."""

    anchors: dict[int, bytes]
    targets: list[int]


def plan_propagation(
    shown: Mapping[int, StoredMask], wanted: Propagation, frame_count: int
) -> PropagationPlan:
    """What of the clip is filled, given the target's masks by frame.

    Frames edited or verified by hand are anchors and stay, unless they are to be overwritten.

    Raises:
        RefusedError: the frame has no mask, or nothing is left to fill.
    """
    begin = shown.get(wanted.frame_index)
    if begin is None or begin.rle is None:
        raise RefusedError(
            f"Frame {wanted.frame_index} has no mask to carry on. Go to a frame that has one.",
            code="refused",
            status=422,
        )
    first = max(0, wanted.first if wanted.first is not None else 0)
    last = min(frame_count - 1, wanted.last if wanted.last is not None else frame_count - 1)
    forward = range(max(first, wanted.frame_index + 1), last + 1)
    backward = range(min(last, wanted.frame_index - 1), first - 1, -1)
    reach = [
        *(forward if wanted.direction != "backward" else ()),
        *(backward if wanted.direction != "forward" else ()),
    ]
    settled = (
        {}
        if wanted.overwrite
        else {index: shown[index] for index in reach if index in shown and shown[index].by_hand}
    )
    anchors = {index: one.rle for index, one in settled.items() if one.rle is not None}
    targets = [index for index in reach if index not in settled]
    if not targets:
        raise RefusedError(
            "There is no frame to fill: all of them were edited or verified by hand. Choose "
            "another range, or allow overwriting them.",
            code="refused",
            status=422,
        )
    return PropagationPlan(anchors | {wanted.frame_index: begin.rle}, targets)


def _add_propagation(router: APIRouter, services: Services) -> None:
    workspace = services.workspace

    @router.post("/targets/{target_id}/propagate")
    def propagate(target_id: int, wanted: Propagation, request: Request) -> dict[str, Any]:
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
        plan = plan_propagation(shown, wanted, clip.frame_count)
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
        job = services.jobs.start(
            "propagate",
            f"Propagating {name} from frame {wanted.frame_index}",
            call,
            MaskKeeper(services, clip, target_id, annotator, "propagation", seen),
            clip_id=clip.id,
            target_id=target_id,
        )
        return {"job": job.as_json()}


def _add_clip_sources(router: APIRouter, services: Services) -> None:
    groups = Groups(services.workspace.folder / "incoming")

    @router.post("/uploads")
    async def upload(
        request: Request,
        name: str = Query(min_length=1, max_length=1000),
        trim_start: float | None = None,
        trim_end: float | None = None,
        crop: str | None = None,
        group: str | None = Query(default=None, pattern=r"^[A-Za-z0-9_-]{1,80}$"),
        of: int | None = Query(default=None, ge=1, le=MOST_FRAMES),
    ) -> dict[str, Any]:
        cut = Cut(trim_start=trim_start, trim_end=trim_end, crop=crop)
        source_name = clean_name(name)
        if group is None:
            # In a folder of its own the file keeps the name the person knows it by.
            folder = services.workspace.folder / "incoming" / f"upload-{uuid4().hex}"
            folder.mkdir()
            try:
                await receive_file(request.stream(), folder / source_name)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            return _started(services, str(folder / source_name), source_name, cut, [folder])
        folder = groups.folder(group)
        try:
            await receive_file(request.stream(), folder / source_name)
        except BaseException:
            groups.drop(group)
            raise
        files = await run_in_threadpool(groups.complete, group, of or 1)
        if files is None:
            return {"job": None}
        title = re.sub(r"-[a-z0-9]+$", "", group)
        return _started(services, [str(path) for path in files], title, cut, [folder])

    @router.post("/media/{medium_id}/ingest")
    def ingest(medium_id: str, cut: Cut) -> dict[str, Any]:
        medium = find_medium(services.settings.media, medium_id)
        if medium is None:
            raise RefusedError(
                "This is no longer in the media folders; open the list again.",
                code="missing",
                status=404,
            )
        return _started(services, str(medium.path), None, cut, [])

    @router.post("/samples")
    def samples() -> dict[str, Any]:
        call = services.files.submit("samples", Priority.CLIP)
        job = services.jobs.start(
            "samples", "Adding the sample clips", call, ClipKeeper(services, [])
        )
        return {"job": job.as_json()}


def _started(
    services: Services,
    source: str | list[str],
    source_name: str | None,
    cut: Cut,
    incoming: list[Path],
) -> dict[str, Any]:
    keeper = ClipKeeper(services, incoming)
    try:
        trim_s, crop = read_cut(cut)
    except RefusedError:
        keeper.remove_incoming()
        raise
    call = services.files.submit(
        "ingest",
        Priority.CLIP,
        source=source,
        source_name=source_name,
        trim_s=trim_s,
        crop=crop,
    )
    shown = source_name or Path(str(source)).name
    return {"job": services.jobs.start("ingest", f"Adding {shown}", call, keeper).as_json()}


def read_cut(cut: Cut) -> tuple[tuple[float, float | None] | None, Crop | None]:
    """Trim in seconds and crop as (x, y, width, height); None for what was not asked for.

    >>> read_cut(Cut(trim_end=2.5, crop="0,8,640,352"))
    ((0.0, 2.5), (0, 8, 640, 352))
    """
    trim_s = None
    if cut.trim_start is not None or cut.trim_end is not None:
        trim_s = (cut.trim_start or 0.0, cut.trim_end)
    if not cut.crop:
        return trim_s, None
    sides = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})", cut.crop)
    if sides is None:
        raise RefusedError(f"Expected a crop as left,top,width,height, got {cut.crop[:40]!r}.")
    left, top, width, height = (int(side) for side in sides.groups())
    return trim_s, (left, top, width, height)


def clean_name(name: str) -> str:
    """A file name a browser gave, without anything that could lead elsewhere.

    >>> clean_name("../../etc/passwd"), clean_name("C:\\\\clips\\\\tea.mp4")
    ('passwd', 'tea.mp4')
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(sign for sign in last if sign.isprintable()).lstrip(".").strip()
    return kept[-LONGEST_NAME:] or "clip"


async def receive_file(chunks: AsyncIterator[bytes], path: Path) -> None:
    """Write what arrives to `path` piece by piece; nothing is left of it when it breaks off."""
    try:
        with path.open("xb") as file:
            async for chunk in chunks:
                await run_in_threadpool(file.write, chunk)
    except FileExistsError as error:
        raise RefusedError(f"“{path.name}” was sent twice.") from error
    except ClientDisconnect as error:
        path.unlink(missing_ok=True)
        raise RefusedError("The upload broke off.", code="cancelled") from error
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StoreError(
            f"The upload could not be kept ({error.strerror or error}). Make room on the disk, "
            "then send it again."
        ) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@dataclass
class _Group:
    folder: Path
    begun_at: float = field(default_factory=time.monotonic)


class Groups:
    """Frames of one folder that arrive as uploads of their own."""

    def __init__(self, incoming: Path) -> None:
        self._incoming = incoming
        self._lock = threading.Lock()
        self._groups: dict[str, _Group] = {}

    def folder(self, group: str) -> Path:
        """Where this group's files go."""
        with self._lock:
            for name, one in list(self._groups.items()):
                if time.monotonic() - one.begun_at > GROUP_KEPT_S:
                    self._drop(name)
            if group not in self._groups:
                folder = self._incoming / f"frames-{uuid4().hex}"
                folder.mkdir(parents=True)
                self._groups[group] = _Group(folder)
            return self._groups[group].folder

    def complete(self, group: str, count: int) -> list[Path] | None:
        """All files of the group once there are `count`, None before."""
        with self._lock:
            one = self._groups.get(group)
            files = [] if one is None else list(one.folder.iterdir())
            if len(files) < count:
                return None
            del self._groups[group]
            return files

    def drop(self, group: str) -> None:
        """Remove a group that broke off."""
        with self._lock:
            self._drop(group)

    def _drop(self, group: str) -> None:

        one = self._groups.pop(group, None)
        if one is not None:
            shutil.rmtree(one.folder, ignore_errors=True)
