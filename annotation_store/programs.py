"""Which program made something, told so that another can say whether it still runs."""

from __future__ import annotations

import os
import socket

import psutil

SAME_START_S = 2.0
"""How far apart two readings of one program's start may lie when the clock is set meanwhile."""


def this_program() -> str:
    """Number, start and computer of this process: a number alone is given again to others."""
    return f"{os.getpid()}:{psutil.Process().create_time():.2f}:{socket.gethostname()[:64]}"


def has_ended(program: str) -> bool:
    """Whether `program`, as `this_program` told it, is known to have ended.

    Nothing is known of a program on another computer: it counts as running.
    """
    try:
        number, started, host = program.split(":", 2)
        pid, started_at = int(number), float(started)
    except ValueError:
        return True  # told by an earlier Refscribe, which was ended to start this one
    if host != socket.gethostname()[:64]:
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(float(process.create_time()) - started_at) > SAME_START_S
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
