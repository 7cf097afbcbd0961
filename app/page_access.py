"""What of Gradio the page uses: its document, its scripts and its styles.  All else is closed.

Gradio serves uploads, files, a queue, a proxy and more beside a page.  Ours calls none of them, so
nobody may; and the page runs no inline script but those its document was served with.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.guard import content_policy

OURS = re.compile(r"/(?:api|studio)/.*|/favicon\.ico", re.DOTALL)
USED = re.compile(r"/(?:theme\.css|manifest\.json|(?:assets|static)/[A-Za-z0-9_/.-]{1,200})?")


class PageAccess:
    """ASGI middleware between the guard and the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or OURS.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
        elif not is_used(scope):
            await _close(scope, receive, send)
        elif scope["path"] == "/":
            # A query would have Gradio show other things than the page.
            await self._app({**scope, "query_string": b""}, receive, with_script_hashes(send))
        else:
            await self._app(scope, receive, send)


def is_used(scope: Scope) -> bool:
    """Whether the page asks Gradio for this."""
    reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    return reads and USED.fullmatch(scope["path"]) is not None and ".." not in scope["path"]


async def _close(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # the handshake; closing before accepting answers it with 403
        await send({"type": "websocket.close", "code": 4404, "reason": "closed"})
        return
    shown = Request(scope).url.path[:80]
    sentence = f"There is no {shown} here; the page is at /."
    answer = JSONResponse({"error": sentence, "code": "missing"}, status_code=404)
    await answer(scope, receive, send)


def with_script_hashes(send: Send) -> Send:
    """Let a document through with a policy that allows the inline scripts it holds, by hash."""
    begun: Message = {}
    body = bytearray()

    async def sending(message: Message) -> None:
        nonlocal begun
        if message["type"] == "http.response.start":
            begun = message
            return
        if message["type"] == "http.response.body":
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            policy = content_policy(script_hashes(body.decode()))
            MutableHeaders(scope=begun)["Content-Security-Policy"] = policy
            await send(begun)
            message = {**message, "body": bytes(body)}
        await send(message)

    return sending


def script_hashes(document: str) -> list[str]:
    """The hashes of a document's inline scripts, as a content policy names them.

    >>> script_hashes("<p><script>let a = 1;</script><script src='x.js'></script>")
    ["'sha256-xY6QKfH9PRsQnLz56nj6MBwiK5oHg+im1Jkpdp1x/Ck='"]
    """
    reader = _Scripts()
    reader.feed(document)
    reader.close()
    digests = [hashlib.sha256(script.encode()).digest() for script in reader.inline]
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


class _Scripts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "script" and "src" not in dict(attributes):
            self._inside = True
            self.inline.append("")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.inline[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._inside = False
