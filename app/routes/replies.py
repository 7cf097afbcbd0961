"""Answers that several routes give: masks in binary, packs of pictures, an edit applied."""

from __future__ import annotations

import gzip
import struct
from typing import Any

from fastapi import Request, Response

from annotation_store.clips import Clip
from annotation_store.edits import Applied, MaskChange
from annotation_store.masks import Origin
from app.routes import wire
from app.services import Services, edit_of, tab_of

LEAST_ZIPPED = 1024
MOST_PACKED = 32
FOREVER = "private, max-age=31536000, immutable"


def binary(request: Request, data: bytes) -> Response:
    """`data`, zipped where that is worth it and the browser can unzip it."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if len(data) > LEAST_ZIPPED and "gzip" in request.headers.get("accept-encoding", ""):
        data = gzip.compress(data, compresslevel=1)
        headers["Content-Encoding"] = "gzip"
    return Response(data, media_type=wire.MEDIA_TYPE, headers=headers)


def packed(pictures: list[bytes], kept: str = FOREVER) -> Response:
    """Pictures as one reply: 32-bit words, their count and each one's length, then the files."""
    lengths = struct.pack(f"<{len(pictures) + 1}I", len(pictures), *map(len, pictures))
    return Response(
        b"".join((lengths, *pictures)),
        media_type="application/octet-stream",
        headers={"Cache-Control": kept, "Vary": "Cookie"},
    )


def clip_of(services: Services, target_id: int) -> Clip:
    return services.workspace.clips.get(services.workspace.targets.get(target_id).clip_id)


def applied_json(applied: Applied) -> dict[str, Any]:
    versions = [
        {"layer": layer, "frame_index": frame_index, "version": version}
        for (layer, frame_index), version in applied.versions.items()
    ]
    return {"versions": versions, "edit_id": applied.edit_id, "revision": applied.revision}


def apply_edit(
    services: Services,
    request: Request,
    target_id: int,
    clip_id: int,
    kind: Origin,
    changes: list[MaskChange],
) -> Applied:
    """Save one edit of the person who asked, and tell the other tabs."""
    applied = services.workspace.edits.apply(
        target_id, kind, services.annotator(request), changes, name=edit_of(request)
    )
    say_applied(services, request, clip_id, target_id, applied)
    return applied


def done_before(services: Services, request: Request) -> Applied | None:
    """What was answered to the same edit before: its page got no answer, and asks again."""
    return services.workspace.edits.done(edit_of(request))


def say_applied(
    services: Services, request: Request, clip_id: int, target_id: int, applied: Applied
) -> None:
    frames = [frame_index for _, frame_index in applied.versions]
    services.live.say_masks(clip_id, target_id, frames, applied.revision, tab_of(request))
