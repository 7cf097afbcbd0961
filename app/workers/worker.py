"""A process beside the web process that does the long work, one step at a time.

Its tasks are generators (`process` runs them).  Before every step the most urgent task is
chosen, so a click waits for one step of a propagation at most.  The process ends when the web
process does, however that ends.  When it dies itself or falls silent, another one takes its place:
what it had begun is reported as failed, except a click, which is asked once more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from app.notices import Notice, RefusedError
from app.workers.line import Line, begin, death_sentence
from app.workers.process import BEAT_S, ENDS, FAREWELL_S, Order, Priority, Tasks, Told

__all__ = ["ENDS", "Call", "CallCancelledError", "Priority", "Told", "Worker"]

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 10.0
TRIES = 3
"""Deaths in a row after which even tasks that had not begun are given up."""
SILENCE_S = 120.0
"""A process that lives says so every second, but for what holds all of its threads, as importing a
large library from a cold disk does; one stopped or starved of memory for so long is replaced."""
BEGINNING_S = 180.0
"""How long a process may take to say its first word, while it imports what it needs."""


class CallCancelledError(RefusedError):
    """The task was cancelled before it had an answer."""

    def __init__(self) -> None:
        super().__init__("This was cancelled.", code="cancelled", status=409)


class Call:
    """One task given to a worker, for the thread or the coroutine that waits for it."""

    def __init__(self, worker: Worker, order: Order) -> None:
        self.order = order
        self._worker = worker
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._end: Future[Told] = Future()
        self._end.set_running_or_notify_cancel()  # who stops waiting does not end the task
        self.begun = False
        self.cancelled = False
        self.paused = False
        self.repeated = False

    def hear(self, told: Told) -> None:
        """Called by the worker, once for each thing told and once for the end."""
        self.begun = self.begun or told.kind == "begun"
        self._told.put(told)
        if told.kind in ENDS:
            self._end.set_result(told)

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
            CallCancelledError: the task was cancelled.
            RefusedError: it failed, or took too long and was cancelled.
        """
        try:
            told = self._end.result(timeout_s)
        except TimeoutError as error:
            raise self._given_up(timeout_s) from error
        return _result(told)

    async def answer(self, timeout_s: float) -> Any:
        """As `result`, without holding a thread meanwhile."""
        try:
            told = await asyncio.wait_for(asyncio.wrap_future(self._end), timeout_s)
        except TimeoutError as error:
            raise self._given_up(timeout_s) from error
        return _result(told)

    def _given_up(self, timeout_s: float) -> RefusedError:
        self.cancel()
        return RefusedError(
            f"The {self._worker.name} process did not answer within {timeout_s:g} seconds. "
            "Wait for what it does now, or cancel that, then try again.",
            code="slow",
            status=504,
        )


def _result(told: Told) -> Any:
    if told.kind == "failed":
        raise RefusedError.of(told.what)
    if told.kind == "cancelled":
        raise CallCancelledError
    return told.what


class Worker:
    """One process and the calls it is to answer.

    Every method may be called from any thread, and from the event loop: none waits for the process
    but `stop`.
    """

    def __init__(
        self,
        name: str,
        tasks: Callable[[Any], Tasks],
        settings: Any,
        *,
        told: Callable[[str, str], None] | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        """`tasks(settings)` is called in the process; `told(state, message)` hears up and down."""
        self.name = name
        self._tasks = tasks
        self._settings = settings
        self._told = told or (lambda _state, _message: None)
        self._silence_s = silence_s
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._calls: dict[int, Call] = {}
        self._line: Line | None = None
        self._stopping = threading.Event()
        self._deaths = 0

    @property
    def pid(self) -> int | None:
        """The process at work, None between two."""
        line = self._line
        return None if line is None else line.process.pid

    def start(self) -> None:
        """Begin, and keep a process at work until `stop`."""
        threading.Thread(target=self._keep_one, name=f"{self.name} keeper", daemon=True).start()

    def stop(self) -> None:
        """End the process; it may finish the step it is in for a moment."""
        self._stopping.set()
        with self._lock:
            line = self._line
        if line is not None:
            line.send(("end", None))
            line.is_gone(FAREWELL_S)
            line.end()

    def submit(self, task: str, priority: Priority, **arguments: Any) -> Call:
        with self._lock:
            order = Order(next(self._numbers), task, arguments, priority)
            call = Call(self, order)
            self._calls[order.id] = call
            self._send(("order", order))
        return call

    def cancel(self, call: Call) -> None:
        with self._lock:
            if not call.begun and self._calls.pop(call.order.id, None) is not None:
                call.hear(Told("cancelled"))  # nothing of it is under way that one had to wait for
            self._send(("cancel", call.order.id))

    def pause(self, call: Call) -> None:
        self._send(("pause" if call.paused else "resume", call.order.id))

    def _send(self, message: tuple[str, Any]) -> None:
        """Between two processes nothing is sent: `_hand_over` says it all again."""
        with self._lock:
            if self._line is not None:
                self._line.send(message)

    def _keep_one(self) -> None:
        """Let one process follow the other."""
        while not self._stopping.is_set():
            line = None
            try:
                line = begin(self.name, self._tasks, self._settings)
                self._hand_over(line)
                reason = self._watch(line)
            except Exception as error:  # noqa: BLE001  # no memory, no thread, no file: may pass
                reason = f"The {self.name} process cannot be started ({error}); it is tried again."
                if line is not None:
                    line.end()
            if not self._stopping.is_set():
                self._mourn(reason)

    def _hand_over(self, line: Line) -> None:
        """Tell a new process all that is to be done."""
        with self._lock:
            self._line = line
            for call in self._calls.values():
                line.send(("order", call.order))
                if call.paused:
                    self.pause(call)
        if self._stopping.is_set():  # `stop` came too early to see this process
            line.end()

    def _watch(self, line: Line) -> str:
        """Hear a process until it ends or says nothing any more; returns what became of it."""
        hearing = threading.Thread(
            target=self._hear, args=(line,), name=f"{self.name} listener", daemon=True
        )
        hearing.start()
        heard, looks_silent = 0, 0
        while hearing.is_alive():
            hearing.join(BEAT_S)
            looks_silent = looks_silent + 1 if heard == line.heard else 0
            heard = line.heard
            # Looks are counted, not time: a machine that slept has not listened either.
            if looks_silent * BEAT_S >= (self._silence_s if heard else BEGINNING_S):
                line.end()
                return (
                    f"The {self.name} process did not answer any more and was stopped; it is being "
                    "started again."
                )
        line.end(after_s=2 * FAREWELL_S)
        return death_sentence(self.name, line.process.exitcode)

    def _hear(self, line: Line) -> None:
        for number, told in line.messages():
            if number == 0:
                if told.kind == "begun":
                    self._told("up", "")
                continue
            with self._lock:
                if line is not self._line:
                    return  # given up; the next process has its calls
                call = self._calls.get(number)
                if call is not None and told.kind == "begun":
                    call.begun = True
                if told.kind in ENDS:
                    self._calls.pop(number, None)
                    self._deaths = 0
            if call is not None:
                call.hear(told)

    def _mourn(self, reason: str) -> None:
        """Tell what is lost with a process, and let a moment pass before the next."""
        log.warning("%s", reason)
        with self._lock:
            self._line = None
            self._deaths += 1
            ends = {call: self._loss(call, reason) for call in self._calls.values()}
            for call, end in ends.items():
                if end is not None:
                    del self._calls[call.order.id]
            pause = min(LONGEST_PAUSE_S, 0.25 * 2 ** (self._deaths - 1)) if self._deaths > 1 else 0
        self._told("down", reason)
        for call, end in ends.items():
            if end is not None:
                call.hear(end)
        self._stopping.wait(pause)

    def _loss(self, call: Call, reason: str) -> Told | None:
        """How a call ends with the process; None for one that is sent to the next."""
        if call.cancelled:
            return Told("cancelled")
        failed = Told("failed", Notice(reason, "worker", 503))
        if self._deaths >= TRIES:
            return failed
        if not call.begun:
            return None
        if call.order.priority is Priority.CLICK and not call.repeated:
            # It has delivered nothing yet, and may not be what ended the process.
            call.repeated, call.begun = True, False
            return None
        return failed
