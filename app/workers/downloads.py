"""Fetching weights: a process for each engine, so that it can be ended at any moment.

The process ends when the web process does, however that ends.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from app.notices import Notice, explain
from app.workers.line import spawned
from app.workers.messages import Progress
from app.workers.process import ENDS, NICENESS, Told
from model import better_tools, catalog, download, hub
from model.segmenter import ModelError

log = logging.getLogger(__name__)

GONE_WITHIN_S = 10.0


class Download:
    """One engine's weights on their way, followed by a job as a worker's call is."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._cancelled = False
        self._is_over = False

    def take(self, timeout_s: float | None = None) -> Told | None:
        """The next thing told; None when nothing is within `timeout_s`."""
        try:
            return self._told.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def cancel(self) -> None:
        """End it, whatever it does just now; what was there before it began stands."""
        with self._lock:
            self._cancelled = True
            if self._process is None:
                self._end(Told("cancelled"))  # it waits for its turn
            else:
                self._process.kill()

    def pause(self, paused: bool) -> None:
        """The hub's library cannot go on with a part later."""
        raise NotImplementedError

    def run(self) -> None:
        """Fetch, and tell how far it is, until the end."""
        try:
            with self._lock:
                if self._is_over:
                    return
                self._process, connection = spawned("download", _fetch_engine, self.engine)
        except Exception as error:  # noqa: BLE001  # told to the person by `explain`
            self._end(Told("failed", explain(error)))
            return
        self._told.put(Told("begun"))
        end = self._hear(connection)
        connection.close()
        self._process.join(GONE_WITHIN_S)
        try:
            download.clear_leftovers(_repositories(self.engine))
        finally:
            self._end(end or self._loss())

    def _hear(self, connection: Connection) -> Told | None:
        """What the process says, until its last word; None if it had none."""
        while True:
            try:
                told: Told = connection.recv()
            except (EOFError, OSError):
                return None
            if told.kind in ENDS:
                return told
            self._told.put(told)

    def _loss(self) -> Told:
        if self._cancelled:
            return Told("cancelled")
        sentence = "The download was stopped from outside. What was there before it began stands; "
        return Told("failed", Notice(sentence + "try again.", "worker", 503))

    def _end(self, told: Told) -> None:
        if not self._is_over:
            self._is_over = True
            self._told.put(told)


class Downloads:
    """Downloads one after the other, in the order they were asked for."""

    def __init__(self) -> None:
        self._line = ThreadPoolExecutor(1, "downloads")
        self._submitted: list[Download] = []

    def start(self) -> None:
        """Clear away what killed downloads left."""
        engines = [one.name for one in catalog.entries() if one.download_bytes]
        self._line.submit(
            download.clear_leftovers, {each for name in engines for each in _repositories(name)}
        )

    def submit(self, engine: str) -> Download:
        asked = Download(engine)
        self._submitted.append(asked)
        self._line.submit(asked.run).add_done_callback(lambda _: self._submitted.remove(asked))
        return asked

    def stop(self) -> None:
        """End those under way, and those that wait."""
        for asked in list(self._submitted):
            asked.cancel()
        self._line.shutdown(cancel_futures=True)


def _repositories(engine: str) -> set[str]:
    return {need.repository for need in hub.needs(engine)}


def _fetch_engine(connection: Connection, engine: str) -> None:
    """The process: fetch what `engine` needs, and say how far it is and how it ended."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # before the hub's library is imported
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()

    def say(done: int, total: int, stage: str) -> None:
        connection.send(Told("step", Progress(done, total, stage)))

    try:
        say(0, 0, "Asking the hub")
        download.fetch(better_tools.plan(engine), say)
        told = Told("done")
    except ModelError as error:
        told = Told("failed", _advised(error, engine))
    except Exception as error:  # noqa: BLE001  # told to the person by `explain`
        told = Told("failed", explain(error))
    connection.send(told)
    connection.close()
    os._exit(0)


def _advised(error: ModelError, engine: str) -> Notice:
    notice = explain(error)
    said = f"{notice.sentence} {catalog.other_ways(engine)}"
    return Notice(said, notice.code, notice.status)


def _end_with(connection: Any) -> None:
    """Nobody waits for weights when the web process is gone."""
    try:
        connection.recv()
    except (EOFError, OSError):
        os._exit(1)
