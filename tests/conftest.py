"""Fixtures that many tests share."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as processors: no threads beside
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest
from _pytest.doctest import DoctestModule

# No test cuts the power, and a killed process leaves all that it wrote: none waits for the disk.
os.fsync = lambda file: None

hypothesis.settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True)
hypothesis.settings.register_profile("nightly", max_examples=1000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real volumes, beside the checkout; absent on most machines."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real volumes are not here ({folder.name} beside the checkout is absent)")
    return folder


@dataclass
class Begun:
    """A process that `WarmPython` began, the leader of its own session."""

    server: subprocess.Popen[str]
    arguments: list[str]
    pid: int
    out: Path
    err: Path
    ended: subprocess.CompletedProcess[str] | None = None

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; how it ended, and what it printed."""
        if self.ended is None:
            code = int(self.server.stdout.readline())
            said, err = self.out.read_text(), self.err.read_text()
            self.ended = subprocess.CompletedProcess(self.arguments, code, said, err)
        return self.ended

    def wait_for(self, ready: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + 300  # of a machine that is busy with other things
        while not ready():
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                raise AssertionError(f"it has ended: {self.wait()}") from None
            assert time.monotonic() < deadline
            time.sleep(0.001)


@dataclass(frozen=True)
class WarmPython:
    """Runs Python as `subprocess` does, but begins with all imported that commands need."""

    server: subprocess.Popen[str]

    def __call__(self, *arguments: object, **how: Any) -> subprocess.CompletedProcess[str]:
        """Run ``python ARGUMENTS`` to its end; options as for `begin`."""
        with self.begin(*arguments, **how) as begun:
            return begun.wait()

    @contextmanager
    def begin(
        self,
        *arguments: object,
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
        together: bool = False,
    ) -> Iterator[Begun]:
        """Begin ``python ARGUMENTS``, one at a time, and wait for its end.

        ``together`` puts errors where they come in its output.
        """
        with TemporaryDirectory() as place:
            out, err = (Path(place, name) for name in ("out", "err"))
            for path in (out, err):
                path.touch()
            words = [str(argument) for argument in arguments]
            order = {
                "arguments": words,
                "folder": str(folder or Path.cwd()),
                "environment": dict(os.environ) if environment is None else environment,
                "out": str(out),
                "err": str(out if together else err),
            }
            self.server.stdin.write(json.dumps(order) + "\n")
            self.server.stdin.flush()
            begun = Begun(self.server, words, int(self.server.stdout.readline()), out, err)
            try:
                yield begun
            except BaseException:
                for end in (os.killpg, os.kill):
                    with suppress(ProcessLookupError):
                        end(begun.pid, signal.SIGKILL)
                raise
            finally:
                begun.wait()


@pytest.fixture(scope="session")
def warm_python() -> Iterator[WarmPython]:
    """A Python that begins at once, for tests of what processes do rather than how they begin."""
    command = [sys.executable, str(Path(__file__).with_name("warm_python.py"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # libraries begin none for later
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        yield WarmPython(server)
        server.stdin.close()


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[Any], list[Any]]:
    """Look for examples in the package alone: the docstrings of tests have none."""
    return [file for file in (yield) if not isinstance(file, DoctestModule)]


def pytest_collection_finish() -> None:
    """Let no search for garbage look through what is there now: it is most of all objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless it is asked for with ``-m slow``."""
    if "slow" in config.getoption("-m"):
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="slow; ask for it with -m slow"))
