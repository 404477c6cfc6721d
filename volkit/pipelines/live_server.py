"""Live server: the page of a run and its status, on the loopback of this machine, behind a token.

Every address has the token in it; nothing is served to another machine.
"""

import asyncio
import hmac
import json
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import tornado.httpserver
import tornado.ioloop
import tornado.web

from volkit.errors import ConfigError, VolkitError
from volkit.geometry.scale import Vector
from volkit.io.place import Place
from volkit.io.redaction import without_secrets
from volkit.pipelines.live_page import STATUS, begun, live_page
from volkit.pipelines.status import read_status

OnView = Callable[[Vector | None], str]

_LOOPBACK = "127.0.0.1"
_PORTS = 2**16
_FRESH_SECONDS = 0.5  # an answer serves all who ask in that time: a ledger may be long
_STOP_SECONDS = 10.0
_HANDS_OFF = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),  # the token is in the address
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "img-src data:; connect-src 'self'; form-action 'none'; frame-ancestors 'none'",
    ),
)
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class LiveServer:
    """A run that is being shown while it goes on; leaving it ends that.

    Parameters
    ----------
    place : Place
        Folder of the run; there may be nothing in it yet.
    seconds : float
        Between two looks of a page.
    on_view : callable or None
        Told a voxel, (z, y, x), or None for the middle; gives the address of a viewer.
    token : str
        That whoever asks must know.
    port : int
        Of the loopback.
    """

    place: Place
    seconds: float
    on_view: OnView | None
    token: str
    port: int = 0
    _loop: Any = field(default=None, repr=False)
    _thread: Any = field(default=None, repr=False)
    _readers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(2, "volkit-live"), repr=False
    )
    _kept: dict[str, tuple[float, str]] = field(default_factory=dict, repr=False)
    _making: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def start(
        cls, run: Place | str, *, port: int = 0, seconds: float = 2.0, on_view: OnView | None = None
    ) -> Self:
        """Begin to listen.

        Parameters
        ----------
        run : Place or str
            Folder of the run; it may begin later.
        port : int
            Of the loopback; 0 takes any that is free.
        seconds : float
            Between two looks of a page.
        on_view : callable, optional
            Told a voxel, (z, y, x), or None for the middle; gives the address of a viewer.

        Raises
        ------
        ConfigError
            If the port is taken, or there can be none of that number.
        """
        if not 0 <= port < _PORTS:
            raise ConfigError(f"port {port}: ports go from 1 to {_PORTS - 1}; 0 takes any")
        listening = _listening(port)
        found = cls(Place.at(run), seconds, on_view, secrets.token_urlsafe(24))
        found.port = listening.getsockname()[1]
        ready = threading.Event()
        found._thread = threading.Thread(
            target=found._serve, args=(listening, ready), name="volkit-live", daemon=True
        )
        found._thread.start()
        ready.wait()
        return found

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        return f"http://{_LOOPBACK}:{self.port}/run/{self.token}/"

    def page(self) -> str:
        """Make the page, or give the one that was made just now."""
        how: dict[str, Any] = {"seconds": self.seconds, "viewer": self.on_view is not None}
        return self._fresh("page", lambda: live_page(self.place, **how))

    def status(self) -> str:
        """Write the status as ``volkit status --json`` does; without stages before there is any.

        Raises
        ------
        VolkitError
            If it cannot be read just now.
        """
        return self._fresh("status", lambda: _status(self.place))

    def close(self) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)
        self._readers.shutdown(cancel_futures=True)

    def knows(self, token: str) -> bool:
        """Tell whether somebody knows the token, in a time that does not help guessing."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def _fresh(self, name: str, make: Callable[[], str]) -> str:
        with self._making:
            when, text = self._kept.get(name, (-1.0, ""))
            if when < 0 or time.monotonic() - when > _FRESH_SECONDS:
                text = make()
                self._kept[name] = (time.monotonic(), text)
            return text

    def _serve(self, listening: socket.socket, ready: threading.Event) -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        self._loop = asyncio.get_event_loop()
        what = {"live": self}
        app = tornado.web.Application(
            [
                (r"/run/([^/]+)/(?:page)?", _Page, what),
                (rf"/run/([^/]+)/{STATUS}", _Status, what),
                (r"/run/([^/]+)/view", _View, what),
            ],
            log_function=lambda handler: None,
        )
        server = tornado.httpserver.HTTPServer(app)
        server.add_socket(listening)
        self._loop.call_soon(ready.set)
        try:
            self._loop.run_forever()
        finally:
            server.stop()
            self._loop.run_until_complete(server.close_all_connections())
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _listening(port: int) -> socket.socket:
    """Take a port of the loopback, or say that it cannot be had."""
    found = socket.socket()
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((_LOOPBACK, port))
        found.listen()
    except OSError as error:
        found.close()
        raise ConfigError(
            f"port {port} of {_LOOPBACK} cannot be listened on ({error}); choose another --port, "
            "or 0 for any that is free"
        ) from error
    found.setblocking(False)
    return found


def _status(place: Place) -> str:
    try:
        found = read_status(place).as_json()
    except VolkitError:
        if begun(place):
            raise
        found = {"stages": [], "client": None, "failure": "", "failed_stage": ""}
    return json.dumps(found)


class _Handler(tornado.web.RequestHandler):
    """What all answers have in common."""

    live: LiveServer
    kind = "text/html; charset=utf-8"

    def initialize(self, live: LiveServer) -> None:
        self.live = live

    def set_default_headers(self) -> None:
        for name, value in _HANDS_OFF:
            self.set_header(name, value)

    async def get(self, token: str) -> None:
        if not self.live.knows(token):
            self.set_status(404)  # as if nothing were there
            self.finish()
            return
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self.live._readers, self.answer)
        except (VolkitError, OSError) as error:
            text = without_secrets(str(error))
            _logger.info("%s: %s", self.request.path.rpartition("/")[2], text)
            self.set_status(503)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(text)
            return
        self.give(found)

    def answer(self) -> str:
        """Make what is asked for."""
        raise NotImplementedError

    def give(self, found: str) -> None:
        """Send it."""
        self.set_header("Content-Type", self.kind)
        self.finish(found)


class _Page(_Handler):
    def answer(self) -> str:
        return self.live.page()


class _Status(_Handler):
    kind = "application/json"

    def answer(self) -> str:
        return self.live.status()


class _View(_Handler):
    def answer(self) -> str:
        if self.live.on_view is None:
            raise ConfigError("this page was served without a viewer")
        text = self.get_query_argument("at", "")
        if not text:
            return self.live.on_view(None)
        try:
            z, y, x = (float(word) for word in text.split(","))
        except ValueError as error:
            raise ConfigError(f"at={text}: give a voxel, z,y,x") from error
        return self.live.on_view((z, y, x))

    def give(self, found: str) -> None:
        self.redirect(found)
