"""Roster: which workers of a cluster a stage runs on, and how many there are."""

import time
from dataclasses import dataclass, field
from typing import Any

from volkit.engine.cluster.watch import CPU, GPU, Backlog, Watch, watch_of
from volkit.engine.workers import workers_of
from volkit.errors import SourceError

_FRESH_SECONDS = 1.0  # asking a scheduler of thousands of workers takes a while
_MANY = 10**9
_SAY_SECONDS = 2.0  # workers that were started just now need no words


@dataclass(slots=True)
class Roster:
    """The workers that a stage runs on.

    Where a cluster has GPU workers, stages that need one run there and nowhere else, and all other
    stages on the CPU workers, if there are any.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    needs_gpu : bool
        Whether the stage runs a network.
    at_once : int
        Blocks that a GPU worker may work on at the same time.
    """

    client: Any
    needs_gpu: bool = False
    at_once: int = 1
    watch: Watch = field(init=False)
    _threads: dict[str, int] = field(default_factory=dict)
    _kind: str = ""
    _asked: float = 0.0

    def __post_init__(self) -> None:
        self.watch = watch_of(self.client)
        kind, backlog = GPU if self.needs_gpu else CPU, self.watch.backlog
        if backlog is None or backlog.kind != kind or not backlog.blocks:
            self.watch.backlog = Backlog(kind, _MANY)  # nobody has counted

    def wait(self) -> None:
        """Wait for the first worker.

        Raises
        ------
        ConfigError
            If the cluster cannot be used any more.
        SourceError
            If none comes to a cluster that nobody keeps.
        """
        begun, wait = time.monotonic(), self.watch.wait_seconds
        while not self.threads(fresh=True):
            waited, place = time.monotonic() - begun, self.client.scheduler.address
            if not self.watch.kinds and waited > wait:
                raise SourceError(
                    f"no worker came to the scheduler {place} within {wait:.0f} s; "
                    f"{self.watch.remedy}"
                )
            if not self.watch.kinds and waited > _SAY_SECONDS:
                self.watch.tell(f"{place} has no worker yet; waiting up to {wait:.0f} s for one")
            time.sleep(0.05)

    def threads(self, *, fresh: bool = False) -> dict[str, int]:
        """Count the threads of each worker that this stage may use, by address.

        Raises
        ------
        ConfigError
            If the cluster cannot be used any more.
        """
        self.watch.check()
        now = time.monotonic()
        if fresh or now - self._asked > _FRESH_SECONDS:
            try:
                found = workers_of(self.client)
            except OSError:  # the watch says why, if the scheduler is not back soon
                return self._threads
            self._kind = self._choose(found)
            self._threads = {
                address: self._slots(worker)
                for address, worker in found.items()
                if not self._kind or self._kind in worker["resources"]
            }
            self._asked = now
            self.watch.asks = self._kind
            if self._threads:
                self.watch.seen = now
        return self._threads

    @property
    def left(self) -> int:
        """Blocks of the stage that are not finished; very many where nobody has counted."""
        backlog = self.watch.backlog
        return _MANY if backlog is None else backlog.blocks

    @property
    def resources(self) -> dict[str, dict[str, float]]:
        """Arguments of ``client.submit`` that choose the kind of worker, and how much of one."""
        share = 1 / self.at_once if self._kind == GPU and self.needs_gpu else 1.0
        return {"resources": {self._kind: share}} if self._kind else {}

    def _slots(self, worker: dict[str, Any]) -> int:
        """Count the blocks that a worker takes at once: a GPU worker reads and writes beside."""
        threads = int(worker["nthreads"])
        return min(threads, self.at_once) if self._kind == GPU and self.needs_gpu else threads

    def _choose(self, workers: dict[str, Any]) -> str:
        kinds = self.watch.kinds or {kind for w in workers.values() for kind in w["resources"]}
        wanted = GPU if self.needs_gpu else CPU
        if wanted in kinds:
            return wanted
        # Beside a network there are threads to read and write, too many for kernels.
        return GPU if kinds == {GPU} else ""


def needs_gpu(task: object) -> bool:
    """Tell whether a task is for GPU workers, where the cluster has some."""
    return bool(getattr(task, "needs_gpu", False))


def at_once(task: object) -> int:
    """Count the blocks of a task that a process may work on at the same time."""
    return int(getattr(task, "at_once", 1))


def note_backlog(client: Any, task: object, left: int, seconds_each: float | None = None) -> None:
    """Say how much of a stage is left, for whoever keeps the cluster."""
    if client is not None:
        kind = GPU if needs_gpu(task) else CPU
        watch_of(client).backlog = Backlog(kind, left, seconds_each)
