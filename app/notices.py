"""What went wrong, as a sentence for the person, a word for programs, and an HTTP status."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from annotation_store.errors import (
    DuplicateClipError,
    NotFoundError,
    StaleMaskError,
    StoreError,
    WorkspaceBusyError,
    WorkspaceLostError,
    WorkspaceUnusableError,
)
from model.segmenter import ModelError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """`code` is one of stale, missing, duplicate, invalid, refused, model, worker, internal ...

    "busy" with status 503: another program holds the workspace, and trying again helps.
    "workspace-lost": its database is gone, and nothing can be saved until the next start.
    """

    sentence: str
    code: str
    status: int


class RefusedError(Exception):
    """A request or a task cannot be carried out; `notice` says why."""

    def __init__(self, sentence: str, *, code: str = "invalid", status: int = 400) -> None:
        self.notice = Notice(sentence, code, status)
        super().__init__(sentence)

    @classmethod
    def of(cls, notice: Notice) -> RefusedError:
        return cls(notice.sentence, code=notice.code, status=notice.status)


_KNOWN: tuple[tuple[type[Exception], str, int], ...] = (
    (StaleMaskError, "stale", 409),
    (NotFoundError, "missing", 404),
    (DuplicateClipError, "duplicate", 409),
    (WorkspaceBusyError, "busy", 503),
    (WorkspaceLostError, "workspace-lost", 503),
    (WorkspaceUnusableError, "workspace", 503),
    (StoreError, "refused", 422),
    (ModelError, "model", 422),
)


def explain(error: BaseException) -> Notice:
    """The notice for `error`; what nobody foresaw is logged with its trace and given a number."""
    if isinstance(error, RefusedError):
        return error.notice
    for kind, code, status in _KNOWN:
        if isinstance(error, kind):
            return Notice(str(error), code, status)
    number = secrets.token_hex(4)
    log.error("unexpected failure %s", number, exc_info=error)
    return Notice(
        f"Something went wrong inside Refscribe; it was written to the log (id {number}). "
        "What was saved before is safe.",
        "internal",
        500,
    )
