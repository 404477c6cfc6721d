"""Keeper: holds each kind of worker of a cluster at the number that the work asks for.

Workers that are lost, or do not start, are replaced; where none starts at all, it ends in one
message.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from volkit.engine.cluster.watch import Watch

Spec = dict[str, Any]
Ended = Callable[[Mapping[str, Any]], Awaitable[dict[str, str]]]

_TICK_SECONDS = 0.5
_ASK_SECONDS = 3.0  # a queueing system answers slowly, and to everybody
_WORTH_SECONDS = 60.0  # of work for a worker, below which it is not started
_MOST_FAILURES = 3
_UNSUBMITTED = "a job could not be submitted"


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers of one kind.

    Parameters
    ----------
    kind : str
        ``CPU`` or ``GPU``.
    specs : tuple of dict
        How each is started, as ``distributed.SpecCluster`` has it.
    size : int
        Worker processes that one spec starts.
    """

    kind: str
    specs: tuple[Spec, ...]
    size: int = 1

    def names(self) -> list[str]:
        """Name the places of its workers."""
        return [f"{self.kind.lower()}-{n}" for n in range(len(self.specs))]


@dataclass(slots=True, eq=False)
class Keeper:
    """Keeps the pools of a cluster.

    Parameters
    ----------
    cluster : distributed.SpecCluster
        Whose ``worker_spec`` it alone changes.
    client : distributed.Client
        Of the cluster.
    watch : Watch
        What is left to do, and where problems are told.
    pools : tuple of Pool
        At most one of each kind.
    adaptive : bool
        Whether numbers follow the work; else all are started.
    idle_seconds : float
        How long workers without work are kept.
    lost_seconds : float
        How long a worker may be away.
    ended : callable or None
        Says of jobs that have not become workers which have ended, and why; None where workers are
        processes of this machine, which have started or failed when the cluster knows them.
    """

    cluster: Any
    client: Any
    watch: Watch
    pools: tuple[Pool, ...]
    adaptive: bool = False
    idle_seconds: float = 600.0
    lost_seconds: float = 2.0
    ended: Ended | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _seen: set[str] = field(default_factory=set)
    _away: dict[str, float] = field(default_factory=dict)
    _idle: dict[str, float] = field(default_factory=dict)
    _failures: int = 0
    _asked: float = 0.0
    _rest_until: float = 0.0
    _stopped: bool = False

    def start(self) -> None:
        """Begin to keep the cluster, in the thread of its event loop."""
        self.cluster.loop.add_callback(self._keep)

    def stop(self) -> None:
        """Leave the cluster alone from now on."""
        self._stopped = True

    async def _keep(self) -> None:
        while not self._stopped and not self.watch.problem:
            await self._tick()
            await asyncio.sleep(_TICK_SECONDS)

    async def _tick(self) -> None:
        now = time.monotonic()
        names = {str(worker.name) for worker in self.cluster.scheduler.workers.values()}
        self._part_with_lost(names, now)
        await self._part_with_ended(now)
        if now < self._rest_until or self._stopped or self.watch.problem:
            return
        for pool in self.pools:
            self._adjust(pool, now)
        try:
            await self.cluster._correct_state()
        # Whatever dask raises, also an assertion: who stopped here would never replace a worker.
        except Exception as error:
            if not self._stopped:
                self._forget_unsubmitted()
                started = "a worker process did not start" if self.ended is None else _UNSUBMITTED
                self._fail(f"{started}: {first_lines(error)}")

    def _part_with_lost(self, names: set[str], now: float) -> None:
        """Forget workers that have gone or never came; what is missing is started anew."""
        for name in list(self.cluster.workers):
            if any(n == name or n.startswith(f"{name}-") for n in names):
                self._seen.add(name)
                self._away.pop(name, None)
                self._failures = 0
            elif name not in self._seen and self.ended is not None:
                continue  # a job that may still wait
            elif now - self._away.setdefault(name, now) > self.lost_seconds:
                self._drop(name)

    async def _part_with_ended(self, now: float) -> None:
        """Forget jobs that ended before they became workers, and say why others wait."""
        if self.ended is None or now - self._asked < _ASK_SECONDS:
            return
        self._asked = now
        waiting = {n: job for n, job in self.cluster.workers.items() if n not in self._seen}
        if not waiting:
            return
        try:
            ended = await self.ended(waiting)
        except OSError as error:
            self.watch.tell(f"the queueing system cannot be asked now: {error}")
            return
        for name, why in ended.items():
            if name not in self._seen and name in self.cluster.worker_spec:
                self._drop(name)
                self._fail(why)

    def _adjust(self, pool: Pool, now: float) -> None:
        """Bring the number of one kind nearer to what is wanted."""
        places = dict(zip(pool.names(), pool.specs, strict=True))
        have = {_place(name): name for name in self.cluster.worker_spec if _place(name) in places}
        wanted = self.wanted(pool)
        if wanted >= len(have):
            self._idle.pop(pool.kind, None)
            free = [place for place in places if place not in have]
            for place in free[: wanted - len(have)]:
                # A name of its own: what is still heard of the one before must not be meant.
                self.cluster.worker_spec[f"{place}.{next(self._numbers)}"] = places[place]
            return
        # Jobs that still wait are not needed; workers are kept for the stage that comes next.
        names = list(reversed(have.values()))
        surplus = [name for name in names if name not in self._seen]
        if now - self._idle.setdefault(pool.kind, now) > self.idle_seconds:
            surplus += [name for name in names if name in self._seen]
        for name in surplus[: len(have) - wanted]:
            self._drop(name)

    def wanted(self, pool: Pool) -> int:
        """Say how many specs of a pool the work asks for."""
        if not self.adaptive:
            return len(pool.specs)
        backlog, kinds = self.watch.backlog, {p.kind for p in self.pools}
        if backlog is None or not backlog.blocks:
            return 0
        if (backlog.kind if backlog.kind in kinds else self.pools[0].kind) != pool.kind:
            return 0
        processes: float = backlog.blocks
        if backlog.seconds_each is not None:
            processes = min(processes, backlog.blocks * backlog.seconds_each / _WORTH_SECONDS)
        return max(1, min(len(pool.specs), math.ceil(processes / pool.size)))

    def _drop(self, name: str) -> None:
        self.cluster.worker_spec.pop(name, None)
        self._seen.discard(name)
        self._away.pop(name, None)

    def _forget_unsubmitted(self) -> None:
        for name, job in list(self.cluster.workers.items()):
            if getattr(job, "job_id", "") is None:
                self._drop(name)
                del self.cluster.workers[name]

    def _fail(self, why: str) -> None:
        """Count a failure; too many in a row, with no worker at all, are the end."""
        self._failures += 1
        self._rest_until = time.monotonic() + self._failures
        self.watch.tell(why)
        if self._failures >= _MOST_FAILURES and not self._seen:
            self.watch.fail(
                self.client,
                f"{self._failures} attempts one after another brought no worker; the last: {why}",
            )


@contextmanager
def kept(keeper: Keeper) -> Iterator[Keeper]:
    """Let a cluster be kept for a while."""
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()


def kinds_of(pools: tuple[Pool, ...]) -> frozenset[str]:
    """Name the kinds of workers that there may be."""
    return frozenset(pool.kind for pool in pools if pool.specs)


def _place(name: str) -> str:
    return name.partition(".")[0]


def first_lines(error: BaseException) -> str:
    """Take what a command or a worker said out of the message of its failure."""
    text = str(error.__cause__ or "") or str(error) or type(error).__name__
    return " ".join((text.partition("stderr:\n")[2] or text).split())[:400]
