"""Where the soft maps of drafts lie, and how they go when the drafts do."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, select

from annotation_store.database import Database
from annotation_store.errors import NotFoundError, StoreError
from annotation_store.schema import draft


def draft_folder(workspace_folder: Path, draft_id: int) -> Path:
    """Everything of a draft that is no row."""
    return workspace_folder / "cache" / "drafts" / str(draft_id)


def folders_of(
    connection: Connection, workspace_folder: Path, chosen: ColumnElement[bool]
) -> list[Path]:
    """Folders of the drafts that are `chosen`, to be deleted once their rows are.

    Ask before the rows go, also where something else takes them along.
    """
    draft_ids = connection.scalars(select(draft.c.id).where(chosen))
    return [draft_folder(workspace_folder, draft_id) for draft_id in draft_ids]


def delete(folders: Iterable[Path]) -> None:
    """Delete folders whose drafts are gone.

    Rows first: files without a row are only room lost, a row without files is a broken draft.
    """
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def require_draft(connection: Connection, draft_id: int) -> str:
    """The state of the draft; NotFoundError when there is none."""
    found = connection.execute(select(draft.c.state).where(draft.c.id == draft_id)).scalar()
    if found is None:
        raise NotFoundError(f"There is no draft {draft_id}; it may have been discarded.")
    return str(found)


@contextmanager
def filling(database: Database, folder: Path, draft_id: int) -> Iterator[None]:
    """Maps are written to a draft's `folder` and then rows, while somebody may discard the draft.

    Raises:
        NotFoundError: the draft was discarded, before or meanwhile; no folder is left.
    """
    try:
        with database.read() as connection:
            require_draft(connection, draft_id)
        yield
    except StoreError:
        with database.read() as connection:
            try:
                require_draft(connection, draft_id)
            except NotFoundError:
                delete([folder])
                raise
        raise


def write_map(path: Path, png: bytes) -> None:
    """Write a soft map whole or not at all.

    Raises:
        StoreError: the disk is full or cannot be written.
    """
    aside = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(png)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StoreError(
            f"The soft map of frame {int(path.stem)} could not be written "
            f"({error.strerror}). Make room on the disk and run the segmenter again."
        ) from error
