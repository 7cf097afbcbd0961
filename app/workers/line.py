"""One worker process and the pipe to it."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

from app.workers.process import Tasks, Told, work

log = logging.getLogger(__name__)

KILLED_WITHIN_S = 10.0
LOOK_S = 0.02


class Line:
    """Sending never waits for the process: one that is stopped reads nothing."""

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self.process = process
        self.heard = 0
        """Messages so far, signs of life among them."""
        self._connection = connection
        self._ending = threading.Lock()
        self._is_over = False
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._send_all, name="worker sender", daemon=True).start()

    def send(self, message: tuple[str, Any]) -> None:
        self._outbox.put(bytes(ForkingPickler.dumps(message)))

    def _send_all(self) -> None:
        try:
            while (data := self._outbox.get()) is not None:
                self._connection.send_bytes(data)
        except (OSError, ValueError):
            pass  # who listens notices a process that is gone
        except Exception:
            log.exception("a worker process can be told nothing any more")
            self.process.kill()  # it would go on saying that it lives

    def messages(self) -> Iterator[tuple[int, Told]]:
        """What the process says, until it ends."""
        while True:
            try:
                number, told = self._connection.recv()
            except (EOFError, OSError):
                return
            except Exception:
                if not self._is_over:  # closed meanwhile, the pipe has no number to read from
                    log.exception("a worker process cannot be understood")
                return
            self.heard += 1
            yield number, told

    def is_gone(self, within_s: float) -> bool:
        """Whether the process ends within some seconds.

        `Process.join` waits on a pipe that a process may close while it lives, and then for ever.
        """
        deadline = time.monotonic() + within_s
        while self.process.is_alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_S)
        return True

    def end(self, after_s: float = 0.0) -> None:
        """See that the process is gone; it may end by itself for `after_s`."""
        with self._ending:
            if not self.is_gone(after_s):
                self.process.kill()
                self.is_gone(KILLED_WITHIN_S)
            self._outbox.put(None)
            self._is_over = True
            self._connection.close()


def begin(name: str, tasks: Callable[[Any], Tasks], settings: Any) -> Line:
    """A process that works on orders for `tasks(settings)`.

    Raises:
        OSError: the system has no room for another process.
    """
    process, ours = spawned(name, work, tasks, settings)
    try:
        return Line(process, ours)
    except BaseException:
        process.kill()
        ours.close()
        raise


def spawned(
    name: str, target: Callable[..., None], *arguments: Any
) -> tuple[BaseProcess, Connection]:
    """A process that runs `target(connection, *arguments)`, and the other end of its connection.

    Raises:
        OSError: the system has no room for another process.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    try:
        process = context.Process(target=target, args=(theirs, *arguments), name=name, daemon=True)
        with _deaf_to_interrupts():
            process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return process, ours


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


def death_sentence(name: str, exitcode: int | None) -> str:
    """How a process ended, for people.

    >>> death_sentence("model", 3)
    'The model process ended (code 3); it is being started again.'
    """
    if exitcode is not None and exitcode < 0:
        with contextlib.suppress(ValueError):
            stop = signal.Signals(-exitcode).name
            memory = ", as the system does when memory runs out" if stop == "SIGKILL" else ""
            return f"The {name} process was stopped ({stop}{memory}); it is being started again."
    return f"The {name} process ended (code {exitcode}); it is being started again."
