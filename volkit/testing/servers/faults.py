"""Faults: a proxy before any loopback server, which fails by seed in the ways that stores fail."""

import random
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from volkit.errors import ConfigError

MODES = (
    "500", "503", "429", "reset", "stall", "slow", "truncate", "short", "corrupt", "absent",
    "redirect",
)  # fmt: skip
_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
_NAMES = {"500": "InternalError", "503": "SlowDown", "429": "TooManyRequests"}
_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "proxy-connection")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which requests fail, and how.

    Parameters
    ----------
    modes : tuple of str
        One of them is drawn for each request that fails.
    share : float
        Of the requests that fit, 0 to 1.
    match : str
        Part of the path.
    methods : tuple of str
        HTTP methods.
    """

    modes: tuple[str, ...] = ()
    share: float = 0.0
    match: str = ""
    methods: tuple[str, ...] = _METHODS


class FaultProxy:
    """An HTTP/1.1 proxy that fails a share of the requests.

    ``500``, ``503``, ``429`` answer so; ``reset`` hangs up; ``stall`` says nothing; ``slow`` drips;
    ``truncate`` hangs up in the middle of the body; ``short`` sends half of it and says that this
    is all; ``corrupt`` changes one byte; ``absent`` answers 404; ``redirect`` sends the client to
    ``redirect_to``.

    Parameters
    ----------
    upstream : str
        URL of the server behind it.
    seed : int
        Decides which requests fail, in the order in which they come.
    stall_seconds : float
        How long a stalled request is held before the proxy hangs up.
    redirect_to : str
        URL for ``redirect``; the path is added.

    Attributes
    ----------
    counts : Counter
        Requests by mode; ``ok`` for those that went through.
    """

    def __init__(
        self, upstream: str, *, seed: int = 0, stall_seconds: float = 60, redirect_to: str = ""
    ) -> None:
        self.upstream = urlsplit(upstream)
        self.stall_seconds, self.redirect_to = stall_seconds, redirect_to
        self.counts: Counter[str] = Counter()
        self.closing = Event()
        self._random, self._lock = random.Random(seed), Lock()
        self._plan, self._left = Plan(), 0
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def host(self) -> str:
        """The same without a scheme."""
        return self.url.removeprefix("http://")

    def inject(
        self,
        modes: str | Iterable[str],
        *,
        share: float = 1.0,
        match: str = "",
        methods: tuple[str, ...] = _METHODS,
        times: int | None = None,
    ) -> None:
        """Fail requests from now on.

        Parameters
        ----------
        modes : str or iterable of str
            How; of several, one is drawn for each request.
        share : float
            Of the requests that fit, 0 to 1.
        match : str
            Part of the path that a request must have.
        methods : tuple of str
            HTTP methods that fail.
        times : int or None
            How many fail at most; None for no limit.

        Raises
        ------
        ConfigError
            If a mode is unknown.
        """
        chosen = (modes,) if isinstance(modes, str) else tuple(modes)
        unknown = sorted(set(chosen) - set(MODES))
        if unknown:
            raise ConfigError(f"faults {', '.join(unknown)} are unknown; choose of {MODES}")
        with self._lock:
            self._plan = Plan(chosen, share, match, methods)
            self._left = -1 if times is None else times

    def calm(self) -> None:
        """Let everything through from now on."""
        with self._lock:
            self._plan = Plan()

    def draw(self, method: str, path: str) -> str:
        """Decide what happens to a request."""
        with self._lock:
            plan, mode = self._plan, "ok"
            if plan.modes and plan.match in path and method in plan.methods and self._left:
                fails = self._random.random() < plan.share
                drawn = self._random.choice(plan.modes)
                if fails:
                    mode, self._left = drawn, self._left - 1
            self.counts[mode] += 1
            return mode

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what it is here for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, owner: FaultProxy, *arguments: Any) -> None:
        self._owner = owner
        super().__init__(*arguments)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing; the proxy counts."""

    def _handle(self) -> None:
        body = self._body()
        mode = self._owner.draw(self.command, self.path)
        if mode in _NAMES or mode == "absent":
            self._refuse(404 if mode == "absent" else int(mode), _NAMES.get(mode, ""))
        elif mode == "redirect":
            self._send(302, [("Location", f"{self._owner.redirect_to}{self.path}")], b"")
        elif mode == "reset":
            self._hang_up(reset=True)
        elif mode == "stall":
            self._owner.closing.wait(self._owner.stall_seconds)
            self._hang_up()
        else:
            self._forward(mode, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _handle  # noqa: N815

    def _body(self) -> bytes:
        """Take the whole body, or the next request would begin in it."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _forward(self, mode: str, body: bytes) -> None:
        upstream = self._owner.upstream
        connection = HTTPConnection(upstream.hostname or "", upstream.port)
        try:
            # The Host header stays the client's: signatures cover it.
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in (*_HOP, "expect"):
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            self._give(mode, answer, answer.read())
        finally:
            connection.close()

    def _give(self, mode: str, answer: HTTPResponse, data: bytes) -> None:
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in (*_HOP, "date")]
        length = answer.getheader("Content-Length")
        if self.command == "HEAD" and length:
            self._send(answer.status, headers, b"", length=int(length))
            return
        if mode == "corrupt" and data:
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
        if mode == "short":
            data = data[: len(data) // 2]
        if mode == "truncate":
            self._send(answer.status, headers, data[: len(data) // 2], length=len(data))
            self._hang_up()
        elif mode == "slow":
            self._send(answer.status, headers, b"", length=len(data))
            for start in range(0, len(data), 4096):
                self.wfile.write(data[start : start + 4096])
                time.sleep(0.002)
        else:
            self._send(answer.status, headers, data)

    def _refuse(self, status: int, name: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{name}</Code><Message>injected</Message></Error>"
        body = text.encode() if name else b""
        self._send(status, [("Content-Type", "application/xml")], body)

    def _send(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, length: int | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _hang_up(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            # With nothing to linger for, the system sends RST instead of an orderly end.
            linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
