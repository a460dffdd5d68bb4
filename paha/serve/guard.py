"""Access to the server: token, host and size of a request are checked before anything of it is read.

No other site's page may talk to the server (no CORS header is ever sent, and what a browser says of the asking page
must fit), no request body passes the limit, and off loopback every request needs the token.
"""

from __future__ import annotations

import hmac
import json
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import SplitResult, parse_qs, urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paha.serve.settings import ServeSettings

TOKEN_COOKIE = "paha_token"
_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
_FORM_SLACK = 1 << 20
HEADERS = {
    "content-security-policy": "default-src 'self'; media-src 'self' blob:; img-src 'self' blob: data:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class TooLargeError(Exception):
    """A body went on after its limit."""


class Guard:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self.app, self.settings = app, settings
        self.limit = settings.max_upload_mb * 2**20 + _FORM_SLACK

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        refused = self._refusal(scope, headers)
        if refused is not None:
            await _answer(send, *refused)
            return
        read, begun, over = 0, False, False

        async def limited() -> Message:
            nonlocal read, over
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.limit:
                over = True
                raise TooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            if over and not begun:
                return  # what the application makes of a body that broke off
            if message["type"] == "http.response.start":
                begun = True
                own = [(key.encode(), value.encode()) for key, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        with suppress(TooLargeError):
            await self.app(scope, limited, watched)
        if over and not begun:
            await _answer(send, 413, f"the request is larger than {self.settings.max_upload_mb} MB")

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """(status, reason) of a request that may not pass."""
        host = urlsplit(f"//{headers.get('host', '')}")
        name = _hostname(host)
        if self.settings.on_loopback and name not in _LOCAL_NAMES:
            return 400, "unknown host"  # a name of somebody else's that leads here (DNS rebinding)
        origin = headers.get("origin")
        if headers.get("sec-fetch-site") == "cross-site" or (
            origin is not None and urlsplit(origin).netloc != host.netloc
        ):
            return 403, "another site may not do that"
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            return 400, "content-length is no number"
        if int(length) > self.limit:
            return 413, f"the request is larger than {self.settings.max_upload_mb} MB"
        if self.settings.token and not self._knows_token(scope, headers):
            return 401, "give the access token: Authorization: Bearer TOKEN, or open the page by its whole address"
        return None

    def _knows_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        given = [shown.strip()] if scheme.lower() == "bearer" else []
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            cookies = SimpleCookie()
        given += [cookies[TOKEN_COOKIE].value] if TOKEN_COOKIE in cookies else []
        if scope["path"] == "/":  # the page's own address, which sets the cookie
            given += parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        expected = self.settings.token.encode()
        return any(hmac.compare_digest(value.encode("utf-8", "replace"), expected) for value in given)


def _hostname(host: SplitResult) -> str:
    try:
        return host.hostname or ""
    except ValueError:
        return ""


async def _answer(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
