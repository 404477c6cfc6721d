"""Guard: the dashboard of a cluster asks for its token, also on this machine.

The port of a dashboard is open to every user of the machine, and it can do more than show: workers
can be retired through it.  Who opens the link with the token gets a cookie.
"""

import hmac
import secrets
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from distributed import Scheduler, SpecCluster
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

_REFUSAL = b"this dashboard asks for its token: open the link that volkit printed\n"


class GuardedScheduler(Scheduler):
    """A scheduler whose web pages ask for a token.

    Attributes
    ----------
    token : str
        Of its dashboard.
    """

    token: str

    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        """Start it, with a door before it."""
        self.token = secrets.token_urlsafe(24)
        super().start_http_server(*args, **kwargs)
        server = self.http_server
        server.request_callback = Door(server.request_callback, self.token)


class GuardedCluster(SpecCluster):
    """A cluster whose dashboard link holds the token."""

    @property
    def dashboard_link(self) -> str:
        """Where its dashboard is, on this machine."""
        scheduler: Any = self.scheduler
        port = scheduler.services["dashboard"].port
        return f"http://127.0.0.1:{port}/status?token={scheduler.token}"


def guarded_scheduler(security: Any, **where: Any) -> dict[str, Any]:
    """Describe a scheduler for :class:`GuardedCluster`.

    Parameters
    ----------
    security : distributed.Security
        Its credentials.
    **where
        ``host`` or ``interface`` that it listens on; its dashboard is on loopback always.
    """
    options = {
        **where,
        "protocol": "tls://",
        "security": security,
        "port": 0,
        "dashboard": True,
        "dashboard_address": "127.0.0.1:0",
    }
    return {"cls": GuardedScheduler, "options": options}


class Door(HTTPServerConnectionDelegate):
    """Lets those in who have the token.

    Parameters
    ----------
    behind : tornado application
        What is guarded.
    token : str
        Who has it comes in.
    """

    def __init__(self, behind: Any, token: str) -> None:
        self.behind = behind
        self.token = token

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        """Look at a request before anything else does."""
        return _Visitor(self, server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Pass it on."""
        self.behind.on_close(server_conn)

    def fits(self, given: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(given.encode(), self.token.encode())


class _Visitor(HTTPMessageDelegate):
    """One request: turned away, sent on with a cookie, or let in."""

    def __init__(self, door: Door, server_conn: object, request_conn: Any) -> None:
        self.door = door
        self.server = server_conn
        self.connection = request_conn
        self.inner: HTTPMessageDelegate | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Any:
        """Decide by the token of the link, or the cookie of an earlier visit."""
        path = start_line.path if isinstance(start_line, RequestStartLine) else "/"
        place = urlsplit(path)
        query = dict(parse_qsl(place.query))
        cookie = SimpleCookie(headers.get("Cookie", "")).get(_cookie_name(headers))
        if cookie is not None and self.door.fits(cookie.value):
            return self._let_in(start_line, headers)
        if not self.door.fits(query.pop("token", "")):
            return self._answer(403, "Forbidden", _REFUSAL, {})
        if "text/html" not in headers.get("Accept", ""):
            return self._let_in(start_line, headers)  # a program: it keeps no cookies
        rest = urlencode(query)
        jar = f"{_cookie_name(headers)}={self.door.token}; HttpOnly; SameSite=Strict; Path=/"
        target = place.path + (f"?{rest}" if rest else "")
        return self._answer(302, "Found", b"", {"Location": target, "Set-Cookie": jar})

    def _let_in(self, start_line: Any, headers: HTTPHeaders) -> Any:
        self.inner = self.door.behind.start_request(self.server, self.connection)
        return self.inner.headers_received(start_line, headers)

    def _answer(self, code: int, reason: str, body: bytes, headers: dict[str, str]) -> None:
        fields = HTTPHeaders({**headers, "Content-Length": str(len(body)), "Connection": "close"})
        line = ResponseStartLine("HTTP/1.1", code, reason)
        self.connection.write_headers(line, fields, body)
        self.connection.finish()

    def data_received(self, chunk: bytes) -> Any:
        """Pass on the body of who was let in."""
        return None if self.inner is None else self.inner.data_received(chunk)

    def finish(self) -> None:
        """End the request."""
        if self.inner is not None:
            self.inner.finish()

    def on_connection_close(self) -> None:
        """Hear that the visitor has gone."""
        if self.inner is not None:
            self.inner.on_connection_close()


def _cookie_name(headers: HTTPHeaders) -> str:
    """Name the cookie after the port: browsers share cookies between the ports of a host."""
    return f"volkit-{headers.get('Host', '').rpartition(':')[2]}"
