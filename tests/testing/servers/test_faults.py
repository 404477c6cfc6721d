"""The proxy: every fault as clients see it, the same for the same seed."""

from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
import requests
from obstore.store import S3Store

from volkit.errors import ConfigError
from volkit.testing.servers.faults import MODES, FaultProxy
from volkit.testing.servers.files import FileServer
from volkit.testing.servers.s3 import S3Server

DATA = bytes(range(256)) * 400


@pytest.fixture
def files(tmp_path: Path) -> Iterator[FileServer]:
    (tmp_path / "a").write_bytes(DATA)
    (tmp_path / "packed.gz").write_bytes(DATA)
    with FileServer(tmp_path) as server:
        yield server


@pytest.fixture
def proxy(files: FileServer) -> Iterator[FaultProxy]:
    with FaultProxy(files.url, stall_seconds=30, redirect_to="http://elsewhere") as proxy:
        yield proxy


def seen(proxy: FaultProxy) -> str:
    try:
        answer = requests.get(f"{proxy.url}/a", timeout=1, allow_redirects=False)
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


def test_ranges_and_packed_files(files: FileServer) -> None:
    def get(path: str, **headers: str) -> requests.Response:
        return requests.get(f"{files.url}/{path}", headers=headers)

    assert get("a", Range="bytes=3-9").content == DATA[3:10]
    assert get("a", Range="bytes=-5").content == DATA[-5:]
    assert get("a", Range="bytes=102390-").headers["Content-Range"] == "bytes 102390-102399/102400"
    assert get("a", Range="bytes=102400-").status_code == 416
    assert requests.head(f"{files.url}/packed").headers["Content-Encoding"] == "gzip"
    assert get("%2e%2e/etc/passwd").status_code == 404
    assert {r.status for r in files.requests} == {200, 206, 404, 416}


def test_signatures_hold_through_the_proxy() -> None:
    with S3Server() as server, FaultProxy(server.endpoint) as proxy:
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
        obstore.put(store, "x", DATA)
        assert bytes(obstore.get(store, "x").bytes()) == DATA
        assert proxy.counts["503"] == 2
        assert "authorization" in server.requests[-1].headers
