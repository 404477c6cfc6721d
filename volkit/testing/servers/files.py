"""Files over HTTP: a folder with byte ranges, as precomputed layers and zarr are served."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from volkit.testing.servers.requests import Request

_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")
_PACKED = ((".gz", "gzip"), (".br", "br"))  # how cloud-volume names what it packs on a disk


class FileServer:
    """A folder over HTTP/1.1: byte ranges, CORS, keep-alive; read-only.

    ``name.gz`` and ``name.br`` are served as ``name`` with a Content-Encoding, as object stores
    do with what was stored packed.

    Parameters
    ----------
    folder : Path
        What to serve.

    Examples
    --------
    >>> import tempfile, urllib.request
    >>> with tempfile.TemporaryDirectory() as folder, FileServer(Path(folder)) as server:
    ...     _ = (Path(folder) / "a").write_bytes(b"voxels")
    ...     with urllib.request.urlopen(f"{server.url}/a") as answer:
    ...         answer.read()
    b'voxels'
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder).resolve()
        self.requests: list[Request] = []
        self._server = _Server(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def clear_requests(self) -> None:
        """Forget what was asked."""
        self.requests.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # clients connect many times at once; what overflows waits a second


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go in two writes

    def __init__(self, owner: FileServer, *arguments: Any) -> None:
        self._owner = owner
        super().__init__(*arguments)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing; requests are kept by the server."""

    def do_OPTIONS(self) -> None:
        """Allow any page to read."""
        self._answer(204, {})

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._serve()

    def do_GET(self) -> None:
        """Answer with a file, or a part of one."""
        self._serve()

    def _serve(self) -> None:
        path, encoding = self._find()
        if path is None:
            self._answer(404, {})
            return
        with path.open("rb") as file:
            size = file.seek(0, 2)
            found = _RANGE.match(self.headers.get("Range", ""))
            span = _span(found, size)
            if span is None:
                self._answer(416, {"Content-Range": f"bytes */{size}"})
                return
            file.seek(span.start)
            body = file.read(len(span))
        headers = {"Accept-Ranges": "bytes", "Content-Type": guess_type(path.stem)[0] or _BYTES}
        if encoding:
            headers["Content-Encoding"] = encoding
        if found:
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
        self._answer(206 if found else 200, headers, body)

    def _find(self) -> tuple[Path | None, str]:
        """Find the file of a path, which must not lead out of the folder."""
        place = (self._owner.folder / unquote(urlsplit(self.path).path).lstrip("/")).resolve()
        if not place.is_relative_to(self._owner.folder):
            return None, ""
        if place.is_file():
            return place, ""
        for ending, encoding in _PACKED:
            packed = place.with_name(place.name + ending)
            if packed.is_file():
                return packed, encoding
        return None, ""

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "*")
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Encoding, ETag")
        self.send_header("Cross-Origin-Resource-Policy", "cross-origin")
        self.send_header("Content-Length", str(len(body)))
        sent = {name.lower(): value for name, value in self.headers.items()}
        self._owner.requests.append(Request(self.command, self.path, status, len(body), sent))
        with _gone():
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)


_BYTES = "application/octet-stream"


def _span(found: re.Match[str] | None, size: int) -> range | None:
    """Give the bytes that a Range header asks for; None where there are none."""
    if found is None:
        return range(size)
    first, last = found.groups()
    if not first and not last:
        return range(size)
    start = max(0, size - int(last)) if not first else int(first)
    stop = size if not first or not last else min(int(last) + 1, size)
    return range(start, stop) if start < stop else None


@contextmanager
def _gone() -> Iterator[None]:
    """Take it calmly when a client hangs up: that is its right."""
    try:
        yield
    except ConnectionError:
        return
