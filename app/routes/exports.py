"""Exports: writing datasets out, and handing them over as one zip file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse
from zipstream import ZipStream

from app.notices import RefusedError
from app.parameters import MOST_FORMATS, Id
from app.services import Services
from app.work.keepers import ExportKeeper
from app.workers.worker import Priority

MOST_CLIPS = 100_000


class ExportWish(BaseModel):
    clip_ids: Annotated[list[Id], Field(max_length=MOST_CLIPS)] | Literal["all"]
    mask_step: Literal[1, 4] = 1
    formats: list[Literal["ref-vps", "masks", "overlay"]] = Field(
        ["ref-vps"], min_length=1, max_length=MOST_FORMATS
    )


def export_routes(services: Services) -> APIRouter:
    router = APIRouter(prefix="/api")
    exports = services.workspace.folder / "exports"

    @router.post("/export")
    def export(wanted: ExportWish) -> dict[str, Any]:
        clips = services.workspace.clips
        if wanted.clip_ids == "all":
            clip_ids = [clip.id for clip in clips.list()]
        else:
            clip_ids = list(dict.fromkeys(wanted.clip_ids))
        destination = exports / time.strftime("refscribe-%Y-%m-%d")
        call = services.files.submit(
            "export",
            Priority.CLIP,
            clip_ids=clip_ids,
            destination=str(destination),
            mask_step=wanted.mask_step,
            formats=wanted.formats,
        )
        only = clips.get(clip_ids[0]).name if len(clip_ids) == 1 else f"{len(clip_ids)} clips"
        job = services.jobs.start("export", f"Exporting {only}", call, ExportKeeper())
        return {"job": job.as_json()}

    @router.get("/exports/{name}.zip")
    def download(name: str) -> StreamingResponse:
        # The name is looked for among those there, so that it can lead nowhere else.
        folder = next((one for one in exports.iterdir() if one.name == name), None)
        if folder is None or not folder.is_dir() or name.startswith("."):
            raise RefusedError(f"There is no export called “{name}”.", code="missing", status=404)
        archive = zipped(folder)
        headers = {
            "Content-Disposition": f"attachment; filename*=utf-8''{quote(folder.name)}.zip",
            "Content-Length": str(len(archive)),
        }
        return StreamingResponse(iter(archive), media_type="application/zip", headers=headers)

    return router


def zipped(folder: Path) -> ZipStream:
    """`folder` as a zip file that is made while it is read; images are stored, being packed
    already."""
    archive = ZipStream(sized=True)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            archive.add_path(path, str(Path(folder.name) / path.relative_to(folder)))
    return archive
