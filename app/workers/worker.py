"""A process beside the web process that does the long work, one step at a time.

Its tasks are generators (`worker_process` runs them).  Before every step the most urgent task is
chosen, so a click waits for one step of a propagation at most.  The process ends when the web
process does, however that ends; when it dies itself, what it had begun is reported as failed and
another one takes its place.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from app.notices import Notice, RefusedError
from app.workers.process import ENDS, FAREWELL_S, Order, Priority, Tasks, Told, work

__all__ = ["ENDS", "Call", "Priority", "Told", "Worker"]

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 10.0
TRIES = 3
"""Deaths in a row after which even tasks that had not begun are given up."""


class Call:
    """One task given to a worker, for the thread that waits for it."""

    def __init__(self, worker: Worker, order: Order) -> None:
        self.order = order
        self._worker = worker
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self.begun = False
        self.cancelled = False
        self.paused = False

    def hear(self, told: Told) -> None:
        """Called by the worker's listener."""
        self.begun = self.begun or told.kind == "begun"
        self._told.put(told)

    def take(self, timeout_s: float | None = None) -> Told | None:
        """The next thing told; None when nothing is within `timeout_s`."""
        try:
            return self._told.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def cancel(self) -> None:
        """Ask for an end; what was told before stands, and "cancelled" is told when it has."""
        self.cancelled = True
        self._worker.cancel(self)

    def pause(self, paused: bool) -> None:
        """Let the task rest after the step it is in, or go on."""
        self.paused = paused
        self._worker.pause(self)

    def result(self, timeout_s: float) -> Any:
        """Wait for the end and return the result.

        Raises:
            RefusedError: the task failed, was cancelled, or took too long.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            told = self.take(max(0.0, deadline - time.monotonic()))
            if told is None:
                self.cancel()
                raise RefusedError(
                    f"The model did not answer within {timeout_s:g} seconds. Try again.",
                    code="slow",
                    status=504,
                )
            if told.kind == "done":
                return told.what
            if told.kind == "failed":
                raise RefusedError.of(told.what)
            if told.kind == "cancelled":
                raise RefusedError("This was cancelled.", code="cancelled", status=409)


class Worker:
    """One process and the calls it is to answer.  Every method may be called from any thread."""

    def __init__(
        self,
        name: str,
        tasks: Callable[[Any], Tasks],
        settings: Any,
        *,
        told: Callable[[str, str], None],
    ) -> None:
        """`tasks(settings)` is called in the process; `told(state, message)` hears up and down."""
        self.name = name
        self._tasks = tasks
        self._settings = settings
        self._told = told
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._calls: dict[int, Call] = {}
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._stopping = threading.Event()
        self._deaths = 0

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def start(self) -> None:
        with self._lock:
            ours, theirs = multiprocessing.get_context("spawn").Pipe()
            process = multiprocessing.get_context("spawn").Process(
                target=work, args=(theirs, self._tasks, self._settings), name=self.name, daemon=True
            )
            with _deaf_to_interrupts():
                process.start()
            theirs.close()
            self._process, self._connection = process, ours
            for call in self._calls.values():
                self._send(("order", call.order))
                if call.paused:
                    self.pause(call)
        threading.Thread(
            target=self._listen, args=(process, ours), name=f"{self.name} listener", daemon=True
        ).start()

    def stop(self) -> None:
        """End the process; it may finish the step it is in for a moment."""
        self._stopping.set()
        with self._lock:
            process, connection = self._process, self._connection
        if process is None or connection is None:
            return
        self._send(("end", None))
        process.join(FAREWELL_S)
        if process.is_alive():
            process.kill()
            process.join(1)
        connection.close()

    def submit(self, task: str, priority: Priority, **arguments: Any) -> Call:
        with self._lock:
            order = Order(next(self._numbers), task, arguments, priority)
            call = Call(self, order)
            self._calls[order.id] = call
            self._send(("order", order))
        return call

    def cancel(self, call: Call) -> None:
        self._send(("cancel", call.order.id))

    def pause(self, call: Call) -> None:
        self._send(("pause" if call.paused else "resume", call.order.id))

    def _send(self, message: tuple[str, Any]) -> None:
        with self._lock:
            if self._connection is None:
                return
            # A dead process is noticed by the listener; orders are sent again to the next one.
            with contextlib.suppress(OSError, ValueError):
                self._connection.send(message)

    def _listen(self, process: BaseProcess, connection: Connection) -> None:
        while True:
            try:
                number, told = connection.recv()
            except (EOFError, OSError):
                break
            if told.kind == "begun" and number == 0:
                self._told("up", "")
                continue
            with self._lock:
                call = self._calls.get(number)
                if told.kind in ENDS:
                    self._calls.pop(number, None)
                    self._deaths = 0
            if call is not None:
                call.hear(told)
        if not self._stopping.is_set():
            self._replace(process)

    def _replace(self, process: BaseProcess) -> None:
        process.join(5)
        reason = _reason(self.name, process.exitcode)
        log.warning("%s", reason)
        with self._lock:
            self._connection = None
            self._deaths += 1
            hopeless = self._deaths >= TRIES
            lost = [
                call for call in self._calls.values() if call.begun or call.cancelled or hopeless
            ]
            for call in lost:
                del self._calls[call.order.id]
            pause = min(LONGEST_PAUSE_S, 0.25 * 2 ** (self._deaths - 1)) if self._deaths > 1 else 0
        self._told("down", reason)
        for call in lost:
            waiting = call.cancelled and not call.begun
            told = Told("cancelled") if waiting else Told("failed", Notice(reason, "worker", 503))
            call.hear(told)
        if not self._stopping.wait(pause):
            self.start()


def _reason(name: str, exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        with contextlib.suppress(ValueError):
            stop = signal.Signals(-exitcode).name
            memory = ", as the system does when memory runs out" if stop == "SIGKILL" else ""
            return f"The {name} process was stopped ({stop}{memory}); it is being started again."
    return f"The {name} process ended (code {exitcode}); it is being started again."


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process started inside never sees Ctrl-C: the terminal sends it to the whole group."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
