"""The proxy: every fault as clients see it, the same for the same seed."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import obstore
import pytest
import requests
from obstore.store import S3Store

from volkit.errors import ConfigError
from volkit.testing.servers.faults import MODES, FaultProxy
from volkit.testing.servers.files import FileServer
from volkit.testing.servers.loopback import Answer, Call, Loopback
from volkit.testing.servers.s3 import S3Server

DATA = bytes(range(256)) * 400


@pytest.fixture
def files(tmp_path: Path) -> Iterator[FileServer]:
    (tmp_path / "a").write_bytes(DATA)
    with FileServer(tmp_path) as server:
        yield server


@pytest.fixture
def proxy(files: FileServer) -> Iterator[FaultProxy]:
    with FaultProxy(files.url, stall_seconds=30, redirect_to="http://elsewhere") as proxy:
        yield proxy


def seen(proxy: FaultProxy) -> str:
    try:
        answer = requests.get(f"{proxy.url}/a", timeout=1.0, allow_redirects=False)
    except requests.RequestException as error:
        return type(error).__name__
    if answer.content == DATA:
        return "right"
    return f"{answer.status_code} {len(answer.content)}"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("500", "500 89"),
        ("503", "503 84"),
        ("429", "429 91"),
        ("absent", "404 0"),
        ("redirect", "302 0"),
        ("reset", "ConnectionError"),
        ("stall", "ReadTimeout"),
        ("truncate", "ChunkedEncodingError"),
        ("short", f"200 {len(DATA) // 2}"),
        ("corrupt", f"200 {len(DATA)}"),
        ("slow", "right"),
    ],
)
def test_each_fault(proxy: FaultProxy, mode: str, expected: str) -> None:
    proxy.inject(mode, times=1)
    assert [seen(proxy), seen(proxy)] == [expected, "right"]
    assert proxy.counts == {mode: 1, "ok": 1}


def test_a_seed_decides_which_requests_fail(files: FileServer) -> None:
    runs = []
    for seed in (1, 1, 2):
        with FaultProxy(files.url, seed=seed) as proxy:
            proxy.inject(("500", "absent"), share=0.5, match="a", methods=("GET",))
            runs.append([seen(proxy) for _ in range(12)])
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {"right", "500 89", "404 0"}


def test_what_does_not_fit_goes_through(proxy: FaultProxy) -> None:
    proxy.inject("500", match="/elsewhere")
    assert seen(proxy) == "right"
    proxy.inject("500", methods=("PUT",))
    assert seen(proxy) == "right"
    with pytest.raises(ConfigError, match="faults gremlin are unknown"):
        proxy.inject(("gremlin", *MODES))


def test_the_number_of_a_request_decides(files: FileServer) -> None:
    """Its number among those that fit, whatever else is asked."""
    runs = []
    for others in (0, 3):
        with FaultProxy(files.url, seed=5) as proxy:
            proxy.inject(("500", "absent"), share=0.5, match="/a")
            runs.append([])
            for _ in range(20):
                runs[-1].append(proxy.draw("GET", "/a"))
                assert {proxy.draw("GET", "/b") for _ in range(others)} <= {"ok"}
    assert runs[0] == runs[1]
    assert set(runs[0]) == {"ok", "500", "absent"}


def test_calm(proxy: FaultProxy) -> None:
    proxy.inject("503")
    proxy.calm()
    assert seen(proxy) == "right"


def test_a_redirect_leads_to_another_host(files: FileServer, tmp_path: Path) -> None:
    with FileServer(tmp_path) as other, FaultProxy(files.url, redirect_to=other.url) as proxy:
        proxy.inject("redirect")
        answer = requests.get(f"{proxy.url}/a?x=1", headers={"Authorization": "Token t"})
        assert answer.url == f"{other.url}/a?x=1"
        assert answer.content == DATA
        assert not files.requests
        assert "authorization" not in other.requests[0].headers, "requests itself is careful"
    with FaultProxy(files.url) as proxy:
        proxy.inject("redirect")
        with pytest.raises(requests.TooManyRedirects, match="30"):
            requests.get(f"{proxy.url}/a")


def test_redirects_of_the_server_stay_behind_the_proxy() -> None:
    class Moved(Loopback):
        def answer(self, call: Call) -> Answer:
            if call.path == "/there":
                return Answer(200, call.body)
            return Answer(307, headers=(("Location", f"{self.url}/there"),))

    with Moved() as server, FaultProxy(server.url) as proxy:
        answer = requests.put(f"{proxy.url}/here", data=iter([b"a", b"b"]), allow_redirects=False)
        assert answer.headers["Location"] == f"{proxy.url}/there"
        assert requests.put(f"{proxy.url}/here", data=b"ab").content == b"ab"
        assert [r.headers["host"] for r in server.requests] == [proxy.host] * 3


def test_a_head_and_an_empty_body_go_through_damage(proxy: FaultProxy) -> None:
    for mode in ("corrupt", "short", "truncate", "slow"):
        proxy.inject(mode)
        answer = requests.head(f"{proxy.url}/a")
        assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(DATA)))


def test_a_server_that_is_gone(tmp_path: Path) -> None:
    with FileServer(tmp_path) as server:
        url = server.url
    with FaultProxy(url) as proxy:
        assert requests.get(f"{proxy.url}/a").status_code == 502


@pytest.mark.parametrize("how", ["stalled", "waiting", "kept"])
def test_its_end_waits_for_nobody(tmp_path: Path, how: str) -> None:
    """Neither for those who are stalled, nor for a slow server, nor for idle connections."""

    class Slow(Loopback):
        def answer(self, call: Call) -> Answer:
            asked.set()
            self.closing.wait(30 if how == "waiting" else 0)
            return Answer(200)

    def ask(url: str) -> None:
        with requests.Session() as session, suppress(requests.RequestException):
            session.get(url)
            asked.set()
            kept.wait(10)

    before, asked, kept = threading.active_count(), threading.Event(), threading.Event()
    with Slow() as server:
        with FaultProxy(server.url, stall_seconds=30) as proxy:
            if how == "stalled":
                proxy.inject("stall")
            client = threading.Thread(target=ask, args=(proxy.url,))
            client.start()
            while not (asked.is_set() or proxy.counts["stall"]):
                asked.wait(0.01)
            begun = monotonic()
        assert monotonic() - begun < 2
        kept.set()
        client.join()
    assert threading.active_count() == before


def test_signatures_hold_through_the_proxy() -> None:
    with S3Server(strict=True) as server, FaultProxy(server.endpoint) as proxy:
        server.bucket("vol")
        store = S3Store(
            "vol",
            endpoint=proxy.url,
            region=server.region,
            access_key_id=server.key,
            secret_access_key=server.secret,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
        proxy.inject("503", times=2)
        obstore.put(store, "a folder/x=1", DATA)
        assert bytes(obstore.get(store, "a folder/x=1").bytes()) == DATA
        assert proxy.counts["503"] == 2
        assert server.requests[-1].headers["authorization"].startswith("AWS4-HMAC-SHA256")
        assert server.requests[-1].headers["host"] == proxy.host, "which the signature covers"
