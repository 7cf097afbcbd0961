"""What can go wrong in the store, each as a sentence for the person at the page."""

from __future__ import annotations


class StoreError(Exception):
    """Base of everything the store refuses; its text is written for the person."""


class NotFoundError(StoreError):
    """A row or a file that was asked for is not there."""


class IngestError(StoreError):
    """A source could not become a clip; nothing of it was kept."""


class DuplicateClipError(IngestError):
    """The same source, with the same trim and crop, is already the clip `clip_id`."""

    def __init__(self, clip_id: int, clip_name: str) -> None:
        self.clip_id = clip_id
        self.clip_name = clip_name
        super().__init__(
            f"This source is already in the workspace as the clip “{clip_name}”. "
            "Open that clip, or say that you want a second copy."
        )


class ExportError(StoreError):
    """The export could not be made or did not pass its check; no folder was left."""
