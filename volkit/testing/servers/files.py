"""Files over HTTP: a folder with byte ranges, as precomputed layers and zarr are served."""

import re
from email.utils import formatdate
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import unquote

from volkit.testing.servers.loopback import Answer, Call, Loopback

_RANGE = re.compile(r"bytes=(?!-$)(\d*)-(\d*)$")
_PACKED = ((".gz", "gzip"), (".br", "br"))  # how cloud-volume names what it packs on a disk
_BYTES = "application/octet-stream"
# Browsers read what another site serves only where that site says that they may.
_CORS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Headers", "*"),
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
    (
        "Access-Control-Expose-Headers",
        "Content-Range, Content-Length, Content-Encoding, ETag, Accept-Ranges",
    ),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
)


class FileServer(Loopback):
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
        super().__init__()
        self.folder = Path(folder).resolve()

    def answer(self, call: Call) -> Answer:
        """Answer with a file, or a part of one."""
        if call.method == "OPTIONS":
            return Answer(204, headers=_CORS)
        if call.method not in ("GET", "HEAD"):
            return Answer(405, headers=(("Allow", "GET, HEAD, OPTIONS"), *_CORS))
        path, encoding = self._find(call.path)
        if path is None:
            return Answer(404, headers=_CORS)
        return _cut(path, encoding, call)

    def _find(self, path: str) -> tuple[Path | None, str]:
        """Find the file of a path, which must not lead out of the folder."""
        place = (self.folder / unquote(path).lstrip("/")).resolve()
        if not place.is_relative_to(self.folder):
            return None, ""
        if place.is_file():
            return place, ""
        for ending, encoding in _PACKED:
            packed = place.with_name(place.name + ending)
            if packed.is_file():
                return packed, encoding
        return None, ""


def _cut(path: Path, encoding: str, call: Call) -> Answer:
    """Answer with the bytes of a file that a Range header asks for."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        found = _RANGE.match(call.headers.get("range", ""))
        span = _span(found, size)
        if span is None:
            return Answer(416, headers=(("Content-Range", f"bytes */{size}"), *_CORS))
        file.seek(span.start)
        body = b"" if call.method == "HEAD" else file.read(len(span))
    changed = path.stat()
    headers = [
        ("Accept-Ranges", "bytes"),
        ("Content-Type", guess_type(path.stem if encoding else path.name)[0] or _BYTES),
        ("ETag", f'"{changed.st_mtime_ns:x}-{size:x}"'),
        ("Last-Modified", formatdate(changed.st_mtime, usegmt=True)),
    ]
    if encoding:
        headers.append(("Content-Encoding", encoding))
    if found:
        headers.append(("Content-Range", f"bytes {span.start}-{span.stop - 1}/{size}"))
    return Answer(206 if found else 200, body, (*headers, *_CORS), len(span))


def _span(found: re.Match[str] | None, size: int) -> range | None:
    """Give the bytes that a Range header asks for; None where there are none."""
    if found is None:
        return range(size)
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    return range(start, stop) if start < stop else None
