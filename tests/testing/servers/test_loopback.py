"""What all loopback servers share: whole requests, kept connections, an end without remains."""

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from time import monotonic

import pytest

from volkit.testing.servers.loopback import Answer, Call, Loopback


class Echo(Loopback):
    """Answers with what it got."""

    def answer(self, call: Call) -> Answer:
        if call.path == "/nothing":
            return Answer(204)
        return Answer(200, call.body, (("X-Target", call.target),))


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        yield server


@pytest.fixture
def client(echo: Echo) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(echo.host, timeout=60)
    yield connection
    connection.close()


def test_one_connection_serves_many_requests(echo: Echo, client: HTTPConnection) -> None:
    sockets = set()
    for body in (b"", b"voxels", b"v" * 300_000):
        client.request("POST", "/a?b=1", body)
        answer = client.getresponse()
        assert answer.read() == body
        assert answer.getheader("X-Target") == "/a?b=1"
        sockets.add(client.sock)
    assert len(sockets) == 1
    assert [(r.method, r.path, r.status, r.bytes) for r in echo.requests] == [
        ("POST", "/a?b=1", 200, n) for n in (0, 6, 300_000)
    ]
    assert echo.requests[0].headers["host"] == echo.host
    echo.clear_requests()
    assert echo.requests == []


def test_a_body_in_chunks_is_taken_whole(client: HTTPConnection) -> None:
    for _ in range(2):
        client.request("PUT", "/", iter([b"vo", b"", b"xels"]), encode_chunked=True)
        assert client.getresponse().read() == b"voxels"


def test_trailers_are_no_request(echo: Echo) -> None:
    with socket.create_connection(("127.0.0.1", int(echo.host.split(":")[1])), 5) as plain:
        plain.sendall(
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nx-amz-checksum: 1\r\n\r\n"
            b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        said = b"".join(iter(lambda: plain.recv(1000), b""))
    assert said.count(b"HTTP/1.1 ") == 2
    assert b"\r\nabcHTTP/1.1 204" in said.replace(b"\r\n\r\n", b"\r\n")


def test_a_head_has_a_length_and_no_body(client: HTTPConnection) -> None:
    client.request("HEAD", "/", b"voxels")
    answer = client.getresponse()
    assert (answer.getheader("Content-Length"), answer.read()) == ("6", b"")
    client.request("GET", "/nothing")
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (204, b"")


def test_it_ends_though_clients_keep_their_connections() -> None:
    before = threading.active_count()
    with Echo() as server:
        clients = [HTTPConnection(server.host, timeout=60) for _ in range(4)]
        for client in clients:
            client.request("GET", "/")
            client.getresponse().read()
        begun = monotonic()
    assert monotonic() - begun < 2
    assert threading.active_count() == before
    for client in clients:
        client.close()


def test_small_answers_do_not_wait(client: HTTPConnection) -> None:
    client.request("GET", "/")
    client.getresponse().read()
    begun = monotonic()
    for _ in range(20):
        client.request("POST", "/", b"x")
        client.getresponse().read()
    assert monotonic() - begun < 20 * 0.02, "40 ms each where the second packet waits for the first"
