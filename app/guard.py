"""Who may talk to the server: every request and every websocket passes here first.

A page of another site can make the browser send requests to this machine (it cannot read the
answers), and can point a name of its own at 127.0.0.1.  So: the Host header must be one of ours,
and writes and websockets must come from our own page.  With logins, all of it needs one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import ipaddress
import secrets
import socket
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.notices import RefusedError
from app.settings import LOOPBACK_NAMES, Login, Settings

READS = frozenset({"GET", "HEAD", "OPTIONS"})
UPLOADS = "/api/uploads"
SESSION_S = 30 * 24 * 3600
LOGIN_BYTES = 4096

CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio starts from an inline script and compiles the page's `js=` handlers.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "connect-src 'self' blob: data:",
        "object-src 'none'",
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
    "Content-Security-Policy": CONTENT_POLICY,
}


class Guard:
    """ASGI middleware around the whole application, Gradio's part included."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
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
            limited = Limited(receive, self._limit(scope["path"]))
            await limited.run(self._app, scope, _with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not is_our_host(host, self._settings.host):
            return _refused(
                421, "host", "This address is not one of Refscribe's. Open it by its own address."
            )
        writes = scope["type"] == "websocket" or scope["method"] not in READS
        if (writes or scope["path"].startswith("/api/")) and is_foreign(headers, host):
            return _refused(403, "foreign", "Another site asked for this, so it was refused.")
        announced = headers.get("content-length", "0")
        if not announced.isdigit() or int(announced) > self._limit(scope["path"]):
            return _too_large(self._limit(scope["path"]))
        return None

    def _limit(self, path: str) -> int:
        settings = self._settings
        return settings.max_upload_bytes if path == UPLOADS else settings.max_body_bytes

    async def _ask_login(self, scope: Scope, headers: Headers, receive: Receive) -> Response | None:
        """None once somebody is logged in; their name is then in the scope."""
        name = self._door.who(headers)
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


def is_our_host(header: str, configured: str) -> bool:
    """Whether a Host header names this server, listening on `configured`.

    A server on every address is also reached by number, which no foreign name can hide behind.

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
        return name in {socket.gethostname().lower(), socket.getfqdn().lower()}
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
    parts = urlsplit(origin)
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


class Limited:
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


class Door:
    """Names, passwords, and the signed cookie that stands for having given them.

    The signing key lives as long as the process: a restart asks everybody again.
    """

    def __init__(
        self, logins: tuple[Login, ...], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._logins = logins
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self._tries = Tries(clock)

    @property
    def is_locked(self) -> bool:
        """Whether a login is asked for."""
        return bool(self._logins)

    def who(self, headers: Headers) -> str | None:
        """The name of who is logged in, or None."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie_name(headers))
        except CookieError:
            return None
        if cookie is None:
            return None
        body, _, signature = cookie.value.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return None
        until, _, name = base64.urlsafe_b64decode(body).decode().partition("|")
        return name if self._clock() < float(until) else None

    async def log_in(self, request: Request) -> Response:
        """The login page, or the answer to what was typed into it."""
        if request.method != "POST":
            return _login_page("")
        address = request.client.host if request.client else ""
        wait_s = self._tries.wait_s(address)
        if wait_s > 0:
            return _login_page(f"Too many wrong tries. Wait {wait_s:.0f} seconds.", 429)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LOGIN_BYTES:
                return _too_large(LOGIN_BYTES)
        typed = parse_qs(body.decode("utf-8", "replace"))
        name, password = (typed.get(field, [""])[0] for field in ("name", "password"))
        if not self._is_right(name, password):
            self._tries.failed(address)
            return _login_page("Name or password is not right.", 401)
        self._tries.forget(address)
        reply = RedirectResponse("/", status_code=303)
        reply.set_cookie(
            self._cookie_name(request.headers),
            self._ticket(name),
            max_age=SESSION_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return reply

    def _is_right(self, name: str, password: str) -> bool:
        right = False
        for login in self._logins:  # all of them, so that the time says nothing
            same_name = hmac.compare_digest(login.name.encode(), name.encode())
            same_password = hmac.compare_digest(login.password.encode(), password.encode())
            right |= same_name and same_password
        return right

    def _ticket(self, name: str) -> str:
        said = f"{self._clock() + SESSION_S:.0f}|{name}"
        body = base64.urlsafe_b64encode(said.encode()).decode()
        return f"{body}.{self._sign(body)}"

    def _sign(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()

    @staticmethod
    def _cookie_name(headers: Headers) -> str:
        # Cookies are shared by all ports of a host: two servers must not log each other out.
        port = urlsplit(f"//{headers.get('host', '')}").port
        return f"refscribe-login-{port or 0}"


class Tries:
    """Wrong passwords by address: five are free, then each costs a longer wait."""

    FREE, LONGEST_S, KEPT = 5, 300.0, 1000

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[int, float]] = {}

    def wait_s(self, address: str) -> float:
        """Seconds until this address may try again; 0 when it may now."""
        count, at = self._failed.get(address, (0, 0.0))
        if count < self.FREE:
            return 0.0
        wait = min(self.LONGEST_S, 2.0 ** (count - self.FREE + 1))
        return max(0.0, at + wait - self._clock())

    def failed(self, address: str) -> None:
        count = self._failed.pop(address, (0, 0.0))[0]
        self._failed[address] = (count + 1, self._clock())
        while len(self._failed) > self.KEPT:
            del self._failed[next(iter(self._failed))]

    def forget(self, address: str) -> None:
        self._failed.pop(address, None)


_LOGIN_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Refscribe</title><style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { display: grid; place-content: center; min-height: 100vh; margin: 0; }
form { display: grid; gap: 12px; width: 280px; }
h1 { font-size: 20px; margin: 0; } label { display: grid; gap: 4px; }
input, button { font: inherit; padding: 6px 8px; } [role=alert] { margin: 0; min-height: 1.5em; }
</style></head><body><form method="post" action="/login"><h1>Refscribe</h1>
<label>Name <input name="name" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required>
</label><button>Log in</button><p role="alert">SAID</p></form></body></html>
"""


def _login_page(said: str, status: int = 200) -> Response:
    page = _LOGIN_PAGE.replace("SAID", html.escape(said))
    return HTMLResponse(page, status_code=status, headers={"Cache-Control": "no-store"})
