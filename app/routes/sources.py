"""Where clips come from: uploads, media folders, samples."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from annotation_store.errors import StoreError
from app.notices import RefusedError
from app.parameters import MOST_FRAMES, Seconds, Text
from app.routes.media import find_medium
from app.services import Services
from app.work.keepers import ClipKeeper
from app.workers.worker import Priority

Crop = tuple[int, int, int, int]
LONGEST_NAME = 200
GROUP_KEPT_S = 3600.0


class Cut(BaseModel):
    trim_start: Seconds | None = None
    trim_end: Seconds | None = None
    crop: Text | None = None


def source_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    groups = Groups(services.workspace.folder / "incoming")

    @router.post("/uploads")
    async def upload(
        request: Request,
        name: str = Query(min_length=1, max_length=1000),
        trim_start: Seconds | None = None,
        trim_end: Seconds | None = None,
        crop: Text | None = None,
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
            "samples", "Adding the sample clips", call, ClipKeeper(services.live, [])
        )
        return {"job": job.as_json()}

    return router


def _started(
    services: Services,
    source: str | list[str],
    source_name: str | None,
    cut: Cut,
    incoming: list[Path],
) -> dict[str, Any]:
    keeper = ClipKeeper(services.live, incoming)
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
