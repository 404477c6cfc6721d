"""Server: Neuroglancer and what it shows, on the loopback of this machine, behind a token.

Every address has the token in it.  Nothing is served to another machine, and the bundled client
asks no other machine for anything.
"""

import asyncio
import hmac
import json
import logging
import secrets
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import tornado.web

from volkit.errors import ConfigError, VolkitError, missing_extra
from volkit.viewer.layer import Served, State

try:
    from neuroglancer.server import Server
    from neuroglancer.viewer_base import ViewerBase
except ImportError as error:
    raise missing_extra("neuroglancer", "view") from error

_LOOPBACK = "127.0.0.1"
_PORTS = 2**16
_READERS = 8  # chunks that are read at the same time
_TOLD = 40  # bytes of what somebody sent that a message repeats
_HANDS_OFF = (
    ("Cache-Control", "no-store"),  # a run may be going on
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),  # the token is in the address
)
_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ViewServer:
    """A viewer that is being served.

    Parameters
    ----------
    token : str
        That whoever asks must know.
    layers : dict of str to object
        What answers for each layer.
    page : bytes
        HTML around the viewer.
    on_threshold : callable or None
        Told a threshold that was chosen on the page; gives the state that follows.
    """

    token: str
    layers: dict[str, Served]
    page: bytes = b""
    on_threshold: Callable[[float], State] | None = None
    answered: int = 0
    _server: Any = None
    _viewer: Any = None
    _readers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_READERS, "volkit-view")
    )

    @classmethod
    def start(cls, layers: Mapping[str, Served], *, port: int = 0) -> Self:
        """Begin to listen.

        Parameters
        ----------
        layers : mapping of str to object
            What answers for each layer, by a name that addresses can have.
        port : int
            Of the loopback; 0 takes any that is free.

        Raises
        ------
        ConfigError
            If the port is taken, or there can be none of that number.
        """
        if not 0 <= port < _PORTS:
            raise ConfigError(f"port {port}: ports go from 1 to {_PORTS - 1}; 0 takes any")
        found = cls(secrets.token_hex(20), dict(layers))
        try:
            _check_free(port)
            found._server = Server(bind_address=_LOOPBACK, bind_port=port, token=found.token)
        except OSError as error:
            found._readers.shutdown()
            raise ConfigError(
                f"port {port} of {_LOOPBACK} cannot be listened on ({error}); choose another "
                "--port, or 0 for any that is free"
            ) from error
        found._viewer = _Viewer(found._server, found.token)
        handlers = [
            (r"/data/([^/]+)/([^/]+)/(.+)", _Data, {"view": found}),
            (r"/view/([^/]+)/", _Page, {"view": found}),
            (r"/view/([^/]+)/threshold", _Threshold, {"view": found}),
        ]
        found._server.app.add_handlers(".*$", handlers)
        return found

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://{_LOOPBACK}:{self._server.port}"

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        return f"{self.origin}/view/{self.token}/"

    def address(self, name: str) -> str:
        """Where the viewer finds a layer."""
        return f"{self.origin}/data/{self.token}/{name}"

    def show(self, state: State) -> None:
        """Show a state, in every browser that looks on."""
        self._viewer.set_state(state)

    @property
    def state(self) -> State:
        """What is shown now, as it was last told by a browser or by us."""
        found: State = self._viewer.state.to_json()
        return found

    def close(self) -> None:
        """Stop listening."""
        self._server.stop()
        self._server.executor.shutdown(cancel_futures=True)
        self._readers.shutdown(cancel_futures=True)

    def knows(self, token: str) -> bool:
        """Tell whether somebody knows the token, in a time that does not help guessing."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def read(self, name: str, path: str) -> "Future[bytes | None]":
        """Begin to read what lies at a path of a layer."""
        self.answered += 1
        served = self.layers.get(name)
        if served is None:
            nothing: Future[bytes | None] = Future()
            nothing.set_result(None)
            return nothing
        return self._readers.submit(served.answer, path)


def _check_free(port: int) -> None:
    """Try a port with a socket that is closed, which the server's own is not where it fails."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind((_LOOPBACK, port))


class _Viewer(ViewerBase):  # type: ignore[misc]
    """A viewer of a server of its own, beside those that a notebook may have."""

    def __init__(self, server: Any, token: str) -> None:
        super().__init__(token=token, allow_credentials=False)
        self._own = server
        server.viewers[token] = self

    def defer_callback(self, callback: Any, *args: Any, **options: Any) -> None:
        self._own.loop.call_soon_threadsafe(lambda: callback(*args, **options))


class _Handler(tornado.web.RequestHandler):
    """What all answers have in common."""

    view: ViewServer

    def initialize(self, view: ViewServer) -> None:
        self.view = view
        for name, value in _HANDS_OFF:
            self.set_header(name, value)

    def refused(self, token: str) -> bool:
        """Refuse whoever does not know the token, as if nothing were there."""
        if self.view.knows(token):
            return False
        self.set_status(404)
        self.finish()
        return True


class _Data(_Handler):
    _reading: "Future[bytes | None] | None" = None

    async def get(self, token: str, name: str, path: str) -> None:
        if self.refused(token):
            return
        self._reading = self.view.read(name, path)
        try:
            found = await asyncio.wrap_future(self._reading)
        except asyncio.CancelledError:
            return  # nobody waits for it any more
        except VolkitError as error:
            _logger.warning("%s of layer %s: %s", path, name, error)
            self.set_status(502)
            self.finish(str(error))
            return
        if found is None:
            self.set_status(404)
            self.finish()
            return
        kind = "application/json" if path == "info" else "application/octet-stream"
        self.set_header("Content-Type", kind)
        self.finish(found)

    def on_connection_close(self) -> None:
        # Whoever moves on no longer wants what was not yet read.
        if self._reading is not None:
            self._reading.cancel()
        super().on_connection_close()


class _Page(_Handler):
    def get(self, token: str) -> None:
        if not self.refused(token):
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.finish(self.view.page)


class _Threshold(_Handler):
    def post(self, token: str) -> None:
        if self.refused(token):
            return
        try:
            if self.view.on_threshold is None:
                raise ConfigError("what is shown has no threshold")
            threshold = _number(self.request.body)
            state = self.view.on_threshold(threshold)
        except ConfigError as error:
            self.set_status(400)
            self.finish(str(error))
            return
        self.view.show(state)
        self.finish(json.dumps({"threshold": threshold}))


def _number(body: bytes) -> float:
    """Take the number that somebody sent."""
    try:
        return float(json.loads(body))
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"the threshold is {body[:_TOLD].decode(errors='replace')!r}, which is no number; "
            "send one, as JSON has it"
        ) from error
