"""Who may ask, and how much: hosts, origins, a token, sizes of requests, and the headers of every answer.

A page of a stranger that the user has open can send requests to this machine. Three checks refuse them. `Host` must
name this server, which a name that was rebound to 127.0.0.1 does not. `Origin` and `Sec-Fetch-Site`, which browsers set
and pages cannot, must be this server's own. A server that other machines reach also demands a token: it is in the
address that is printed, and then in a cookie.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "bench-serve"
MAX_JSON_BYTES = 16 << 20  # a mask of 8192² with a rough outline has 5 MB
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class BodyTooLarge(ValueError):
    """The body of a request exceeds its limit."""


def new_token() -> str:
    """Return a random token of 256 bits."""
    return secrets.token_urlsafe(32)


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server at an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Lets only requests of the server's own page through.

    Args:
        app: The application.
        host: The address that the server listens at.
        port: The port that the server listens at.
        token: The token that requests need; None for none.
        limits: Largest body of paths, bytes. Others have MAX_JSON_BYTES.
    """

    def __init__(
        self, app: ASGIApp, *, host: str, port: int, token: str | None = None, limits: dict[str, int] | None = None
    ) -> None:
        self._app, self._host, self._port, self._token, self._limits = app, host, port, token, limits or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        headers = Headers(scope=scope)
        if refusal := self._refusal(headers) or self._without_token(scope, headers):
            await refusal(scope, receive, send_with_headers)
            return
        limit = self._limits.get(scope["path"], MAX_JSON_BYTES)
        declared = headers.get("content-length", "0")
        if not (declared.isascii() and declared.isdecimal() and int(declared) <= limit):
            await _refuse(413, f"the request is larger than {limit >> 20} MB")(scope, receive, send_with_headers)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise BodyTooLarge(f"the request is larger than {limit >> 20} MB")
            return message

        await self._app(scope, receive_limited, send_with_headers)

    def _refusal(self, headers: Headers) -> Response | None:
        """Return the answer to a request of another page, None to one of the own page."""
        host = headers.get("host", "")
        if not self._is_own(host):
            return _refuse(421, "this server has another name; use the address that it printed")
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return _refuse(403, "requests of other pages are refused")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate":
            return _refuse(403, "requests of other pages are refused")
        return None

    def _is_own(self, host: str) -> bool:
        """Return whether a `Host` names this server. A server for all addresses has every IP address as its name."""
        try:
            split = urlsplit(f"//{host}")
            name, port = split.hostname or "", split.port or 80
        except ValueError:
            return False
        if port != self._port:
            return False
        if name in _LOOPBACK_NAMES or name == self._host.lower():
            return True
        if self._host not in ("0.0.0.0", "::"):
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in (socket.gethostname().lower(), socket.getfqdn().lower())
        return True

    def _without_token(self, scope: Scope, headers: Headers) -> Response | None:
        """Return None if the request has the token, or the answer that it gets."""
        if self._token is None:
            return None
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and self._is_token(given):
            answer = RedirectResponse("/", 303)  # so that the token leaves the address bar
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
            return answer
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        if cookie is not None and self._is_token(cookie.value):
            return None
        return _refuse(401, "the token is missing; open the address that `bench serve` printed, with its token")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self._token or "").encode())


def _refuse(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status)
