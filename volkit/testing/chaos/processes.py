"""Processes of a trial: started here, found with their children, and ended by their ids."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_POLL_SECONDS = 0.01
_START_SECONDS = 120.0  # where other work presses hard
_WORKER = ("--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1", "--nanny")


@dataclass(slots=True)
class Processes:
    """Everything that a trial has started.

    Parameters
    ----------
    folder : Path
        Where their output goes.
    environment : dict
        Their variables, on top of this process's.
    """

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    seen: dict[int, psutil.Process] = field(default_factory=dict)

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``python -m module`` with its output in a file of its own."""
        number = len(self.started)
        quiet = {"OMP_NUM_THREADS": "1", "MALLOC_TRIM_THRESHOLD_": "65536"}
        with (self.folder / f"process-{number}.txt").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **quiet, **self.environment},
            )
        self.started.append(process)
        return process

    def said(self, process: subprocess.Popen[bytes]) -> str:
        """Read what a process has printed so far."""
        path = self.folder / f"process-{self.started.index(process)}.txt"
        return path.read_text(errors="replace")

    def look(self) -> None:
        """Remember the children of what was started, while they can be found."""
        for process in self.started:
            with contextlib.suppress(psutil.Error):
                found = psutil.Process(process.pid)
                for each in (found, *found.children(recursive=True)):
                    self.seen.setdefault(each.pid, each)

    def workers(self, process: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """Find the worker processes below a client or a nanny."""
        self.look()
        try:
            found = psutil.Process(process.pid).children(recursive=True)
            return [each for each in found if "spawn_main" in " ".join(each.cmdline())]
        except psutil.Error:
            return []

    def kill(self, found: Iterable[psutil.Process | subprocess.Popen[bytes]]) -> int:
        """Send SIGKILL to processes; how many of them still ran."""
        self.look()
        count = 0
        for process in found:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                ended = isinstance(process, subprocess.Popen) and process.poll() is not None
                process.send_signal(signal.SIGKILL)
                count += not ended
        return count

    def end_all(self) -> None:
        """End whatever is left, and wait for it."""
        self.look()
        alive = [process for process in self.seen.values() if process.is_running()]
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)
                process.kill()
        for started in self.started:
            started.wait(30)
        psutil.wait_procs(alive, timeout=30)


def wait_until(ready: Callable[[], bool], *, seconds: float) -> bool:
    """Wait until something is so; False if it never was."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def start_cluster(processes: Processes) -> tuple[str, list["subprocess.Popen[bytes]"]]:
    """Start a scheduler and two nannies as processes of their own.

    Returns
    -------
    str
        Address of the scheduler, which is the first process.
    list of Popen
        The nannies.
    """
    here = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    scheduler = processes.start("distributed.cli.dask_scheduler", *here)
    wait_until(lambda: "Scheduler at:" in processes.said(scheduler), seconds=_START_SECONDS)
    address = processes.said(scheduler).partition("Scheduler at:")[2].split()[0]
    return address, [start_nanny(processes, address) for _ in range(2)]


def start_nanny(processes: Processes, address: str) -> "subprocess.Popen[bytes]":
    """Start a nanny of one worker."""
    return processes.start("distributed.cli.dask_worker", address, *_WORKER)
