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

    def fall(how: int, times: int, deafly: bool = False) -> Steps:
        """Send itself the signal `how` the first `times` it runs; a mark is left of each run."""
        yield from ()
        marks = len(list(folder.glob("fall-*")))
        (folder / f"fall-{marks}").touch()
        if marks < times:
            if deafly:
                os.closerange(3, 256)
            os.kill(os.getpid(), how)
        return marks

    def attention(target_id: int) -> Steps:
        """Looks at the target's frames for ever."""
        (folder / f"looking-{target_id}").touch()
        return count(10**9, pause_s=0.05, name=f"left-{target_id}")

    return {
        "attention": attention,
        "count": count,
        "fall": fall,
        "echo": echo,
        "pid": pid,
        "refuse": refuse,
        "break_down": break_down,
    }


def begins_at_last(folder: Path) -> Tasks:
    """Fails to begin twice."""
    marks = len(list(folder.glob("begun-*")))
    (folder / f"begun-{marks}").touch()
    if marks < 2:
        raise OSError("no room yet")
    return make_tasks(folder)


def cannot_begin(_folder: Path) -> Tasks:
    raise OSError("no room")
