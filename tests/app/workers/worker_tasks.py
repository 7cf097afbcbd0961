"""Small tasks for a worker process of the tests: they count, wait, fail, and leave traces."""

from __future__ import annotations

import os
import time
from pathlib import Path

from annotation_store.errors import NotFoundError
from annotation_store.frames import FrameStore
from app.workers.process import Steps, Tasks
from model.segmenter import TextSegmenter


class Unreadable:
    """Can be written to a pipe, and not be read from it."""

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return int, ("no number",)


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


def toy_models(folder: Path) -> Tasks:
    """The model worker's own tasks with a toy refiner, and how often it has encoded a picture."""
    from app.workers.model_tasks import tasks_with
    from app.workers.models import Models
    from model.refiners.memory_refiner import MemoryRefiner
    from tests.model.refiners.toy_sam2 import toy_network

    network = toy_network()

    def no_segmenter(name: str) -> TextSegmenter:
        raise NotFoundError(f"There is no {name}.")

    def encoded() -> Steps:
        yield from ()
        return network.embedded

    refiner = MemoryRefiner("toy", network)
    models = Models(FrameStore(folder), no_segmenter, lambda _: refiner)
    return {**tasks_with(models), "encoded": encoded}


def begins_at_last(folder: Path) -> Tasks:
    """Fails to begin twice."""
    marks = len(list(folder.glob("begun-*")))
    (folder / f"begun-{marks}").touch()
    if marks < 2:
        raise OSError("no room yet")
    return make_tasks(folder)


def cannot_begin(_folder: Path) -> Tasks:
    raise OSError("no room")
