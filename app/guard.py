"""Who may talk to the server: every request and every websocket passes here first.

A page of another site can make the browser send requests to this machine (it cannot read the
answers), and can point a name of its own at 127.0.0.1.  So: the Host header must be one of ours,
and writes and websockets must come from our own page.  With logins, all of it needs one.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.login import Door
from app.notices import RefusedError
from app.settings import LOOPBACK_NAMES, Settings

READS = frozenset({"GET", "HEAD", "OPTIONS"})
UPLOADS = "/api/uploads"


def content_policy(script_hashes: Sequence[str] = ()) -> str:
    """What a document of ours may load and run; of inline scripts those of the hashes alone."""
    return "; ".join(
        (
            "default-src 'none'",
            # Gradio compiles the page's `js=` handlers out of text.
            " ".join(("script-src 'self' 'unsafe-eval'", *script_hashes)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": content_policy(),
}


class Guard:
    """ASGI middleware around the whole application, Gradio's part included."""

    def __init__(
        self, app: ASGIApp, settings: Settings, machine_names: frozenset[str] = frozenset()
    ) -> None:
        self._app = app
        self._settings = settings
        self._names = machine_names
        self._door = Door(settings.logins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refused = self._refusal(scope, headers)
        if refused is None and self._door.is_locked:
            refused = await self._ask_login(scope, headers, receive)
        if refused is not None:
            await self._refuse(refused, scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            limited = BodyLimit(receive, self._limit(scope["path"]))
            await limited.run(self._app, scope, _with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not is_our_host(host, self._settings.host, self._names):
            return _refused(
                421, "host", "This address is not one of Refscribe's. Open it by its own address."
            )
        writes = scope["type"] == "websocket" or scope["method"] not in READS
        if (writes or scope["path"].startswith("/api/")) and is_foreign(headers, host):
            return _refused(403, "foreign", "Another site asked for this, so it was refused.")
        announced = headers.get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()):
            return _refused(400, "invalid", "Content-Length: expected a number of bytes.")
        limit = self._limit(scope["path"])
        # More digits than the limit has are too many, however long the number: none is read.
        if len(announced.lstrip("0")) > len(str(limit)) or int(announced[-20:]) > limit:
            return _too_large(limit)
        return None

    def _limit(self, path: str) -> int:
        settings = self._settings
        return settings.max_upload_bytes if path == UPLOADS else settings.max_body_bytes

    async def _ask_login(self, scope: Scope, headers: Headers, receive: Receive) -> Response | None:
        """None once somebody is logged in; their name is then in the scope."""
        name = self._door.who(scope)
        if name is not None:
            scope["refscribe.annotator"] = name
            return None
        if scope["type"] == "http" and scope["path"] == "/login":
            return await self._door.log_in(Request(scope, receive))
        if scope["type"] == "http" and scope["method"] == "GET" and _wants_page(headers):
            return RedirectResponse("/login", status_code=303)
        return _refused(401, "login", "Log in first: reload the page.")

    async def _refuse(self, refused: Response, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()  # the handshake; closing before accepting answers it with 403
            await send({"type": "websocket.close", "code": 4403, "reason": "refused"})
        else:
            await refused(scope, receive, _with_headers(send))


def names_of_this_machine() -> frozenset[str]:
    """What other machines may call this one.  Asks the resolver, so it may take seconds."""
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})


def is_our_host(header: str, configured: str, machine_names: frozenset[str] = frozenset()) -> bool:
    """Whether a Host header names this server, listening on `configured`.

    A server on every address is also reached by number, which no foreign name can hide behind, and
    by the names of the machine.

    >>> is_our_host("localhost:7860", "127.0.0.1"), is_our_host("evil.example", "127.0.0.1")
    (True, False)
    >>> is_our_host("192.168.1.7:7860", "0.0.0.0"), is_our_host("192.168.1.7", "127.0.0.1")
    (True, False)
    """
    name = host_name(header)
    if not name:
        return False
    if name in LOOPBACK_NAMES or name == configured.lower():
        return True
    if configured not in ("0.0.0.0", "::"):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in machine_names
    return True


def host_name(header: str) -> str:
    """The name in a Host header, without its port; "" if it is none.

    >>> host_name("[::1]:7860"), host_name("LocalHost"), host_name("a/b")
    ('::1', 'localhost', '')
    """
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # refuses a port that is no number
    except ValueError:
        return ""
    return (parts.hostname or "").lower() if parts.netloc == header and "@" not in header else ""


def is_foreign(headers: Headers, host: str) -> bool:
    """Whether a browser says that this request was made by another site's page."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return True
    return parts.scheme not in ("http", "https") or parts.netloc.lower() != host.lower()


def _wants_page(headers: Headers) -> bool:
    return "text/html" in headers.get("accept", "")


def _refused(status: int, code: str, sentence: str) -> Response:
    return JSONResponse({"error": sentence, "code": code}, status_code=status)


def _too_large(limit: int) -> Response:
    notice = TooLargeError(limit).notice
    return _refused(notice.status, notice.code, notice.sentence)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


class TooLargeError(RefusedError):
    """A body went over its limit; without an announced length that shows only on the way."""

    def __init__(self, limit: int) -> None:
        shown = f"{limit / 2**30:.3g} GB" if limit >= 2**30 else f"{limit / 2**20:.3g} MB"
        super().__init__(
            f"This is larger than the {shown} that are taken at once.", code="large", status=413
        )


class BodyLimit:
    """Counts what a request's body really brings, since its announced length may be missing."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit
        self._limit = limit

    async def run(self, app: ASGIApp, scope: Scope, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await app(scope, self._receiving, sending)
        except TooLargeError:
            if started:
                raise
            await _too_large(self._limit)(scope, self._receive, send)

    async def _receiving(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise TooLargeError(self._limit)
        return message
