"""A model of a run on many workers: how long it takes, and what it waits for.

Counts are far too large to play every block, and need not be: between the ends of a stage nothing
changes, so its throughput is the least of three rates, and only its last blocks are sampled.

* **Workers.** A block takes the time that was measured, reading and writing included, but no less
  than its bytes take over the link of one worker.  A share of the blocks fails and is done again.
  A worker works until its walltime ends or its machine dies; then it is away for a while, and a
  death loses half a task.
* **Storage.** All workers share one bandwidth; it does not degrade under load.
* **Scheduler.** It hands out so many tasks each second, of as many blocks as ``engine.dispatch``
  puts together.  Marking blocks in the ledger happens meanwhile and is part of that rate.

Stages follow one another.  A stage ends when its slowest last task does: while that runs, the other
workers idle.  Workers join one after another at the start of the run.

Left out: the levels of a reduction's tree above the blocks (1/64 of the pieces each), tables that
do not fit one worker, latency of requests, and several runs that share a store.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.task_size import blocks_per_task
from volkit.errors import ConfigError

Limit = str


@dataclass(frozen=True, slots=True)
class Work:
    """One stage of the run.

    Parameters
    ----------
    name : str
        Of the stage.
    blocks : int
        How many.
    seconds : ndarray of float, shape (N,)
        A sample of what blocks take; more than 0.
    bytes_each : float
        Read and written for a block, as stored.
    """

    name: str
    blocks: int
    seconds: NDArray[np.float64]
    bytes_each: float

    def __post_init__(self) -> None:
        if self.blocks < 1 or not len(self.seconds) or not float(np.min(self.seconds)) > 0:
            raise ConfigError(
                f"stage {self.name}: {self.blocks} blocks and {len(self.seconds)} times; give at "
                "least one block, and times above 0"
            )


@dataclass(frozen=True, slots=True)
class Site:
    """The machines.

    Parameters
    ----------
    worker_bytes_per_second : float
        Between one worker and the store.
    storage_bytes_per_second : float
        Between all workers and the store.
    tasks_per_second : float
        What the scheduler and the client manage.
    failing : float
        Share of the tries of a block that fail, 0 to below 1.
    death_hours : float
        Mean time until a worker dies.
    walltime_hours : float
        After which a worker is replaced, without losing what it does.
    away_seconds : float
        From the end of a worker until its successor works.
    joining_per_second : float
        Workers that the queue of the cluster starts.

    Raises
    ------
    ConfigError
        If a rate or a time is not above 0, or everything fails.
    """

    worker_bytes_per_second: float = 500e6
    storage_bytes_per_second: float = 10e9
    tasks_per_second: float = 300.0
    failing: float = 1e-3
    death_hours: float = 720.0
    walltime_hours: float = 24.0
    away_seconds: float = 120.0
    joining_per_second: float = 5.0

    def __post_init__(self) -> None:
        rates = {name: getattr(self, name) for name in self.__slots__ if name != "failing"}
        wrong = [name for name, value in rates.items() if not value > 0]
        if wrong or not 0 <= self.failing < 1:
            raise ConfigError(
                f"{', '.join(wrong) or 'failing'}: rates and times are above 0, failing is at "
                "least 0 and below 1"
            )

    def availability(self, task_seconds: float) -> float:
        """Tell which share of its time a worker does work that counts."""
        lost = self.away_seconds / self.walltime_hours
        lost += (self.away_seconds + task_seconds / 2) / self.death_hours
        return 1 / (1 + lost / 3600)


@dataclass(frozen=True, slots=True)
class Point:
    """What becomes of a run on a number of workers.

    Parameters
    ----------
    workers : int
        How many.
    seconds : float
        From the first worker's start to the last block.
    efficiency : float
        Against workers that do nothing but blocks, as measured: 0 to 1.
    blocks_per_second, bytes_per_second : float
        Mean over the run.
    limit : str
        What most of its time is spent waiting for: ``workers``, ``worker links``, ``storage``,
        ``scheduler`` or ``last blocks``.
    """

    workers: int
    seconds: float
    efficiency: float
    blocks_per_second: float
    bytes_per_second: float
    limit: Limit


def simulate(work: tuple[Work, ...], site: Site, workers: int, *, seed: int = 0) -> Point:
    """Run stages on a number of workers.

    Parameters
    ----------
    work : tuple of Work
        Stages, one after another.
    site : Site
        The machines.
    workers : int
        At least 1.
    seed : int
        Of the last blocks that are drawn.

    Returns
    -------
    Point

    Raises
    ------
    ConfigError
        If there is no worker or no stage.
    """
    if workers < 1 or not work:
        raise ConfigError(f"{workers} workers and {len(work)} stages; give at least one of each")
    rng = np.random.default_rng(seed)
    spent: dict[Limit, float] = {}
    for stage in work:
        rates = _rates(stage, site, workers)
        limit = min(rates, key=lambda name: rates[name])
        tail = _tail(stage, site, workers, rng)
        # The tail lies beside work of the others, whose mean over it is what rates leave out.
        spent[limit] = spent.get(limit, 0.0) + stage.blocks / rates[limit]
        spent["last blocks"] = spent.get("last blocks", 0.0) + tail
    joining = (workers - 1) / site.joining_per_second / 2
    seconds = sum(spent.values()) + joining
    blocks = sum(stage.blocks for stage in work)
    ideal = sum(stage.blocks * float(stage.seconds.mean()) for stage in work) / workers
    return Point(
        workers=workers,
        seconds=seconds,
        efficiency=min(1.0, ideal / seconds),
        blocks_per_second=blocks / seconds,
        bytes_per_second=sum(stage.blocks * stage.bytes_each for stage in work) / seconds,
        limit=max(spent, key=lambda name: spent[name]),
    )


def stops_scaling(stage: Work, site: Site) -> dict[Limit, int]:
    """Tell from how many workers on more of them do not help.

    Returns
    -------
    dict of str to int
        For ``storage`` and ``scheduler``, the number of workers that use it up; without those
        that a million workers do not.
    """
    # Longer tasks put the scheduler's end further off: look where it is met, from few to many.
    found: dict[Limit, int] = {}
    stage = replace(stage, blocks=10**15)  # so that there is always one for everybody
    for workers in np.unique(np.geomspace(1, 10**6, 2000).astype(int)).tolist():
        rates = _rates(stage, site, workers)
        busy = min(rates["workers"], rates["worker links"])
        for name in ("storage", "scheduler"):
            if rates[name] > busy:
                found.pop(name, None)
            else:
                found.setdefault(name, workers)
    return found


def as_json(point: Point) -> dict[str, Any]:
    """Write a Point as plain values."""
    return {name: getattr(point, name) for name in Point.__slots__}


def _rates(stage: Work, site: Site, workers: int) -> dict[Limit, float]:
    """Blocks per second that each resource alone would let pass."""
    mean, link = float(stage.seconds.mean()), stage.bytes_each / site.worker_bytes_per_second
    together = blocks_per_task(mean, workers)
    tries = 1 / (1 - site.failing)
    slow = float(np.maximum(stage.seconds, link).mean())
    busy = min(workers, -(-stage.blocks // together))
    count = busy * site.availability(slow * together) / tries
    many = max(stage.bytes_each, 1e-9) * tries
    return {
        "workers": count / mean,
        # Slower than measured only where a link is: then the link is what is waited for.
        "worker links": count / slow if slow > mean * 1.01 else float("inf"),
        "storage": site.storage_bytes_per_second / many,
        "scheduler": site.tasks_per_second * together / tries,
    }


def _tail(stage: Work, site: Site, workers: int, rng: np.random.Generator) -> float:
    """Draw how long the mean worker idles while the last task runs.

    Every worker is somewhere in a task when the queue is empty; long tasks are met more often.
    """
    together = blocks_per_task(float(stage.seconds.mean()), workers)
    many = min(workers, stage.blocks)
    shares = stage.seconds / stage.seconds.sum()
    tasks = rng.choice(stage.seconds, many, p=shares) * together
    left = tasks * rng.random(many)
    failed = float(tasks.mean()) if rng.random() < many * site.failing else 0.0
    return float(left.max() - left.mean()) + failed
