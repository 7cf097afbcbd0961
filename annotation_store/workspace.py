"""The folder that holds everything of one dataset."""

from __future__ import annotations

import os
import secrets
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection, select

from annotation_store import half_done
from annotation_store.clips import Clips
from annotation_store.database import LONG_WORK_S, Database
from annotation_store.done_edits import forget_old
from annotation_store.drafts import Drafts
from annotation_store.edits import Edits
from annotation_store.errors import WorkspaceUnusableError
from annotation_store.expressions import Expressions
from annotation_store.frames import FrameStore
from annotation_store.masks import Masks
from annotation_store.migrations import bring_up_to_date
from annotation_store.schema import facts
from annotation_store.targets import Targets

FOLDERS = ("clips", "cache/drafts", "exports", "incoming")


class Workspace:
    """Opened by as many threads and processes as like; each opens its own."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.cleared = ""  # what was found half done when it was opened, as a sentence
        self._database = database
        self.frames = FrameStore(folder)
        self.clips = Clips(database, folder)
        self.targets = Targets(database, folder)
        self.expressions = Expressions(database, folder)
        self.masks = Masks(database)
        self.edits = Edits(database)
        self.drafts = Drafts(database, folder, clips=self.clips, masks=self.masks, edits=self.edits)

    @classmethod
    def open(
        cls,
        folder: Path | str,
        *,
        patience_s: float = LONG_WORK_S,
    ) -> Workspace:
        """Open the workspace in `folder`, making it if there is none.

        Whatever finds another program writing waits `patience_s` for it.

        Raises:
            WorkspaceUnusableError: the folder cannot be written, or its database not used.
            WorkspaceBusyError: another program holds the database.
            NewerWorkspaceError: a newer Refscribe made it.
        """
        folder = Path(folder).expanduser().absolute()
        _make_folders(folder)
        database = Database.open(folder / "refscribe.sqlite", patience_s=patience_s)
        workspace = cls(folder, database)
        try:
            bring_up_to_date(database)
            workspace.drafts.fail_abandoned()
            with database.write() as connection:
                forget_old(connection)
            workspace.cleared = half_done.clear([folder / "incoming", folder / "exports"])
        except BaseException:
            database.close()
            raise
        return workspace

    def identity(self) -> str:
        """A word no other workspace has, not even one made later in the same folder."""
        query = select(facts.c.value).where(facts.c.name == "workspace_id")
        with self._database.read() as connection:
            found: str | None = connection.scalar(query)
        if found is None:
            with self._database.write() as connection:
                found = connection.scalar(query)  # another program may have been faster
                if found is None:
                    found = secrets.token_hex(8)
                    connection.execute(facts.insert().values(name="workspace_id", value=found))
        return found

    def read(self) -> AbstractContextManager[Connection]:
        """A transaction for reading: everything read in it is of one moment."""
        return self._database.read()

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


def _make_folders(folder: Path) -> None:
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        probe = folder / "incoming" / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise WorkspaceUnusableError(
            f"The workspace folder {folder} cannot be written ({error.strerror or error}). "
            "Choose another folder with --workspace, or change its permissions."
        ) from error
