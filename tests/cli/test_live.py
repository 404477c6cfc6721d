"""volkit live: a page that is served until somebody has seen enough, and its links."""

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from volkit.cli import run_tables
from volkit.engine.attendance import attended
from volkit.engine.job import JobEngine
from volkit.geometry import Grid
from volkit.io.open import create_volume
from volkit.pipelines.live_server import LiveServer
from volkit.pipelines.status import read_status
from volkit.testing.blocks import NEIGHBOUR_SUM
from volkit.viewer.shown_places import ShownPlaces


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    raw = create_volume(tmp_path / "raw.zarr", shape=(4, 4, 12), dtype=np.uint8,
                        voxel_size_nm=(8, 8, 8))  # fmt: skip
    raw.write(raw.domain, np.ones(raw.shape, np.uint8))
    folder = tmp_path / "run"
    JobEngine(folder).map(NEIGHBOUR_SUM, raw, grid=Grid(raw.domain, (4, 4, 4)), name="sums")
    return folder


def test_the_command_serves_until_it_is_interrupted(run) -> None:
    code = f"from volkit.cli import main; main(['live', {str(run)!r}, '--no-browser'])"
    served = subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        url = served.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/run/[\w-]+/", url)
        assert "Ctrl-C ends it" in served.stdout.readline()
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert 'data-stage="sums"' in answer.read().decode()
    finally:
        served.send_signal(signal.SIGINT)
        _, err = served.communicate(timeout=30)
    assert served.returncode == 0
    assert "Traceback" not in err


def test_links_of_the_page_open_the_viewer_at_the_block(run) -> None:
    with (
        ShownPlaces(str(run), most=2) as places,
        LiveServer.start(str(run), on_view=places.show) as server,
    ):
        with urllib.request.urlopen(server.url, timeout=20) as answer:
            link = re.search(r'href="(view\?at=[\d,]+)"', answer.read().decode()).group(1)
        with urllib.request.urlopen(server.url + link, timeout=60) as answer:
            assert "/view/" in answer.url
            page = answer.read().decode()
        assert "<iframe" in page
        z, y, x = (float(n) for n in link.partition("=")[2].split(","))
        (view,) = places._views.values()
        assert view.state["position"] == [x, y, z]
        assert places.show((z, y, x)) == answer.url  # the one that is open
        first = places.show((0.0, 0.0, 0.0))
        places.show((1.0, 1.0, 1.0))
        assert len(places._views) == 2
        assert places.show((0.0, 0.0, 0.0)) == first
    assert places._views == {}


def test_status_in_a_terminal_links_the_dashboard_of_a_run_that_goes_on(run) -> None:
    link = "http://127.0.0.1:8787/status?token=x"
    with attended(run) as attendance:
        attendance.show(link)
        attendance.note("sums", in_flight=1, workers=1, threads=1)
        assert f"dashboard: {link}" in list(run_tables.status_lines(read_status(run)))
    assert not any("dashboard" in line for line in run_tables.status_lines(read_status(run)))
