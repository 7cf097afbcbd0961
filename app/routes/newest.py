"""The newest question of each tab: an older one is not worth an answer any more."""

from __future__ import annotations

import threading
from collections.abc import Callable

MOST_TABS = 100


class AskedAnewError(Exception):
    """The tab that waits for this answer has asked another question since."""


def _nothing() -> None:
    """Nothing has to be cancelled, or nobody asks anew."""


class Newest:
    """What each tab asked last.  May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancels: dict[str, Callable[[], None]] = {}

    def ask(self, tab: str, cancel: Callable[[], None] = _nothing) -> Callable[[], None]:
        """Take the place of the tab's question before, which is cancelled.

        Returns what raises AskedAnewError once the tab asks again; a program has no tab ("") and
        waits for its answer.
        """
        if not tab:
            return _nothing
        mine = _Once(cancel)
        with self._lock:
            before = self._cancels.pop(tab, None)
            self._cancels[tab] = mine
            while len(self._cancels) > MOST_TABS:
                del self._cancels[next(iter(self._cancels))]
        if before is not None:
            before()
        return mine.require_newest

    def take_back(self, tab: str) -> None:
        """The tab does not want its answer any more."""
        with self._lock:
            cancel = self._cancels.pop(tab, None)
        if cancel is not None:
            cancel()


class _Once:
    """A question's cancelling, which also says that it happened."""

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._is_over = False

    def __call__(self) -> None:
        self._is_over = True
        self._cancel()

    def require_newest(self) -> None:
        if self._is_over:
            raise AskedAnewError
