"""What can go wrong in the store, each as a sentence for the person at the page."""

from __future__ import annotations

from pathlib import Path


class StoreError(Exception):
    """Base of everything the store refuses; its text is written for the person."""


class NotFoundError(StoreError):
    """A row or a file that was asked for is not there."""


class IngestError(StoreError):
    """A source could not become a clip; nothing of it was kept."""


class DuplicateClipError(IngestError):
    """The same source, with the same trim and crop, is the clip `clip_id` already."""

    def __init__(self, clip_id: int, name: str) -> None:
        self.clip_id = clip_id
        super().__init__(
            f"This source is already in the workspace as the clip “{name}”. "
            "Open that clip, or say that you want a second copy."
        )


class ExportError(StoreError):
    """The export could not be made or did not pass its check; no folder was left."""


class StaleMaskError(StoreError):
    """The mask changed between reading it and saving an edit of it."""

    def __init__(self, frame_index: int, *, seen: int, stored: int) -> None:
        self.frame_index = frame_index
        self.seen = seen
        self.stored = stored
        super().__init__(
            f"Frame {frame_index} was changed elsewhere: you edited version {seen}, "
            f"the store holds version {stored}. Reload the frame and repeat the edit."
        )


class WorkspaceUnusableError(StoreError):
    """The workspace cannot be opened here."""


class WorkspaceBusyError(StoreError):
    """Another program holds the database; nothing was changed, and trying again helps."""

    def __init__(self) -> None:
        super().__init__(
            "The workspace is busy: another program holds it. Nothing was changed; try again in "
            "a moment."
        )


class WorkspaceLostError(StoreError):
    """The database's file is not what was opened any more; nothing can be saved to it."""

    def __init__(self, path: Path, what: str) -> None:
        self.what = what
        super().__init__(
            f"The workspace's database {path} {what} while Refscribe was running, so nothing can "
            "be saved to it. End Refscribe, put the file back or restore a copy of it, and start "
            "again."
        )


class NewerWorkspaceError(WorkspaceUnusableError):
    """The workspace was made by a newer Refscribe."""

    def __init__(self, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(
            f"This workspace was made by a newer Refscribe (its version is {found}, this program "
            f"knows up to {known}). Update Refscribe, or open another workspace."
        )
