"""What becomes of what jobs deliver: drafts, propagated masks, clips, exports, engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from annotation_store import half_done
from annotation_store.clips import Clip
from annotation_store.edits import MaskChange
from annotation_store.errors import NotFoundError, StaleMaskError
from annotation_store.runs import MaskRuns
from annotation_store.workspace import Workspace
from app.live import Live
from app.work.jobs import Job, State, note_progress
from app.workers.messages import Exported, FrameFilled, SegmentBegun, SegmentProgress
from model.segmenter import ExpressionReport


class DraftKeeper:
    """Saves a segmenter's frames as the draft they belong to."""

    def __init__(self, workspace: Workspace, live: Live, clip: Clip, draft_id: int) -> None:
        self._workspace = workspace
        self._live = live
        self._clip = clip
        self._draft_id = draft_id
        self._frames_done = 0

    def take(self, job: Job, steps: list[Any]) -> None:
        drafts = self._workspace.drafts
        frames: list[tuple[int, bytes, bytes | None]] = []
        for step in steps:
            if isinstance(step, SegmentBegun):
                drafts.note_weights(self._draft_id, step.weights_hash)
                job.message = report_sentence(step.report)
            elif isinstance(step, SegmentProgress):
                if step.ranking is not None:
                    drafts.queries.note(self._draft_id, step.ranking.scores, step.ranking.chosen)
                    drafts.queries.save(self._draft_id, step.queries)
                frames += step.frames
                job.progress(step.done, step.total, step.stage)
        if frames:
            drafts.save_frames(self._draft_id, frames)
            self._frames_done += len(frames)
            self._say([index for index, _, _ in frames])

    def end(self, job: Job, state: State, result: Any) -> None:  # noqa: ARG002
        drafts = self._workspace.drafts
        try:
            if state == "cancelled" and self._frames_done == 0:
                drafts.remove(self._draft_id)
            else:
                drafts.finish(self._draft_id, state, note=job.message)  # type: ignore[arg-type]
        except NotFoundError:
            return  # discarded, or its clip removed, while it was made
        self._say([])
        self._live.say_clip(self._clip.id)

    def _say(self, frames: list[int]) -> None:
        self._live.say(
            {
                "type": "draft",
                "clip_id": self._clip.id,
                "draft_id": self._draft_id,
                "frames_done": self._frames_done,
                "frames": frames,
            }
        )


def report_sentence(report: ExpressionReport) -> str:
    """What the person should know of how an expression is read; "" when all of it is.

    >>> report_sentence(ExpressionReport("the kettle", unknown_words=("kettle",)))
    'This segmenter does not know the word “kettle”.'
    """
    said = []
    if report.cut:
        said.append(f"This segmenter reads only the beginning: “{report.kept_text}”.")
    if report.unknown_words:
        words = ", ".join(f"“{word}”" for word in report.unknown_words)
        plural = "s" if len(report.unknown_words) > 1 else ""
        said.append(f"This segmenter does not know the word{plural} {words}.")
    return " ".join(said)


class MaskKeeper:
    """Saves propagated or repaired masks as one edit, in small batches, as they arrive.

    A frame somebody changed since they were asked for is left as it is.
    """

    def __init__(
        self,
        workspace: Workspace,
        live: Live,
        clip: Clip,
        target_id: int,
        annotator: str,
        kind: Literal["propagation", "repair"],
        seen: dict[int, int],
        note: str = "",
    ) -> None:
        """`seen`: the version each frame in question had when this was asked for; `note` is kept
        with the edit."""
        self._note = note
        self._kind: Literal["propagation", "repair"] = kind
        self._workspace = workspace
        self._live = live
        self._clip = clip
        self._target_id = target_id
        self._annotator = annotator
        self._seen = seen
        self._edit_id: int | None = None
        self._filled = 0
        self._left = 0

    def take(self, job: Job, steps: list[Any]) -> None:
        note_progress(job, steps)
        found = [step for step in steps if isinstance(step, FrameFilled)]
        if not found:
            return
        revision, saved = self._save(found)
        self._filled += len(saved)
        self._left += len(found) - len(saved)
        if self._kind == "propagation":  # a repair tells of frames that stay as they are, too
            job.progress(self._filled + self._left, len(self._seen))
        if saved:
            self._live.say_masks(self._clip.id, self._target_id, saved, revision, tab="")

    def _save(self, found: list[FrameFilled]) -> tuple[int, list[int]]:
        edits = self._workspace.edits
        if self._edit_id is None:
            self._edit_id = edits.start(self._target_id, self._kind, self._annotator, self._note)
        while True:
            changes = self._unchanged(found)
            if not changes:
                return 0, []
            try:
                applied = edits.extend(self._edit_id, changes)
            except StaleMaskError:
                continue  # somebody was faster: look again
            return applied.revision, [frame_index for _, frame_index in applied.versions]

    def _unchanged(self, found: list[FrameFilled]) -> list[MaskChange]:
        masks = self._workspace.masks
        frames = [one.frame_index for one in found]
        now = {
            one.frame_index: one.version
            for one in masks.load_all(self._target_id, frames)
            if one.layer == "target"
        }
        return [
            MaskChange(
                "target",
                one.frame_index,
                MaskRuns(one.rle, self._clip.size),
                self._seen[one.frame_index],
                confidence=one.confidence,
            )
            for one in found
            # A frame that got its first mask since this was asked for was seen by nobody.
            if now.get(one.frame_index, 0) == self._seen.get(one.frame_index)
        ]

    def end(self, job: Job, state: State, result: Any) -> None:  # noqa: ARG002
        if self._left and not job.message:
            plural, was = ("s", "were") if self._left > 1 else ("", "was")
            job.message = f"{self._left} frame{plural} {was} changed meanwhile and left alone."
        job.result = {"frames": self._filled, "left_alone": self._left}


class ClipKeeper:
    """Announces new clips, and removes what was uploaded for them."""

    def __init__(self, live: Live, incoming: list[Path]) -> None:
        self._live = live
        self._incoming = incoming

    def take(self, job: Job, steps: list[Any]) -> None:
        note_progress(job, steps)

    def remove_incoming(self) -> None:
        """Remove what was uploaded."""
        for folder in self._incoming:
            half_done.end(folder)

    def end(self, job: Job, state: State, result: Any) -> None:
        self.remove_incoming()
        if state == "done":
            clip_ids = result if isinstance(result, list) else [result]
            job.clip_id = clip_ids[0]
            job.result = {"clip_ids": clip_ids}
        self._live.say_clips()


class ExportKeeper:
    """Says where an export lies."""

    def take(self, job: Job, steps: list[Any]) -> None:
        note_progress(job, steps)

    def end(self, job: Job, state: State, result: Any) -> None:
        if state == "done" and isinstance(result, Exported):
            name = Path(result.folder).name
            job.result = {
                "name": name,
                "files": result.files,
                "frames": result.frames,
                "checked": result.checked,
                "download": f"/api/exports/{name}.zip",
                "folder": result.folder,
            }


class EngineKeeper:
    """Says that an engine may be ready now."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def take(self, job: Job, steps: list[Any]) -> None:
        note_progress(job, steps)

    def end(self, job: Job, state: State, result: Any) -> None:  # noqa: ARG002
        self._live.say({"type": "engines"})
