"""The folder that holds everything of one dataset."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from sqlalchemy import Connection

from annotation_store.clips import Clips
from annotation_store.database import Database
from annotation_store.done_edits import forget_old
from annotation_store.drafts import Drafts
from annotation_store.edits import Edits
from annotation_store.errors import WorkspaceUnusableError
from annotation_store.expressions import Expressions
from annotation_store.frames import FrameStore
from annotation_store.masks import Masks
from annotation_store.schema import STEPS, Step
from annotation_store.targets import Targets

FOLDERS = ("clips", "cache/drafts", "exports", "incoming")
LEFT_BEHIND_S = 24 * 3600.0


class Workspace:
    """Opened by as many threads and processes as like; each opens its own."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
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
        database_url: str | None = None,
        *,
        steps: Sequence[Step] = STEPS,
    ) -> Workspace:
        """Open the workspace in `folder`, making it if there is none.

        The database is `refscribe.sqlite` in it unless a SQLAlchemy URL says otherwise.

        Raises:
            WorkspaceUnusableError: the folder cannot be written, or its database not used.
            NewerWorkspaceError: a newer Refscribe made it.
        """
        folder = Path(folder).expanduser().absolute()
        _make_folders(folder)
        url = database_url or f"sqlite:///{folder / 'refscribe.sqlite'}"
        workspace = cls(folder, Database.open(url, steps=steps))
        workspace.drafts.fail_abandoned(_is_alive)
        with workspace._database.write() as connection:
            forget_old(connection)
        _clear_left_behind(folder / "incoming")
        return workspace

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


def _clear_left_behind(incoming: Path) -> None:
    """Remove uploads and half-done imports that nobody has touched for a day."""
    for entry in incoming.iterdir():
        try:
            old = time.time() - entry.stat().st_mtime > LEFT_BEHIND_S
            if old and entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif old:
                entry.unlink()
        except FileNotFoundError:
            continue  # another process was faster


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
