"""Whether the database's file is still the one that was opened."""

from __future__ import annotations

import threading
from pathlib import Path

from annotation_store.errors import StoreError, WorkspaceLostError


class DatabaseFile:
    """SQLite goes on with a file that was taken away, and whoever relies on it loses their work.

    Only what the folder says of the file is looked at.  The file itself must not be opened beside
    SQLite: closing it would take away the locks that SQLite holds in this process.

    Safe from many threads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        status = path.stat()
        self._identity = (status.st_dev, status.st_ino)
        self._size = status.st_size  # the largest seen
        self._growing = threading.Lock()
        self._lost: WorkspaceLostError | None = None

    def require_there(self) -> None:
        """Costs microseconds.

        Raises:
            WorkspaceLostError: the file was removed, replaced or cut short, now or before.
            StoreError: nothing can be said of it, which may pass.
        """
        if self._lost is None:
            what = self._what_happened()
            if what is None:
                return
            self._lost = WorkspaceLostError(self.path, what)
        raise WorkspaceLostError(self.path, self._lost.what)

    def _what_happened(self) -> str | None:
        known = self._size  # before looking: another thread may see it grow meanwhile
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return "was removed"
        except OSError as error:
            raise StoreError(
                f"The workspace's database {self.path} cannot be reached "
                f"({error.strerror or error}). Try again in a moment."
            ) from error
        if (status.st_dev, status.st_ino) != self._identity:
            return "was replaced by another"
        if status.st_size < known:  # a database of ours never shrinks unless vacuumed
            return "was cut short or overwritten"
        with self._growing:
            self._size = max(self._size, status.st_size)
        return None
