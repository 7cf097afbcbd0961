"""The texts that refer to targets, each by one annotator."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from annotation_store import draft_folders
from annotation_store.database import Database, new_id
from annotation_store.errors import NotFoundError
from annotation_store.names import clean_text
from annotation_store.schema import draft, expression
from annotation_store.targets import get_target

LONGEST = 1000


@dataclass(frozen=True)
class Expression:
    """`label` is a letter per annotator of the clip and a number: A1, A2, B1."""

    id: int
    clip_id: int
    target_id: int
    label: str
    text: str
    annotator: str
    created_at: float


def _expression(row: Row[Any]) -> Expression:
    return Expression(**row._mapping)


def get_expression(connection: Connection, expression_id: int) -> Expression:
    """The expression inside a transaction already begun; NotFoundError when there is none."""
    row = connection.execute(select(expression).where(expression.c.id == expression_id)).first()
    if row is None:
        raise NotFoundError(f"There is no expression {expression_id}; it may have been removed.")
    return _expression(row)


def expressions_of(connection: Connection, clip_id: int) -> list[Expression]:
    """All expressions of a clip, by target and then in the order they were typed."""
    query = (
        select(expression)
        .where(expression.c.clip_id == clip_id)
        .order_by(expression.c.target_id, expression.c.id)
    )
    return [_expression(row) for row in connection.execute(query)]


def next_label(taken: Iterable[tuple[str, str]], annotator: str) -> str:
    """The label of an annotator's next expression, given (annotator, label) of those there are.

    >>> next_label([("ana", "A1"), ("ben", "B1")], "ana")
    'A2'
    >>> next_label([("ana", "A1")], "ben")
    'B1'
    """
    letters: dict[str, str] = {}
    highest: dict[str, int] = {}
    for who, label in taken:
        letter = label.rstrip("0123456789")
        letters[who] = letter
        highest[letter] = max(highest.get(letter, 0), int(label[len(letter) :]))
    if annotator not in letters:
        place = 0
        while _letter(place) in letters.values():
            place += 1
        letters[annotator] = _letter(place)
    letter = letters[annotator]
    return f"{letter}{highest.get(letter, 0) + 1}"


def _letter(place: int) -> str:
    """A to Z, then AA, AB and so on."""
    before, last = divmod(place, 26)
    return ("" if before == 0 else _letter(before - 1)) + chr(ord("A") + last)


class Expressions:
    def __init__(self, database: Database, folder: Path) -> None:
        """`folder` is the workspace's."""
        self._database = database
        self._folder = folder

    def add(self, target_id: int, text: str, annotator: str) -> Expression:
        text = clean_text(text, "an expression", longest=LONGEST)
        annotator = clean_text(annotator, "an annotator's name", longest=100)
        with self._database.write() as connection:
            clip_id = get_target(connection, target_id).clip_id
            taken = connection.execute(
                select(expression.c.annotator, expression.c.label).where(
                    expression.c.clip_id == clip_id
                )
            )
            result = connection.execute(
                expression.insert().values(
                    clip_id=clip_id,
                    target_id=target_id,
                    label=next_label([(row[0], row[1]) for row in taken], annotator),
                    text=text,
                    annotator=annotator,
                    created_at=time.time(),
                )
            )
            return get_expression(connection, new_id(result))

    def list(self, clip_id: int) -> list[Expression]:
        """All expressions of a clip, by target and then in the order they were typed."""
        with self._database.read() as connection:
            return expressions_of(connection, clip_id)

    def get(self, expression_id: int) -> Expression:
        with self._database.read() as connection:
            return get_expression(connection, expression_id)

    def update(self, expression_id: int, text: str) -> Expression:
        """Change the text; drafts keep the text they were made with."""
        text = clean_text(text, "an expression", longest=LONGEST)
        with self._database.write() as connection:
            get_expression(connection, expression_id)
            connection.execute(
                expression.update().where(expression.c.id == expression_id).values(text=text)
            )
            return get_expression(connection, expression_id)

    def remove(self, expression_id: int) -> None:
        """Remove an expression with its drafts; masks belong to the target and stay."""
        with self._database.write() as connection:
            get_expression(connection, expression_id)
            folders = draft_folders.folders_of(
                connection, self._folder, draft.c.expression_id == expression_id
            )
            connection.execute(expression.delete().where(expression.c.id == expression_id))
        draft_folders.delete(folders)
