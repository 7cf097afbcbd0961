"""The live channel: what happens is told to every open page, whichever thread it happens in."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

log = logging.getLogger(__name__)

WAITING_AT_MOST = 1000
"""Messages a page may be behind; one further behind is dropped, and catches up by asking anew."""

Message = dict[str, Any]


class Live:
    """Everybody who listens.  `say` may be called from any thread, the rest from the event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Queue[Message | None]] = set()
        self._standing: dict[str, Message] = {}

    def open(self) -> None:
        """Begin on the running event loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End every channel."""
        for queue in list(self._waiting):
            self._drop(queue)
        self._loop = None

    def say(self, message: Message, *, standing: str | None = None) -> None:
        """Tell every page.  A `standing` message is also told to pages that come later."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        try:
            loop.call_soon_threadsafe(self._hand_out, message, standing)
        except RuntimeError:  # the loop ended between the question and the call
            log.debug("nobody is left to hear %s", message.get("type"))

    def say_clips(self) -> None:
        """The list of clips changed."""
        self.say({"type": "clips"})

    def say_clip(self, clip_id: int) -> None:
        """A clip's facts, targets, expressions or drafts changed."""
        self.say({"type": "clip", "clip_id": clip_id})

    def say_masks(
        self, clip_id: int, target_id: int, frames: list[int], revision: int, tab: str
    ) -> None:
        """Masks changed; `tab` asked for it and knows, "" for none."""
        self.say(
            {
                "type": "masks",
                "clip_id": clip_id,
                "target_id": target_id,
                "frames": sorted(set(frames)),
                "revision": revision,
                "tab": tab,
            }
        )

    def _hand_out(self, message: Message, standing: str | None) -> None:
        if standing is not None:
            self._standing[standing] = message
        for queue in list(self._waiting):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self._drop(queue)

    def _drop(self, queue: asyncio.Queue[Message | None]) -> None:
        self._waiting.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    async def serve(self, socket: WebSocket) -> None:
        """Talk to one page until either side ends."""
        await socket.accept()
        queue: asyncio.Queue[Message | None] = asyncio.Queue(WAITING_AT_MOST)
        for message in self._standing.values():
            queue.put_nowait(message)
        self._waiting.add(queue)
        listening = asyncio.create_task(_until_gone(socket))
        telling = asyncio.create_task(_tell(socket, queue))
        try:
            await asyncio.wait({listening, telling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(queue)
            for task in (listening, telling):
                task.cancel()
            await asyncio.gather(listening, telling, return_exceptions=True)


async def _until_gone(socket: WebSocket) -> None:
    """A page says nothing on this channel; what it says anyway is read and forgotten."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue


async def _tell(socket: WebSocket, queue: asyncio.Queue[Message | None]) -> None:
    try:
        while (message := await queue.get()) is not None:
            await socket.send_json(message)
        await socket.close(1001)
    except (WebSocketDisconnect, RuntimeError):
        return  # the page is gone


def live_route(live: Live) -> APIRouter:
    """WS /api/live."""
    router = APIRouter()

    @router.websocket("/api/live")
    async def listen(socket: WebSocket) -> None:
        await live.serve(socket)

    return router
