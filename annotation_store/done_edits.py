"""Edits that were asked for by a name: done once, however often they are asked for.

A page that got no answer cannot know whether its edit was done, and asks again under the same
name.  The answer is kept in the transaction that does the edit.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from annotation_store.schema import done_edit

KEPT_S = 30 * 24 * 3600.0
"""A page that comes back after a month asks for an edit that is done again."""


def answer_to(connection: Connection, name: str) -> Any:
    """What was answered to the edit called `name`; None while it was not done, or has no name."""
    if not name:
        return None
    return connection.scalar(select(done_edit.c.answer).where(done_edit.c.name == name))


def note_done(connection: Connection, name: str, clip_id: int, answer: Any) -> None:
    """Keep the answer to an edit that is done in this transaction; `answer` as JSON holds it."""
    if name:
        connection.execute(
            insert(done_edit).values(name=name, clip_id=clip_id, at=time.time(), answer=answer)
        )


def forget_old(connection: Connection) -> None:
    """Let go of answers that nobody waits for any more."""
    connection.execute(delete(done_edit).where(done_edit.c.at < time.time() - KEPT_S))
