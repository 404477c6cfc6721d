"""Cluster: where a pipeline's blocks run, as its workflow says."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from volkit.engine.cluster import connected_client, local_client
from volkit.errors import ConfigError
from volkit.pipelines.plan import GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Where blocks run.

    Parameters
    ----------
    scheduler : str, optional
        Address of a dask scheduler that is running; None starts workers on this machine.
    workers : int, optional
        Processes to start, one thread each; None is one for every processor; 0 works in this
        process alone.
    memory_gib : float, optional
        What each may use; None is an equal share of this machine's memory.
    """

    scheduler: str | None = None
    workers: int | None = None
    memory_gib: float | None = None

    def __post_init__(self) -> None:
        if (self.workers or 0) < 0 or (self.memory_gib is not None and self.memory_gib <= 0):
            raise ConfigError(
                f"workers {self.workers} and memory_gib {self.memory_gib}: expected 0 or more "
                "workers, and memory above 0"
            )

    @property
    def processes(self) -> int:
        """Processes to start on this machine; 0 where none are."""
        if self.scheduler is not None:
            return 0
        return processors() if self.workers is None else self.workers

    @property
    def memory_bytes(self) -> int | None:
        """What each worker may use; None where another machine decides."""
        if self.memory_gib is not None:
            return int(self.memory_gib * GIB)
        if self.scheduler is not None:
            return None
        from distributed.system import MEMORY_LIMIT  # of the container, where there is one

        return int(MEMORY_LIMIT) // max(1, self.processes)


def processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def workers(options: ClusterOptions) -> Iterator[Any]:
    """Connect to, or start, what the options ask for.

    Parameters
    ----------
    options : ClusterOptions
        Where blocks run.

    Yields
    ------
    distributed.Client or None
        None where blocks run in this process.

    Raises
    ------
    SourceError
        If no scheduler answers at the address.
    """
    if options.scheduler is not None:
        with connected_client(options.scheduler) as client:
            yield client
    elif options.processes:
        local = local_client(options.processes, memory_limit=options.memory_bytes or "auto")
        with ExitStack() as stack:
            with _interrupts_ignored():
                client = stack.enter_context(local)
            yield client
    else:
        yield None


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: the one that started them ends them.

    A terminal sends it to all of them, and each would print a traceback of its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what signals do
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
