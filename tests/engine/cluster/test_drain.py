"""Workers that leave by themselves, in a cluster of this process."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from volkit.engine.cluster.drain import Drain
from volkit.engine.workers import workers_of


@pytest.fixture
def client() -> Iterator[Any]:
    with (
        LocalCluster(
            n_workers=1, processes=False, threads_per_worker=1, dashboard_address="127.0.0.1:0"
        ) as cluster,
        cluster.get_client() as client,
    ):
        yield client


def _noted(log: Path, seconds: float) -> str:
    time.sleep(seconds)
    with log.open("a") as file:
        file.write("x")
    return "found"


def _gone(client: Any, worker: str) -> bool:
    end = time.monotonic() + 60
    while worker in workers_of(client) and time.monotonic() < end:
        time.sleep(0.02)
    return worker not in workers_of(client)


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_a_result_that_nobody_else_has_waits_for_the_next_worker(
    client: Any, tmp_path: Path, seconds: float
) -> None:
    (worker,) = workers_of(client)
    found = client.submit(_noted, tmp_path / "log", seconds, pure=False)
    client.register_plugin(Drain(0.5, stagger=0.0, grace=60.0))
    time.sleep(3.0)  # well past the time: without another worker it stays, and takes nothing new
    late = client.submit(_noted, tmp_path / "late", 0.0, pure=False)
    time.sleep(0.5)
    assert worker in workers_of(client)
    assert not (tmp_path / "late").exists()
    client.unregister_worker_plugin(Drain.name)
    client.cluster.scale(2)
    assert _gone(client, worker)
    assert (found.result(), late.result()) == ("found", "found")
    assert (tmp_path / "log").read_text() == "x"  # computed once


def test_what_is_not_settled_when_the_grace_is_out_does_not_keep_the_worker(
    client: Any, tmp_path: Path
) -> None:
    (worker,) = workers_of(client)
    kept = client.submit(_noted, tmp_path / "log", 0.0, pure=False)
    assert kept.result() == "found"
    client.register_plugin(Drain(0.2, stagger=0.0, grace=1.0))
    assert _gone(client, worker)
