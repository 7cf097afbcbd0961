"""Whether the database's file is still the one that was opened."""

from __future__ import annotations

from pathlib import Path

from annotation_store.errors import WorkspaceLostError


class DatabaseFile:
    """SQLite goes on with a file that was taken away, and whoever relies on it loses their work.

    Only what the folder says of the file is looked at.  The file itself must not be opened beside
    SQLite: closing it would take away the locks that SQLite holds in this process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        status = path.stat()
        self._identity = (status.st_dev, status.st_ino)
        self._size = status.st_size
        self._lost: WorkspaceLostError | None = None

    def require_there(self) -> None:
        """Costs microseconds.

        Raises:
            WorkspaceLostError: the file was removed, replaced or cut short, now or before.
        """
        if self._lost is None:
            what = self._what_happened()
            if what is None:
                return
            self._lost = WorkspaceLostError(self.path, what)
        raise WorkspaceLostError(self.path, self._lost.what)

    def _what_happened(self) -> str | None:
        try:
            status = self.path.stat()
        except OSError:
            return "was removed, or its folder cannot be reached,"
        if (status.st_dev, status.st_ino) != self._identity:
            return "was replaced by another"
        if status.st_size < self._size:  # a database of ours never shrinks
            return "was cut short or overwritten"
        self._size = status.st_size
        return None
