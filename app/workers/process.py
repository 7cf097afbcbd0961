"""The worker process itself: take orders, advance the most urgent task, tell what it says."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from multiprocessing.connection import Connection
from typing import Any, Literal, Protocol

from app.notices import explain

log = logging.getLogger(__name__)

NICENESS = 10  # the web process and the browser come first where cores are scarce
BEAT_S = 1.0
"""How often the process says that it lives; a thread says so, whatever step is under way."""
FAREWELL_S = 0.8
"""How long a step may go on when the end was asked for."""

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


ToldKind = Literal["alive", "begun", "step", "done", "failed", "cancelled"]
ENDS: frozenset[ToldKind] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True)
class Told:
    """What the worker says of a task: `what` is a step, a result, or a Notice if it failed.

    Of itself, as task 0, it says that it has begun and that it is alive.
    """

    kind: ToldKind
    what: Any = None


@dataclass(frozen=True)
class Order:
    """One task as it is sent: the name of a function of the worker, and its arguments."""

    id: int
    task: str
    arguments: Mapping[str, Any]
    priority: Priority


@dataclass(order=True)
class _Running:
    priority: int
    number: int
    order: Order = field(compare=False)
    steps: Steps | None = field(default=None, compare=False)


class Schedule:
    """The tasks at hand, for a thread that adds and one that works."""

    def __init__(self) -> None:
        self._waiting: list[_Running] = []
        self._cancelled: set[int] = set()
        self._paused: set[int] = set()
        self._changed = threading.Condition()
        self.ending = False

    def put(self, running: _Running) -> None:
        with self._changed:
            self._waiting.append(running)
            self._changed.notify()

    def pause(self, number: int, paused: bool) -> None:
        """Let a task rest between two steps, or go on."""
        with self._changed:
            if paused:
                self._paused.add(number)
            else:
                self._paused.discard(number)
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
            while not self.ending:
                if not self._waiting:
                    # What was cancelled has ended by itself when nothing is left to do.
                    self._cancelled.clear()
                    self._paused.clear()
                for running in self._waiting:
                    if running.number in self._cancelled:
                        self._waiting.remove(running)
                        self._cancelled.discard(running.number)
                        self._paused.discard(running.number)
                        return running, True
                ready = [one for one in self._waiting if one.number not in self._paused]
                if ready:
                    chosen = min(ready)
                    self._waiting.remove(chosen)
                    return chosen, False
                self._changed.wait()
            return None

    def rest(self) -> list[_Running]:
        """What is left when the end has come."""
        with self._changed:
            return list(self._waiting)


class _Sends(Protocol):
    def __call__(self, number: int, told: Told) -> None: ...


def work(connection: Connection, tasks: Callable[[Any], Tasks], settings: Any) -> None:
    """The worker process: take orders until the other end of the connection closes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    # Threads of torch that wait for each other must sleep: spinning, they take the cores from
    # the browser, the web process and OpenVINO's threads, and triple the time of all.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    schedule = Schedule()
    threading.Thread(target=_listen, args=(connection, schedule), daemon=True).start()

    sending = threading.Lock()

    def send(number: int, told: Told) -> None:
        try:
            with sending:
                connection.send((number, told))
        except OSError:
            schedule.end()  # nobody is left to work for

    threading.Thread(target=_beat, args=(send, schedule), daemon=True).start()
    advance(schedule, tasks(settings), send)
    connection.close()
    # Nothing is left to do; taking torch down in good order would take a second.
    logging.shutdown()
    os._exit(0)


def _beat(send: _Sends, schedule: Schedule) -> None:
    while not schedule.ending:
        send(0, Told("alive"))
        time.sleep(BEAT_S)


def _listen(connection: Connection, schedule: Schedule) -> None:
    try:
        while _hear(connection, schedule):
            pass
    except (EOFError, OSError):
        pass
    except Exception:
        log.exception("an order cannot be understood")
    # A process that listens no more must not go on saying that it lives.
    schedule.end()
    # A step that takes long must not outlive the web process.
    time.sleep(FAREWELL_S)
    os._exit(0)


def _hear(connection: Connection, schedule: Schedule) -> bool:
    """Do as the next message says; false when it is the last."""
    kind, what = connection.recv()
    if kind == "order":
        schedule.put(_Running(what.priority, what.id, what))
    elif kind == "cancel":
        schedule.cancel(what)
    elif kind in ("pause", "resume"):
        schedule.pause(what, kind == "pause")
    else:
        return False
    return True


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
