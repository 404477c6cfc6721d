"""Worker processes that do not start: told, tried again, and the end where none ever does."""

import gc
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path

import psutil
import pytest

from volkit.engine.cluster import local, local_client
from volkit.engine.dispatch import dispatch
from volkit.errors import ConfigError


@pytest.fixture(autouse=True)
def python() -> Iterator[None]:
    """Whatever a test starts instead of Python, the next one starts Python."""
    resource_tracker.ensure_running()  # which is started in the same way
    yield
    multiprocessing.set_executable(sys.executable)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker counts as lost after half a second instead of many."""
    monkeypatch.setattr(local, "_RESTART_SECONDS", 0.5)


def break_python() -> None:
    """Let processes that are started from now on end at once."""
    multiprocessing.set_executable(shutil.which("false"))


def test_a_worker_that_does_not_start_is_told_and_tried_again() -> None:
    said = []

    def hear(text: str) -> None:
        said.append(text)
        if "did not start" in text:
            multiprocessing.set_executable(sys.executable)

    with local_client(1, memory_limit="1GB", on_message=hear) as client:
        before = client.submit(os.getpid).result()
        break_python()
        os.kill(before, signal.SIGKILL)
        assert client.submit(os.getpid, pure=False).result(timeout=60) != before
    assert said[0].startswith("a worker process did not start: ")


def test_where_no_worker_starts_any_more_work_ends_with_why() -> None:
    with local_client(2, memory_limit="1GB") as client:
        break_python()
        with pytest.raises(ConfigError, match="3 attempts .* the last: a worker process did not"):
            dispatch(os._exit, iter([1, 2]), client=client, receive=lambda outcome: None)


def test_a_cluster_of_which_no_worker_starts_says_so() -> None:
    break_python()
    with pytest.raises(ConfigError, match="a worker process did not start: .*; ask for fewer"):
        local_client(1).__enter__()


def test_a_start_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    multiprocessing.set_executable(str(program))
    monkeypatch.setattr(local, "_START_SECONDS", 2.0)
    with pytest.raises(ConfigError, match=r"a worker process did not start: .*; ask for fewer"):
        local_client(1).__enter__()
    end = time.monotonic() + 60
    while any(child.name() == "sleep" for child in psutil.Process().children(recursive=True)):
        assert time.monotonic() < end, "the process that hung is still there"
        gc.collect()  # what has it as its child is forgotten, and ends it then
