"""Waiting for a worker's answer while nobody else waits for a thread.

Handlers that ask a worker are coroutines: what touches the store goes to the pool of threads, and
no thread is held while the worker works.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request

from app.workers.worker import Call


class GoneError(Exception):
    """Whoever asked does not listen any more."""


async def answer_to(request: Request, call: Call, timeout_s: float) -> Any:
    """The result of `call`, which is cancelled when the request is given up.

    For what only this request wants; what is to be kept in any case awaits `call.answer`.

    Raises:
        GoneError: the connection was closed.
        RefusedError: as `Call.answer`.
    """
    answer = asyncio.ensure_future(call.answer(timeout_s))
    gone = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        call.cancel()
        raise GoneError
    finally:
        for waiting in (answer, gone):
            waiting.cancel()
        await asyncio.gather(answer, gone, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
