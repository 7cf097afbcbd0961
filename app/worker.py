"""A process beside the web process that does the long work, one step at a time.

Its tasks are generators.  Before every step the most urgent task is chosen, so a click waits for
one step of a propagation at most.  The process ends when the web process does, however that ends;
when it dies itself, what it had begun is reported as failed and another one takes its place.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Literal, Protocol

from app.notices import Notice, RefusedError, explain

log = logging.getLogger(__name__)

NICENESS = 2  # the web process comes first where cores are scarce
FAREWELL_S = 0.8
LONGEST_PAUSE_S = 10.0
TRIES = 3
"""Deaths in a row after which even tasks that had not begun are given up."""

Steps = Generator[Any, None, Any]
"""Yields what is told on the way (None for nothing) and returns the result."""
Task = Callable[..., Steps]
Tasks = Mapping[str, Task]


class Priority(IntEnum):
    """Which task takes the next step; the lowest does."""

    CLICK = 0
    PROPAGATION = 1
    CLIP = 2
    AHEAD = 3


ToldKind = Literal["begun", "step", "done", "failed", "cancelled"]
ENDS: frozenset[ToldKind] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True)
class Told:
    """What the worker says of a task: `what` is a step, a result, or a Notice if it failed."""

    kind: ToldKind
    what: Any = None


@dataclass(frozen=True)
class _Order:
    """One task as it is sent: the name of a function of the worker, and its arguments."""

    id: int
    task: str
    arguments: Mapping[str, Any]
    priority: Priority


# -- in the web process ------------------------------------------------------------------------


class Call:
    """One task given to a worker, for the thread that waits for it."""

    def __init__(self, worker: Worker, order: _Order) -> None:
        self.order = order
        self._worker = worker
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self.begun = False
        self.cancelled = False

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
            order = _Order(next(self._numbers), task, arguments, priority)
            call = Call(self, order)
            self._calls[order.id] = call
            self._send(("order", order))
        return call

    def cancel(self, call: Call) -> None:
        self._send(("cancel", call.order.id))

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


# -- in the worker process ---------------------------------------------------------------------


@dataclass(order=True)
class _Running:
    priority: int
    number: int
    order: _Order = field(compare=False)
    steps: Steps | None = field(default=None, compare=False)


class Schedule:
    """The tasks at hand, for a thread that adds and one that works."""

    def __init__(self) -> None:
        self._heap: list[_Running] = []
        self._cancelled: set[int] = set()
        self._changed = threading.Condition()
        self.ending = False

    def put(self, running: _Running) -> None:
        with self._changed:
            heapq.heappush(self._heap, running)
            self._changed.notify()

    def cancel(self, number: int) -> None:
        with self._changed:
            self._cancelled.add(number)
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self.ending = True
            self._changed.notify()

    def take(self) -> tuple[_Running, bool] | None:
        """The task to advance and whether it was cancelled instead; None at the end.

        Cancelled ones come first, so that nobody waits for them behind other work.
        """
        with self._changed:
            while not self._heap and not self.ending:
                # What was cancelled has ended by itself when nothing is left to do.
                self._cancelled.clear()
                self._changed.wait()
            if self.ending:
                return None
            for running in self._heap:
                if running.number in self._cancelled:
                    self._cancelled.discard(running.number)
                    self._heap.remove(running)
                    heapq.heapify(self._heap)
                    return running, True
            return heapq.heappop(self._heap), False

    def rest(self) -> list[_Running]:
        """What is left when the end has come."""
        with self._changed:
            return list(self._heap)


class _Sends(Protocol):
    def __call__(self, number: int, told: Told) -> None: ...


def work(connection: Connection, tasks: Callable[[Any], Tasks], settings: Any) -> None:
    """The worker process: take orders until the other end of the connection closes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    schedule = Schedule()
    threading.Thread(target=_listen, args=(connection, schedule), daemon=True).start()

    def send(number: int, told: Told) -> None:
        try:
            connection.send((number, told))
        except OSError:
            schedule.end()  # nobody is left to work for

    advance(schedule, tasks(settings), send)
    connection.close()
    # Nothing is left to do; taking torch down in good order would take a second.
    logging.shutdown()
    os._exit(0)


def _listen(connection: Connection, schedule: Schedule) -> None:
    while True:
        try:
            kind, what = connection.recv()
        except (EOFError, OSError):
            break
        if kind == "order":
            schedule.put(_Running(what.priority, what.id, what))
        elif kind == "cancel":
            schedule.cancel(what)
        else:
            break
    schedule.end()
    # A step that takes long must not outlive the web process.
    time.sleep(FAREWELL_S)
    os._exit(0)


def advance(schedule: Schedule, tasks: Tasks, send: _Sends) -> None:
    """Advance the most urgent task by one step, again and again, until the end."""
    send(0, Told("begun"))
    while (taken := schedule.take()) is not None:
        running, cancelled = taken
        if cancelled:
            _close(running)
            send(running.number, Told("cancelled"))
            continue
        try:
            if running.steps is None:
                send(running.number, Told("begun"))
                running.steps = tasks[running.order.task](**running.order.arguments)
            said = next(running.steps)
        except StopIteration as finished:
            send(running.number, Told("done", finished.value))
        except Exception as error:  # noqa: BLE001  # whatever it is, the person must hear of it
            send(running.number, Told("failed", explain(error)))
        else:
            if said is not None:
                send(running.number, Told("step", said))
            schedule.put(running)
    for running in schedule.rest():
        _close(running)


def _close(running: _Running) -> None:
    """Let a task clear away what it has half done."""
    if running.steps is None:
        return
    try:
        running.steps.close()
    except Exception:
        log.exception("a cancelled task did not end well")
