"""Small tasks for a worker process of the tests: they count, wait, fail, and leave traces."""

from __future__ import annotations

import os
import time
from pathlib import Path

from annotation_store.errors import NotFoundError
from app.workers.process import Steps, Tasks


def make_tasks(folder: Path) -> Tasks:
    def count(upto: int, pause_s: float = 0.0, name: str = "") -> Steps:
        """Yield 1 to `upto`; leaves the file `name` behind when closed early."""
        try:
            for number in range(1, upto + 1):
                time.sleep(pause_s)
                yield number
        except GeneratorExit:
            (folder / name).touch()
            raise
        return upto

    def echo(words: str) -> Steps:
        yield from ()
        return words

    def pid() -> Steps:
        yield from ()
        return os.getpid()

    def refuse() -> Steps:
        yield 1
        raise NotFoundError("There is no such thing.")

    def break_down() -> Steps:
        yield 1
        raise ZeroDivisionError("secret detail")

    return {
        "count": count,
        "echo": echo,
        "pid": pid,
        "refuse": refuse,
        "break_down": break_down,
    }


def cannot_begin(_folder: Path) -> Tasks:
    raise OSError("no room")
