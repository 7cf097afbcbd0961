"""Which program made something, told so that another can say whether it still runs."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil

FORGOTTEN_S = 3 * 24 * 3600.0
"""Without a sign for so long, what a program out of sight began is taken for left."""


def this_program() -> str:
    """Number, start and computer of this process: a number alone is given again to others."""
    return f"{os.getpid()}:{_start(os.getpid())}/{_surroundings()}:{_computer()}"


def has_ended(program: str) -> bool | None:
    """Whether `program`, as `this_program` told it, has ended.

    None where nobody here can know: it is on another computer, or in a container of its own.
    """
    try:
        number, started, computer = program.split(":", 2)
        pid = int(number)
        start, space, boot = started.split("/")
    except ValueError:
        return True  # told by an earlier Refscribe, which was ended to start this one
    if computer != _computer():
        return None
    our_space, our_boot = _surroundings().split("/")
    if boot != our_boot:
        return True  # the computer was started anew since
    if space != our_space:
        return None
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        return _start(pid) != start
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


def _computer() -> str:
    return socket.gethostname()[:64]


def _start(pid: int) -> str:
    """When a process started, as a word that is the same however the clock is set meanwhile.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    try:
        # Ticks since the computer started: psutil adds the time of that start, which moves.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return fields[19]
    except (OSError, IndexError):
        return f"{psutil.Process(pid).create_time():.2f}"


def _surroundings() -> str:
    """Where numbers and starts mean anything: "space of process numbers/start of the computer"."""
    try:
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        return f"{space}/{boot[:8]}"
    except OSError:
        return "/"
