"""The file server: ranges, packed files, and what may be asked of it."""

import gzip
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import obstore
import pytest
import requests
import tensorstore
from obstore.store import HTTPStore

from volkit.testing.servers.files import FileServer

DATA = bytes(range(256)) * 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    folder = tmp_path / "served"
    (folder / "c").mkdir(parents=True)
    (folder / "c" / "0 1").write_bytes(DATA)
    (folder / "empty").touch()
    (folder / "info.gz").write_bytes(gzip.compress(b'{"type": "image"}'))
    (folder / "mesh.br").write_bytes(b"packed")
    (tmp_path / "beside").write_bytes(b"secret")
    with FileServer(folder) as server:
        yield server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.mark.parametrize(
    ("asked", "status", "expected", "said"),
    [
        ("bytes=3-9", 206, DATA[3:10], f"bytes 3-9/{len(DATA)}"),
        ("bytes=10230-", 206, DATA[10230:], f"bytes 10230-10239/{len(DATA)}"),
        ("bytes=10230-99999", 206, DATA[10230:], f"bytes 10230-10239/{len(DATA)}"),
        ("bytes=-5", 206, DATA[-5:], f"bytes 10235-10239/{len(DATA)}"),
        ("bytes=-99999", 206, DATA, f"bytes 0-10239/{len(DATA)}"),
        ("bytes=10240-", 416, b"", f"bytes */{len(DATA)}"),
        ("bytes=9-3", 416, b"", f"bytes */{len(DATA)}"),
        ("bytes=-0", 416, b"", f"bytes */{len(DATA)}"),
        ("bytes=-", 200, DATA, None),
        ("lines=1-2", 200, DATA, None),
    ],
)
def test_ranges(
    server: FileServer,
    session: requests.Session,
    asked: str,
    status: int,
    expected: bytes,
    said: str | None,
) -> None:
    answer = session.get(f"{server.url}/c/0%201?x=1", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (status, expected)
    assert answer.headers.get("Content-Range") == said
    assert server.requests[-1].bytes == len(expected)
    assert server.requests[-1].path == "/c/0%201?x=1"


def test_a_head_says_what_a_get_brings(server: FileServer, session: requests.Session) -> None:
    answers = [session.request(method, f"{server.url}/c/0%201") for method in ("GET", "HEAD")]
    headers = [{k: v for k, v in a.headers.items() if k != "Date"} for a in answers]
    assert headers[0] == headers[1]
    assert headers[0]["Content-Length"] == str(len(DATA))
    assert answers[1].content == b""
    assert session.get(f"{server.url}/empty").content == b""


def test_packed_files_are_unpacked_by_the_client(
    server: FileServer, session: requests.Session
) -> None:
    assert session.get(f"{server.url}/info").json() == {"type": "image"}
    assert session.head(f"{server.url}/mesh").headers["Content-Encoding"] == "br"
    with urllib.request.urlopen(f"{server.url}/mesh") as answer:
        assert answer.read() == b"packed"
    assert "Content-Encoding" not in session.get(f"{server.url}/info.gz").headers


def test_what_is_not_there_or_not_served(server: FileServer, session: requests.Session) -> None:
    for path in ("none", "c", "", "%2e%2e/beside", "..%2fbeside"):
        assert session.get(f"{server.url}/{path}").status_code == 404
    assert session.put(f"{server.url}/new", data=DATA).status_code == 405
    assert session.delete(f"{server.url}/empty").status_code == 405
    assert (server.folder / "empty").exists()


def test_pages_of_other_sites_may_read(server: FileServer, session: requests.Session) -> None:
    asked = {"Origin": "http://viewer", "Access-Control-Request-Headers": "range"}
    for method, path in (("OPTIONS", "c/0%201"), ("GET", "c/0%201"), ("GET", "none")):
        answer = session.request(method, f"{server.url}/{path}", headers=asked)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]
    options = session.options(server.url)
    assert (options.status_code, options.headers["Access-Control-Allow-Headers"]) == (204, "*")


def test_obstore(server: FileServer) -> None:
    store = HTTPStore(server.url, client_options={"allow_http": True})
    assert bytes(obstore.get(store, "c/0 1").bytes()) == DATA
    assert bytes(obstore.get_range(store, "c/0 1", start=5, end=50)) == DATA[5:50]
    first = obstore.head(store, "c/0 1")
    assert first["size"] == len(DATA)
    (server.folder / "c" / "0 1").write_bytes(DATA[::-1])
    assert obstore.head(store, "c/0 1")["e_tag"] != first["e_tag"]
    with pytest.raises(FileNotFoundError, match="none"):
        obstore.get(store, "none")


def test_tensorstore(server: FileServer) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    spec = {"driver": "zarr3", "kvstore": f"file://{server.folder}/a.zarr/"}
    written = tensorstore.open(spec, create=True, dtype="uint8", shape=(2, 3, 4)).result()
    written.write(values).result()
    served = tensorstore.open({"driver": "zarr3", "kvstore": f"{server.url}/a.zarr/"}).result()
    np.testing.assert_array_equal(served.read().result(), values)
