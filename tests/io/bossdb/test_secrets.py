"""Secrets: the token goes to its service, and nowhere else."""

import logging
import pickle
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from volkit.errors import SourceError
from volkit.io import open_volume
from volkit.io.bossdb.access import find_access
from volkit.io.bossdb.address import parse_address
from volkit.io.bossdb.client import connect
from volkit.io.credentials import Secret
from volkit.io.faults import Patience
from volkit.testing.servers.boss import BossServer
from volkit.testing.servers.faults import FaultProxy

TOKEN = "t0k%n-that-must-not-be-seen"


@pytest.fixture
def guarded() -> Iterator[BossServer]:
    with BossServer(token=TOKEN) as running:
        running.add("col", "exp", "em", np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
        yield running


@pytest.fixture(params=["variables", "file", "env:MINE"])
def credentials(
    request: pytest.FixtureRequest,
    guarded: BossServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str | None:
    """Give the token in each way that keeps it out of the handle."""
    monkeypatch.setenv("HOME", str(tmp_path))
    if request.param == "env:MINE":
        monkeypatch.setenv("MINE", TOKEN)
        return "env:MINE"
    if request.param == "file":
        (tmp_path / ".intern").mkdir()
        (tmp_path / ".intern" / "intern.cfg").write_text(
            f"[Default]\nprotocol = http\nhost = {guarded.host}\ntoken = {TOKEN}\n"
        )
        return None
    for key, value in (("PROTOCOL", "http"), ("HOST", guarded.host), ("TOKEN", TOKEN)):
        monkeypatch.setenv(f"INTERN_{key}", value)
    return None


def test_it_is_sent_and_not_shown(
    guarded: BossServer,
    credentials: str | None,
    patience: Patience,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    uri = f"bossdb://col/exp/em?host={guarded.url}"
    volume = open_volume(uri, credentials=credentials, patience=patience)
    assert volume.read().sum() == 276
    assert guarded.requests[-1].headers["authorization"] == f"Token {TOKEN}"
    lazy = volume.to_dask()
    shown = [repr(volume), str(volume), repr(volume._source), volume.identity]
    shown += [str(dict(volume.attributes)), repr(dict(lazy.__dask_graph__())), caplog.text]
    assert not any(TOKEN in text for text in shown)
    assert TOKEN.encode() not in pickle.dumps(volume)
    assert TOKEN.encode() not in pickle.dumps(lazy)
    client = connect(find_access(parse_address(uri), credentials))
    assert TOKEN not in repr(client) + repr(client.access) + repr(client.remote)


@pytest.mark.parametrize("mode", ["503", "reset", "stall", "short", "truncate", "absent"])
def test_it_is_in_no_error(
    guarded: BossServer,
    mode: str,
    patience: Patience,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MINE", TOKEN)
    hasty = Patience(attempts=2, first_wait_seconds=0.001, silence_seconds=0.05)
    with FaultProxy(guarded.url, stall_seconds=1) as proxy:
        uri = f"bossdb://col/exp/em?host={proxy.url}"
        volume = open_volume(uri, credentials="env:MINE", patience=hasty)
        proxy.inject(mode, match="/cutout/")
        with pytest.raises(SourceError, match="bossdb://col/exp/em") as caught:
            volume.read()
    assert TOKEN not in "".join(traceback.format_exception(caught.value)) + caplog.text
    error: BaseException | None = caught.value
    while error is not None:
        assert TOKEN not in repr(vars(error))
        assert TOKEN not in repr(getattr(getattr(error, "request", None), "headers", ""))
        error = error.__cause__ or error.__context__
    assert TOKEN.encode() not in pickle.dumps(caught.value)


def test_it_is_in_no_refusal(guarded: BossServer, patience: Patience) -> None:
    uri = f"bossdb://col/exp/em?host={guarded.url}"
    wrong = Secret(TOKEN[::-1])
    with pytest.raises(SourceError, match="credentials: a Secret") as caught:
        open_volume(uri, credentials=wrong, patience=patience)
    assert wrong.value not in "".join(traceback.format_exception(caught.value))


class _Stranger(BaseHTTPRequestHandler):
    """A host to which somebody redirects; it keeps what it is told."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(str(self.headers))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[str]]]:
    seen: list[str] = []
    handler = type("Handler", (_Stranger,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}", seen
        running.shutdown()
        thread.join()


def test_a_redirect_to_another_host_does_not_take_it_along(
    guarded: BossServer,
    stranger: tuple[str, list[str]],
    patience: Patience,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, seen = stranger
    # What requests would send instead, were it let to.
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password netrc-secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with FaultProxy(guarded.url, redirect_to=url) as proxy:
        proxy.inject("redirect")
        with pytest.raises(SourceError, match="there is no collection"):
            open_volume(
                f"bossdb://col/exp/em?host={proxy.url}",
                credentials=Secret(TOKEN),
                patience=patience,
            )
    assert seen
    assert not any("authorization" in headers.lower() for headers in seen)


def test_another_host_gets_the_public_one(
    guarded: BossServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in guarded.environment(tmp_path).items():
        monkeypatch.setenv(key, value)
    with BossServer() as other:
        other.add("col", "exp", "em", np.ones((2, 3, 4), np.uint8))
        assert open_volume(f"bossdb://col/exp/em?host={other.url}").read().all()
        assert {r.headers["authorization"] for r in other.requests} == {"Token public"}


def test_proxies_of_the_environment_are_not_asked_for_loopback(
    guarded: BossServer, stranger: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, seen = stranger
    monkeypatch.setenv("HTTP_PROXY", url)
    monkeypatch.setenv("http_proxy", url)
    volume = open_volume(f"bossdb://col/exp/em?host={guarded.url}", credentials=Secret(TOKEN))
    assert volume.read().sum() == 276
    assert not seen
