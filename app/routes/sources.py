"""Where clips come from: uploads, media folders, samples."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import anyio
from anyio import CancelScope
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from annotation_store import half_done
from annotation_store.errors import StoreError
from app.notices import RefusedError
from app.parameters import MOST_FRAMES, Seconds, Text
from app.routes.media import find_medium
from app.services import Services
from app.work.keepers import ClipKeeper
from app.workers.worker import Priority

Trim = tuple[float, float | None]
Crop = tuple[int, int, int, int]
LONGEST_NAME = 200
"""Bytes; file systems take 255."""
FileName = Annotated[Text, StringConstraints(min_length=1, max_length=1000)]
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
        name: FileName,
        trim_start: Seconds | None = None,
        trim_end: Seconds | None = None,
        crop: Text | None = None,
        group: str | None = Query(default=None, pattern=r"^[A-Za-z0-9_-]{1,80}$"),
        folder: FileName | None = None,
        of: int | None = Query(default=None, ge=1, le=MOST_FRAMES),
    ) -> dict[str, Any]:
        """One file.  Those of one `group` become one clip, named after their `folder`, when all
        `of` them are there; they may arrive in any order and at the same time."""
        cut = read_cut(Cut(trim_start=trim_start, trim_end=trim_end, crop=crop))
        source_name = clean_name(name)
        title = clean_name(folder) if folder else "frames"
        key, count = (uuid4().hex, 1) if group is None else (group, of or 1)
        place = await run_in_threadpool(groups.begin, key, count, source_name)
        try:
            await receive_file(request.stream(), place)
        except BaseException:
            with CancelScope(shield=True):  # also when the server ends
                await run_in_threadpool(groups.drop, key)
            raise
        files = await run_in_threadpool(groups.arrived, key)
        if files is None:
            return {"job": None}
        source, shown = (str(place), source_name) if group is None else (files, title)
        return await run_in_threadpool(_started, services, source, shown, cut, [place.parent])

    @router.post("/media/{medium_id}/ingest")
    def ingest(medium_id: str, cut: Cut) -> dict[str, Any]:
        medium = find_medium(services.settings.media, medium_id)
        if medium is None:
            raise RefusedError(
                "This is no longer in the media folders; open the list again.",
                code="missing",
                status=404,
            )
        return _started(services, str(medium.path), None, read_cut(cut), [])

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
    cut: tuple[Trim | None, Crop | None],
    incoming: list[Path],
) -> dict[str, Any]:
    trim_s, crop = cut
    call = services.files.submit(
        "ingest",
        Priority.CLIP,
        source=source,
        source_name=source_name,
        trim_s=trim_s,
        crop=crop,
    )
    shown = source_name or Path(str(source)).name
    keeper = ClipKeeper(services.live, incoming)
    return {"job": services.jobs.start("ingest", f"Adding {shown}", call, keeper).as_json()}


def read_cut(cut: Cut) -> tuple[Trim | None, Crop | None]:
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

    It is cut to what every file system takes, from the front: the suffix stays.

    >>> clean_name("../../etc/passwd"), clean_name("C:\\\\clips\\\\tea.mp4")
    ('passwd', 'tea.mp4')
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(sign for sign in last if sign.isprintable()).lstrip(".").strip()
    return kept.encode()[-LONGEST_NAME:].decode("utf-8", "ignore").lstrip(". ") or "clip"


async def receive_file(chunks: AsyncIterator[bytes], path: Path) -> None:
    """Write what arrives to `path`, piece by piece."""
    try:
        async with await anyio.open_file(path, "xb") as file:
            async for chunk in chunks:
                await file.write(chunk)
    except FileExistsError as error:
        raise RefusedError(f"“{path.name}” was sent twice.") from error
    except ClientDisconnect as error:
        raise RefusedError("The upload broke off.", code="cancelled") from error
    except OSError as error:
        raise _not_kept(error) from error


def _not_kept(error: OSError) -> StoreError:
    return StoreError(
        f"The upload could not be kept ({error.strerror or error}). Make room on the disk, "
        "then send it again."
    )


@dataclass
class _Group:
    """Files that become one clip; `folder` is None once one of them broke off."""

    count: int
    folder: Path | None
    names: list[str] = field(default_factory=list)
    arrived: int = 0
    last_at: float = field(default_factory=time.monotonic)

    @property
    def is_left(self) -> bool:
        """Whether nothing of it is on its way, and nothing came for long."""
        moving = self.folder is not None and len(self.names) > self.arrived
        return not moving and time.monotonic() - self.last_at > GROUP_KEPT_S


class Groups:
    """Files that arrive as uploads of their own, each group in a folder of its own below
    `incoming`.  Touches the disk: not for the event loop."""

    def __init__(self, incoming: Path) -> None:
        self._incoming = incoming
        self._lock = threading.Lock()
        self._groups: dict[str, _Group] = {}

    def begin(self, group: str, count: int, name: str) -> Path:
        """Where the file `name`, one of `count`, is to be written.

        Raises:
            RefusedError: another file of the group broke off, has this name, or said another
                count.
        """
        with self._lock:
            forgotten = self._expired()
            one = self._groups.get(group)
            if one is None:
                try:
                    folder = half_done.begin(self._incoming / f"upload-{uuid4().hex}")
                except OSError as error:
                    raise _not_kept(error) from error
                one = self._groups[group] = _Group(count, folder)
            if one.folder is None:
                raise RefusedError("Another file of this folder broke off. Send all of it again.")
            if one.count != count:
                raise RefusedError(f"Expected {one.count} files in this folder, now {count}.")
            if name in one.names:
                raise RefusedError(f"“{name}” was sent twice.")
            one.names.append(name)
            one.last_at = time.monotonic()
            place = one.folder / name
        for folder in forgotten:
            half_done.end(folder)
        return place

    def arrived(self, group: str) -> list[str] | None:
        """One more file is whole: all of the group once none is missing, None before."""
        with self._lock:
            one = self._groups.get(group)
            if one is None or one.folder is None:
                raise RefusedError("Another file of this folder broke off. Send all of it again.")
            one.arrived += 1
            one.last_at = time.monotonic()
            if one.arrived < one.count:
                return None
            del self._groups[group]
            return [str(one.folder / name) for name in one.names]

    def drop(self, group: str) -> None:
        """Remove a group of which a file broke off; what still comes of it is refused."""
        with self._lock:
            one = self._groups.get(group)
            folder = None if one is None else one.folder
            if one is not None:
                one.folder = None
        if folder is not None:
            half_done.end(folder)

    def _expired(self) -> list[Path]:
        """Forget groups that nobody sends any more; what they left is to be removed."""
        left = [name for name, one in self._groups.items() if one.is_left]
        folders = [self._groups.pop(name).folder for name in left]
        return [folder for folder in folders if folder is not None]
