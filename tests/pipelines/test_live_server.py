"""The live page of a run: its status, behind a token, while the run goes on."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from volkit.engine.attendance import attended
from volkit.engine.dashboards import dashboard_of, forget_dashboard, note_dashboard
from volkit.engine.job import JobEngine
from volkit.engine.lock_record import read_lock
from volkit.engine.op import Op
from volkit.errors import ConfigError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume
from volkit.io.place import Place
from volkit.pipelines.live_server import LiveServer
from volkit.pipelines.run_page import run_page
from volkit.pipelines.status import read_status
from volkit.testing.blocks import NEIGHBOUR_SUM
from volkit.testing.browser import Browser, find_chromium
from volkit.testing.workflows import tiny_workflow

GRID = Grid(Box.from_shape((4, 4, 12)), (4, 4, 4))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def raw(tmp_path: Path):
    found = create_volume(tmp_path / "raw.zarr", shape=GRID.domain.shape, dtype=np.uint8)
    found.write(found.domain, np.ones(GRID.domain.shape, np.uint8))
    return found


@pytest.fixture
def run(raw, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    JobEngine(folder).map(NEIGHBOUR_SUM, raw, grid=GRID, name="sums")
    return folder


def get(url: str) -> tuple[int, str, dict[str, str]]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def test_status_and_page_are_served_to_whoever_has_the_token(run) -> None:
    with LiveServer.start(str(run)) as server:
        code, text, headers = get(server.url + "status.json")
        expected = read_status(run).as_json()
        assert (code, json.loads(text)) == (200, json.loads(json.dumps(expected)))
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        code, text, headers = get(server.url)
        assert (code, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert 'data-stage="sums"' in text
        assert "<noscript><meta http-equiv=" in text
        assert "https://" not in text
        for wrong in ("guess", server.token[:-1], server.token + "a"):
            for path in ("", "status.json", "page", "view"):
                origin = server.url.partition("/run/")[0]
                assert get(f"{origin}/run/{wrong}/{path}")[:2] == (404, "")
        # Nobody elsewhere can ask at all.
        assert server.url.startswith("http://127.0.0.1:")
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.url, timeout=2)


def test_a_run_that_has_not_begun_is_waited_for(raw, tmp_path) -> None:
    folder = tmp_path / "run"
    with LiveServer.start(str(folder)) as server:
        assert json.loads(get(server.url + "status.json")[1])["stages"] == []
        assert "Not begun" in get(server.url)[1]
        JobEngine(folder).map(NEIGHBOUR_SUM, raw, grid=GRID, name="sums")
        time.sleep(0.6)  # an answer serves all who ask within half a second
        assert json.loads(get(server.url + "status.json")[1])["stages"][0]["done"] == 3
        assert "Not begun" not in get(server.url)[1]


def test_a_run_in_a_store_that_has_not_begun_is_waited_for() -> None:
    with LiveServer.start("memory://live/run") as server:
        code, text, _ = get(server.url + "status.json")
        assert (code, json.loads(text)["stages"]) == (200, [])
        assert "Not begun</h2>" in get(server.url)[1]


def test_a_run_half_written_is_said_and_no_end_of_the_server(run) -> None:
    with LiveServer.start(str(run)) as server:
        header = next((run / "sums.ledger").glob("header*"))
        whole = header.read_bytes()
        header.write_bytes(whole[: len(whole) // 2])
        code, text, _ = get(server.url + "status.json")
        assert code == 503
        assert "sums" in text
        page = get(server.url)[1]
        assert "Cannot be read</h2>" in page
        assert "Not begun" not in page
        header.write_bytes(whole)
        time.sleep(0.6)
        assert get(server.url + "status.json")[0] == 200


def test_ports_that_cannot_be_had_are_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} of 127.0.0.1 cannot be listened on"):
            LiveServer.start("run", port=port)
    with pytest.raises(ConfigError, match=r"port 70000: ports go from 1 to 65535"):
        LiveServer.start("run", port=70000)


def test_links_open_the_viewer_at_a_place(run) -> None:
    asked = []

    def on_view(at):
        asked.append(at)
        return "http://127.0.0.1:1/elsewhere"

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *given):
            return None

    opener = urllib.request.build_opener(Stay)
    with LiveServer.start(str(run), on_view=on_view) as server:
        page = get(server.url)[1]
        assert 'href="view?at=2,2,' in page
        for query, expected in (("?at=2,2,6", (2.0, 2.0, 6.0)), ("", None)):
            with pytest.raises(urllib.error.HTTPError) as moved:
                opener.open(server.url + "view" + query, timeout=60)
            assert (moved.value.code, moved.value.headers["Location"]) == (
                302, "http://127.0.0.1:1/elsewhere")  # fmt: skip
            moved.value.close()
            assert asked.pop() == expected
        assert get(server.url + "view?at=1,2")[:2] == (503, "at=1,2: give a voxel, z,y,x")
    with LiveServer.start(str(run)) as server:
        assert "view?at" not in get(server.url)[1]


def test_a_dashboard_is_known_to_its_user_while_the_run_goes_on(tmp_path, own_home) -> None:
    folder = tmp_path / "run"
    link = "http://127.0.0.1:8787/status?token=secret"
    with attended(folder) as attendance:
        attendance.show(link)
        assert dashboard_of(folder) == link
        kept = next((own_home / ".volkit" / "dashboards").iterdir())
        assert kept.stat().st_mode & 0o077 == 0
        inside = [p.read_text() for p in folder.rglob("*") if p.is_file()]
        assert not any("secret" in text for text in inside)  # others may read the run
    assert dashboard_of(folder) == ""
    assert list((own_home / ".volkit" / "dashboards").iterdir()) == []
    held = read_lock(Place.at(folder))
    note_dashboard(held.id, link)
    assert dashboard_of(folder) == ""  # nobody works on it any more
    forget_dashboard(held.id)


def test_pages_that_are_kept_do_not_tell_the_dashboard(run) -> None:
    with attended(run) as attendance:
        attendance.show("http://127.0.0.1:8787/status?token=secret")
        assert "secret" not in run_page(Place.at(run))
        assert "secret" not in json.dumps(read_status(run).as_json())
        with LiveServer.start(str(run)) as server:
            assert "token=secret" in get(server.url)[1]


def slow_sum(block, values, *, seconds: float):
    time.sleep(seconds)
    return values.astype(np.int64)


@pytest.fixture
def browser() -> Iterator[Browser]:
    found = Browser.start()
    yield found
    errors = found.errors
    assert found.close() == []  # no other machine was asked
    assert errors == []


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine")
def test_the_page_follows_a_run_that_goes_on(raw, tmp_path, browser) -> None:
    """A job in a thread, a browser beside it: the bar moves, and the reader is left in peace."""
    folder = tmp_path / "run"
    op = Op(slow_sum, dtype=np.int64, params={"seconds": 1.5})

    def work() -> None:
        with attended(folder) as attendance:
            engine = JobEngine(folder, attendance=attendance)
            engine.map(op, raw, grid=GRID, name="slow")

    job = threading.Thread(target=work)
    with LiveServer.start(str(folder), seconds=0.5) as server:
        browser.open(server.url)
        browser.wait("document.body.innerText.includes('Not begun')")
        browser.run("window.same = true")
        job.start()
        bar = "document.querySelector('progress[data-stage=slow]')"
        browser.wait(f"{bar} && {bar}.value >= 1")
        browser.screenshot(tmp_path / "going-on.png")
        seen = browser.run(f"{bar}.value")
        assert browser.run("document.querySelector('#lead').innerText").startswith("going on")
        browser.wait(f"{bar}.value > {seen}")
        browser.wait("document.querySelector('#lead').innerText.startsWith('finished')")
        job.join()
        browser.wait("document.getElementById('live').innerText.startsWith('nobody works')")
        assert browser.run(f"{bar}.value") == 3
        assert browser.run("!!document.getElementById('slowest-blocks')")
        assert browser.run("window.same") is True  # it was never loaded again
        # What a reader has opened stays open; and trouble is said, not swallowed.
        assert browser.run("document.body.dataset.trouble") is None
        browser.screenshot(tmp_path / "finished.png")
        browser.open("about:blank")


@contextmanager
def volkit(*words: str, stdout: Any) -> Iterator[subprocess.Popen[str]]:
    """Begin a command as a user does; it does not outlive a test that failed."""
    code = "from volkit.cli import main; main()"
    begun = subprocess.Popen(
        [sys.executable, "-u", "-c", code, *words],
        stdout=stdout,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with begun:
        try:
            yield begun
        except BaseException:
            begun.kill()
            raise


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine")
def test_the_page_follows_a_real_run_and_links_its_dashboard(tmp_path, browser) -> None:
    """`volkit live`, and beside it `volkit run --workers 2`, as two processes of one user."""
    workflow, log = str(tiny_workflow(tmp_path, shape=(24, 64, 60))), tmp_path / "run.log"
    lead, link = "document.querySelector('#lead')", "document.querySelector('#lead a[href*=token]')"
    finished = "[...document.querySelectorAll('progress')].reduce((sum, bar) => sum + bar.value, 0)"
    options = ("--no-browser", "--every", "0.5")
    with volkit("live", str(tmp_path / "run"), *options, stdout=subprocess.PIPE) as live:
        browser.open(live.stdout.readline().strip())
        browser.wait("document.body.innerText.includes('Not begun')")
        browser.run("window.same = true")
        with log.open("w") as file, volkit("run", workflow, "--workers", "2", stdout=file) as run:
            address = browser.wait(f"{link} && {link}.href", seconds=120)
            assert browser.run(f"{lead}.innerText").startswith("going on")
            code, page, _ = get(address)
            assert (code, "<title>Dask Diagnostic UI</title>" in page) == (200, True)
            assert get(address.partition("?")[0])[0] == 403
            seen = browser.wait(finished)
            browser.wait(f"{finished} > {seen}")
            browser.screenshot(tmp_path / "two-workers.png")
            run.wait()
        assert run.returncode == 0, log.read_text()
        browser.wait(f"{lead}.innerText.startsWith('finished') && !{link}")
        assert browser.run("window.same") is True  # it was never loaded again
        assert browser.run("document.body.dataset.trouble") is None
        browser.open("about:blank")
        live.send_signal(signal.SIGINT)
    assert live.returncode == 0
