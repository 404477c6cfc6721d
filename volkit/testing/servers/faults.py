"""Faults: a proxy before any loopback server, which fails by seed in the ways that stores fail."""

import random
import socket
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from volkit.errors import ConfigError
from volkit.testing.servers.loopback import (
    Answer,
    Call,
    QuietHandler,
    Served,
    hang_up,
    receive,
    send,
)

MODES = (
    "500", "503", "429", "reset", "stall", "slow", "truncate", "short", "corrupt", "absent",
    "redirect",
)  # fmt: skip
METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE")
_NAMES = {"500": "InternalError", "503": "SlowDown", "429": "TooManyRequests"}
# Of one connection, not of the message.
_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "proxy-connection")
_DRIP_BYTES, _DRIP_SECONDS = 4096, 0.002
_RESET = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")  # struct linger: on, for 0 s


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
    methods: tuple[str, ...] = METHODS

    def fits(self, method: str, target: str) -> bool:
        """Tell whether a request may fail."""
        return bool(self.modes) and self.match in target and method in self.methods


class FaultProxy(Served):
    """An HTTP/1.1 proxy that fails a share of the requests.

    ``500``, ``503``, ``429`` answer so; ``reset`` hangs up; ``stall`` says nothing; ``slow`` drips;
    ``truncate`` hangs up in the middle of the body; ``short`` sends half of it and says that this
    is all; ``corrupt`` changes one byte; ``absent`` answers 404; ``redirect`` sends the client to
    ``redirect_to``.

    Requests keep the Host that the client asked for, so what they are signed with holds.

    Parameters
    ----------
    upstream : str
        URL of the server behind it.
    seed : int
        Decides, with the number of the request among those that fit, whether and how it fails.
    stall_seconds : float
        How long a stalled request is held before the proxy hangs up; its end does not wait.
    redirect_to : str
        URL for ``redirect``, such as another server's; the path is added.  Without it clients are
        sent here again.

    Attributes
    ----------
    counts : Counter
        Requests by mode; ``ok`` for those that went through.
    """

    def __init__(
        self, upstream: str, *, seed: int = 0, stall_seconds: float = 60, redirect_to: str = ""
    ) -> None:
        super().__init__(partial(_Handler, self))
        self.upstream = urlsplit(upstream)
        self.stall_seconds, self.redirect_to = stall_seconds, redirect_to
        self.counts: Counter[str] = Counter()
        self._random, self._lock = random.Random(seed), Lock()
        self._plan, self._left = Plan(), -1
        self._waiting: set[HTTPConnection] = set()

    def inject(
        self,
        modes: str | Iterable[str],
        *,
        share: float = 1.0,
        match: str = "",
        methods: tuple[str, ...] = METHODS,
        times: int | None = None,
    ) -> None:
        """Fail requests from now on, instead of what was injected before.

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

    def draw(self, method: str, target: str) -> str:
        """Decide what happens to a request, and count it."""
        with self._lock:
            mode = "ok"
            if self._plan.fits(method, target) and self._left:
                # Both are drawn for each, so that its number alone decides.
                fails = self._random.random() < self._plan.share
                drawn = self._random.choice(self._plan.modes)
                if fails:
                    mode, self._left = drawn, self._left - 1
            self.counts[mode] += 1
            return mode

    def close(self) -> None:
        """End every connection, those to the server behind it too; ``with`` does so."""
        self.closing.set()
        with self._lock:
            waiting = [c.sock for c in self._waiting if c.sock is not None]
        for connection in waiting:
            hang_up(connection)
        super().close()

    def forward(self, call: Call) -> Answer:
        """Ask the server behind; 502 if it cannot be reached."""
        asked = HTTPConnection(self.upstream.hostname or "", self.upstream.port)
        with self._lock:
            self._waiting.add(asked)
        try:
            with closing(asked):
                return self._ask(asked, call)
        except (OSError, HTTPException) as error:
            return Answer(502, f"{type(error).__name__}".encode())
        finally:
            with self._lock:
                self._waiting.discard(asked)

    def _ask(self, asked: HTTPConnection, call: Call) -> Answer:
        asked.putrequest(call.method, call.target, skip_host=True, skip_accept_encoding=True)
        for name, value in call.headers.items():
            if name not in (*_HOP, "expect"):
                asked.putheader(name, value)
        asked.putheader("content-length", str(len(call.body)))
        asked.endheaders(call.body)
        with asked.getresponse() as answer:
            body, length = answer.read(), answer.getheader("Content-Length")
            headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in _HOP]
        behind = self.upstream.geturl().rstrip("/")
        told = [
            (k, v.replace(behind, self.url, 1) if k.lower() == "location" else v)
            for k, v in headers
        ]
        stated = int(length) if call.method == "HEAD" and length else None
        return Answer(answer.status, body, tuple(told), stated)


class _Handler(QuietHandler):
    def __init__(self, owner: FaultProxy, *arguments: Any) -> None:
        self._owner = owner
        super().__init__(*arguments)

    def serve(self) -> None:
        call, owner = receive(self), self._owner
        mode = owner.draw(call.method, call.target)
        if mode in _NAMES or mode == "absent":
            send(self, _refusal(mode))
        elif mode == "redirect":
            send(self, Answer(302, headers=(("Location", owner.redirect_to + call.target),)))
        elif mode in ("reset", "stall"):
            if mode == "stall":
                owner.closing.wait(owner.stall_seconds)
            self._hang_up(reset=mode == "reset")
        else:
            self._pass_on(mode, owner.forward(call))

    def _pass_on(self, mode: str, answer: Answer) -> None:
        """Send an answer, damaged or not; that to a HEAD has no body to damage."""
        body, middle = answer.body, len(answer.body) // 2
        status, headers, whole = answer.status, answer.headers, answer.stated_length
        if mode == "corrupt" and body:
            changed = bytes([body[middle] ^ 0xFF])
            send(self, Answer(status, body[:middle] + changed + body[middle + 1 :], headers))
        elif mode == "short" and body:
            send(self, Answer(status, body[:middle], headers))
        elif mode == "truncate" and body:
            send(self, Answer(status, body[:middle], headers, whole))
            self._hang_up()
        elif mode == "slow" and body:
            send(self, Answer(status, b"", headers, whole))
            for start in range(0, len(body), _DRIP_BYTES):
                self.wfile.write(body[start : start + _DRIP_BYTES])
                self._owner.closing.wait(_DRIP_SECONDS)
        else:
            send(self, answer)

    def _hang_up(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            # With nothing to linger for, the system sends RST instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.connection.close()


def _refusal(mode: str) -> Answer:
    if mode == "absent":
        return Answer(404)
    name = _NAMES[mode]
    text = f"<?xml version='1.0'?><Error><Code>{name}</Code><Message>injected</Message></Error>"
    return Answer(int(mode), text.encode(), (("Content-Type", "application/xml"),))
