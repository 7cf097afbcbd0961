"""The login: names, passwords, and the signed cookie that stands for having given them."""

from __future__ import annotations

import hmac
import html
import secrets
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Scope

from app.settings import Login

SESSION_S = 30 * 24 * 3600
LOGIN_BYTES = 4096


class Door:
    """Lets in who knows a name and its password.

    The signing key lives as long as the process: a restart asks everybody again.
    """

    def __init__(
        self, logins: tuple[Login, ...], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._logins = logins
        self._tickets = URLSafeTimedSerializer(secrets.token_bytes(32))
        self._tries = Tries(clock)

    @property
    def is_locked(self) -> bool:
        """Whether a login is asked for."""
        return bool(self._logins)

    def who(self, scope: Scope) -> str | None:
        """The name of who is logged in, or None."""
        connection = HTTPConnection(scope)
        # Other programs on this machine leave cookies too, of whatever form.
        ticket = connection.cookies.get(self._cookie_name(connection.headers), "")
        try:
            name: str = self._tickets.loads(ticket, max_age=SESSION_S)
        except BadData:
            return None
        return name

    async def log_in(self, request: Request) -> Response:
        """The login page, or the answer to what was typed into it."""
        if request.method != "POST":
            return _login_page("")
        address = request.client.host if request.client else ""
        if (wait_s := self._tries.wait_s(address)) > 0:
            return _wait_page(wait_s)
        body = b""
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > LOGIN_BYTES:
                    return _login_page("Name or password is too long.", 413)
        except ClientDisconnect:
            return _login_page("", 400)  # nobody is left to read it
        if (wait_s := self._tries.wait_s(address)) > 0:
            return _wait_page(wait_s)  # others failed from there while this one was sent
        typed = parse_qs(body.decode("utf-8", "replace"))
        name, password = (typed.get(field, [""])[0] for field in ("name", "password"))
        if not self._is_right(name, password):
            self._tries.failed(address)
            return _login_page("Name or password is not right.", 401)
        self._tries.forget(address)
        reply = RedirectResponse("/", status_code=303)
        reply.set_cookie(
            self._cookie_name(request.headers),
            self._tickets.dumps(name),
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


def _wait_page(wait_s: float) -> Response:
    return _login_page(f"Too many wrong tries. Wait {wait_s:.0f} seconds.", 429)


def _login_page(said: str, status: int = 200) -> Response:
    page = _LOGIN_PAGE.replace("SAID", html.escape(said))
    return HTMLResponse(page, status_code=status, headers={"Cache-Control": "no-store"})
