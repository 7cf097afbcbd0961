"""Starting a segmenter on an expression, which drafts and comparisons both do."""

from __future__ import annotations

from pydantic import BaseModel

from app.notices import RefusedError
from app.parameters import Seed, Share, Word
from app.services import Services
from app.work.jobs import Job
from app.work.keepers import DraftKeeper
from app.workers.worker import Priority


class Segmentation(BaseModel):
    segmenter: Word | None = None
    seed: Seed = 0
    threshold: Share = 0.5


def require_ready(services: Services, kind: str, name: str) -> str:
    """The title of the segmenter or refiner called `name`, if it can run here."""
    from model import catalog

    offered = catalog.entries(services.settings.checkpoint_names)
    entry = next((one for one in offered if (one.kind, one.name) == (kind, name)), None)
    if entry is None:
        raise RefusedError(f"There is no {kind} called “{name}”.", code="missing", status=404)
    state = catalog.state(name, services.settings.device, services.settings.weights_for(name))
    if not state.ready:
        sentence = f"{entry.title} cannot run here: {state.sentence}."
        raise RefusedError(sentence, code="model", status=422)
    return str(entry.title)


def start_segmentation(services: Services, expression_id: int, wanted: Segmentation) -> Job:
    """Have a segmenter draft masks for an expression; the job knows its draft."""
    workspace = services.workspace
    expression = workspace.expressions.get(expression_id)
    clip = workspace.clips.get(expression.clip_id)
    name = wanted.segmenter or services.settings.segmenter
    title = require_ready(services, "segmenter", name)
    # Which weights these are is known once they are loaded.
    draft = workspace.drafts.start(
        expression_id,
        name,
        "",
        wanted.seed,
        {"clip_frames": clip.frame_count},
        wanted.threshold,
    )
    call = services.models.submit(
        "segment",
        Priority.CLIP,
        clip_id=clip.id,
        frame_count=clip.frame_count,
        size=clip.size,
        segmenter=name,
        expression=expression.text,
        seed=wanted.seed,
        threshold=wanted.threshold,
    )
    job = services.jobs.start(
        "segment",
        f"Segmenting {expression.label} with {title}",
        call,
        DraftKeeper(workspace, services.live, clip, draft.id),
        clip_id=clip.id,
        target_id=expression.target_id,
        draft_id=draft.id,
    )
    services.live.say_clip(clip.id)
    return job
