"""The processes behind a server, for tests that stop them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

from tests.app.conftest import Server


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[None]:
    """While inside, neither worker of the server does anything, as if they hung."""
    children = psutil.Process(server.process.pid).children()
    workers = [one for one in children if "spawn_main" in " ".join(one.cmdline())]
    assert len(workers) == 2
    for one in workers:
        one.suspend()
    try:
        yield
    finally:
        for one in workers:
            one.resume()


def connections(server: Server) -> int:
    """How many requests are open."""
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return sum(one.status == psutil.CONN_ESTABLISHED for one in found)
