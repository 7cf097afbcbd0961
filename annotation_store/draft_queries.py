"""Every answer a segmenter gave for a draft, where it gives several; one of them is the draft.

VD-IT asks five queries and keeps the best-scored; a person may take another one instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, literal, select, update

from annotation_store.database import Database
from annotation_store.draft_folders import draft_folder, filling, require_draft, write_map
from annotation_store.errors import NotFoundError, StoreError
from annotation_store.schema import draft_frame, draft_query, draft_query_frame


@dataclass(frozen=True)
class Query:
    """One answer: its place from 0 on, its score, and whether the draft's masks are its."""

    index: int
    score: float
    chosen: bool


class DraftQueries:
    """Masks at the draft's threshold in the database, soft maps in a folder for each query."""

    def __init__(self, database: Database, folder: Path) -> None:
        """`folder` is the workspace's."""
        self._database = database
        self._folder = folder

    def note(self, draft_id: int, scores: Sequence[float], chosen: int) -> None:
        """Keep how the answers of a draft were scored; noting them again changes nothing."""
        rows = [
            {"draft_id": draft_id, "number": number, "score": score, "chosen": number == chosen}
            for number, score in enumerate(scores)
        ]
        with self._database.write() as connection:
            require_draft(connection, draft_id)
            if not _queries(connection, draft_id):
                connection.execute(insert(draft_query), rows)

    def save(
        self, draft_id: int, frames: Iterable[tuple[int, Sequence[tuple[bytes, bytes]]]]
    ) -> None:
        """Keep (frame_index, for each query its COCO counts and soft map as PNG).

        Frames kept before are replaced.
        """
        rows = []
        with filling(self._database, draft_folder(self._folder, draft_id), draft_id):
            for frame_index, answers in frames:
                for number, (rle, png) in enumerate(answers):
                    place = {"draft_id": draft_id, "number": number, "frame_index": frame_index}
                    rows.append({**place, "rle": rle})
                    write_map(self.map_path(draft_id, number, frame_index), png)
            if rows:
                with self._database.write() as connection:
                    require_draft(connection, draft_id)
                    done = {row["frame_index"] for row in rows}
                    connection.execute(
                        draft_query_frame.delete().where(
                            draft_query_frame.c.draft_id == draft_id,
                            draft_query_frame.c.frame_index.in_(done),
                        )
                    )
                    connection.execute(insert(draft_query_frame), rows)

    def list(self, draft_id: int) -> list[Query]:
        """All answers of a draft in order; none where its segmenter gives but one."""
        with self._database.read() as connection:
            require_draft(connection, draft_id)
            return _queries(connection, draft_id)

    def chosen(self, draft_id: int) -> int | None:
        """Which answer the draft's masks are; None where there is but one."""
        query = select(draft_query.c.number).where(
            draft_query.c.draft_id == draft_id, draft_query.c.chosen
        )
        with self._database.read() as connection:
            found: int | None = connection.execute(query).scalar()
        return found

    def choose(self, draft_id: int, index: int) -> None:
        """Make one answer the draft's masks, on all frames at once.

        Raises:
            StoreError: the draft is not finished.
            NotFoundError: it has no such answer.
        """
        with self._database.write() as connection:
            state = require_draft(connection, draft_id)
            if state == "running":
                raise StoreError("This draft is still being made; choose when it is done.")
            if index not in [one.index for one in _queries(connection, draft_id)]:
                raise NotFoundError(f"Draft {draft_id} has no answer {index} to choose.")
            connection.execute(draft_frame.delete().where(draft_frame.c.draft_id == draft_id))
            taken = select(
                literal(draft_id), draft_query_frame.c.frame_index, draft_query_frame.c.rle
            ).where(draft_query_frame.c.draft_id == draft_id, draft_query_frame.c.number == index)
            connection.execute(
                insert(draft_frame).from_select(["draft_id", "frame_index", "rle"], taken)
            )
            connection.execute(
                update(draft_query)
                .where(draft_query.c.draft_id == draft_id)
                .values(chosen=draft_query.c.number == index)
            )

    def map_path(self, draft_id: int, index: int, frame_index: int) -> Path:
        """The PNG of one answer's soft map."""
        return draft_folder(self._folder, draft_id) / f"query-{index}" / f"{frame_index:05d}.png"


def _queries(connection: Connection, draft_id: int) -> list[Query]:
    rows = connection.execute(
        select(draft_query.c.number, draft_query.c.score, draft_query.c.chosen)
        .where(draft_query.c.draft_id == draft_id)
        .order_by(draft_query.c.number)
    )
    return [Query(*row) for row in rows]
