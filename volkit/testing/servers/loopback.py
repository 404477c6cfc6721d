"""Loopback: a server of HTTP/1.1 in threads of this process, which ends when it is left."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self

from volkit.testing.servers.requests import Request

_POLL_SECONDS = 0.02  # how long closing waits for the thread that accepts


@dataclass(frozen=True, slots=True)
class Call:
    """What a client asks.

    Parameters
    ----------
    method, path, query : str
        As they came, still quoted; ``query`` without its question mark.
    headers : mapping
        Names in lower case.
    body : bytes
        All of it, whatever way it was sent.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def target(self) -> str:
        """Path and query together."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answers.

    Parameters
    ----------
    status : int
        Of HTTP.
    body : bytes
        Not sent where the method is HEAD, but its length is said.
    headers : tuple of (str, str)
        Besides the length.
    length : int or None
        What is said of the body's length; None is what it has.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None

    @property
    def stated_length(self) -> int:
        """What is said of the body's length."""
        return len(self.body) if self.length is None else self.length


class Listener(ThreadingHTTPServer):
    """Accepts connections, one thread for each, and ends them all when it is closed.

    Clients keep their connections open between requests; without an end from this side the
    threads would outlive the server, each waiting for a request that does not come.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: Any) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.closing = Event()
        self._open: dict[Any, Thread] = {}
        self._lock = Lock()
        self._thread = Thread(
            target=self.serve_forever, args=(_POLL_SECONDS,), daemon=True, name="volkit-loopback"
        )

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Accept from now on."""
        self._thread.start()

    def close(self) -> None:
        """Hang up, and wait until every thread has ended."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            left = dict(self._open)
        for connection in left:
            hang_up(connection)
        for thread in left.values():
            thread.join()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection to a thread of its own, and remember both."""
        thread = Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True
        )
        with self._lock:
            self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """End a connection whose thread is done."""
        super().shutdown_request(request)
        with self._lock:
            self._open.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients hang up as they like."""


class Served:
    """What listens on a free port of 127.0.0.1, to be used with ``with``."""

    def __init__(self, handler: Any) -> None:
        self._listener = Listener(handler)

    @property
    def host(self) -> str:
        """Where it listens: ``127.0.0.1:PORT``."""
        return self._listener.host

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end: ``http://127.0.0.1:PORT``."""
        return f"http://{self.host}"

    @property
    def closing(self) -> Event:
        """Set when the server ends; what waits should wait for this."""
        return self._listener.closing

    def start(self) -> Self:
        """Begin to serve; ``with`` does so."""
        self._listener.start()
        return self

    def close(self) -> None:
        """End every connection and thread; ``with`` does so."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Loopback(Served, ABC):
    """A server that answers each request as a whole.

    Attributes
    ----------
    requests : list of Request
        What it was asked, in the order of the answers.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        super().__init__(partial(_Handler, self))

    @abstractmethod
    def answer(self, call: Call) -> Answer:
        """Answer one request; several threads do so at once."""

    def clear_requests(self) -> None:
        """Forget what was asked."""
        self.requests.clear()


def receive(handler: BaseHTTPRequestHandler) -> Call:
    """Take a whole request off a connection, or the next one would begin inside of it."""
    path, _, query = handler.path.partition("?")
    headers = {name.lower(): value for name, value in handler.headers.items()}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _unchunk(handler.rfile)
    else:
        body = handler.rfile.read(int(headers.get("content-length") or 0))
    return Call(handler.command, path, query, headers, body)


def send(handler: BaseHTTPRequestHandler, answer: Answer) -> None:
    """Send an answer."""
    handler.send_response_only(answer.status)
    for name, value in answer.headers:
        handler.send_header(name, value)
    if answer.status not in (204, 304):
        handler.send_header("Content-Length", str(answer.stated_length))
    handler.end_headers()
    if handler.command != "HEAD" and answer.body:
        handler.wfile.write(answer.body)


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections open, sends at once, logs nothing."""

    protocol_version = "HTTP/1.1"
    # Headers and body are two writes: without this the second waits 40 ms for the first.
    disable_nagle_algorithm = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing; the server keeps the requests."""

    def serve(self) -> None:
        """Answer one request."""
        raise NotImplementedError

    def _handle(self) -> None:
        try:
            self.serve()
        except (ConnectionError, ValueError):  # hung up, or closed by the server's end
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _handle  # noqa: N815


class _Handler(QuietHandler):
    def __init__(self, owner: Loopback, *arguments: Any) -> None:
        self._owner = owner
        super().__init__(*arguments)

    def serve(self) -> None:
        call = receive(self)
        answer = self._owner.answer(call)
        self._owner.requests.append(
            Request(call.method, call.target, answer.status, answer.stated_length, call.headers)
        )
        send(self, answer)


def _unchunk(stream: Any) -> bytes:
    parts = []
    while size := int(stream.readline().split(b";")[0], 16):
        parts.append(stream.read(size))
        stream.readline()
    while stream.readline().strip():
        pass  # trailers, as S3 clients send them
    return b"".join(parts)


def hang_up(connection: socket.socket) -> None:
    """End a connection, so that whoever waits for it does not wait on."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # its client was faster
