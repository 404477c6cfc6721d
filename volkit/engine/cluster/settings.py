"""Settings of dask for jobs of blocks, where its own are meant for interactive work."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from volkit.engine import allocator

# By default a worker that waits takes 3% of a core, and a scheduler 4%, for what nobody looks at:
# stacks sampled a hundred times a second, and loads and delays of event loops.  Half of what is
# left then is looking at the memory of each worker ten times a second, from within and without.
_QUIET: dict[str, Any] = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.memory.monitor-interval": "250ms",
}
# Results leave a worker as small records, so nothing is ever spilled; memory that a kernel holds
# cannot be.  Nor is a worker paused: what it holds between blocks is what it has imported and what
# its heap keeps (``allocator``), neither shrinks while it waits, and it would wait for ever.  One
# that takes too much all the same is ended, and its block given to another, or named.
# Workers serve no web pages: the scheduler's show them all.
WORKER: dict[str, Any] = {
    **_QUIET,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    "distributed.worker.http.routes": [],
    "distributed.comm.timeouts.connect": "60s",
}
# No retries of calls here: a result that is asked of a dead worker is computed again instead.
_SCHEDULER: dict[str, Any] = {
    **_QUIET,
    # Native code may hold Python's lock, and with it the heartbeat, for minutes.
    "distributed.scheduler.worker-ttl": "30 minutes",
    # Those who keep a cluster replace lost workers; dask would only take them away.
    "distributed.deploy.lost-worker-timeout": "1 day",
    **{
        f"distributed.nanny.pre-spawn-environ.{name}": value
        for name, value in allocator.ENVIRONMENT.items()
    },
}
# Of jobs that are ended from outside, each death would be laid at the door of blocks that waited.
_DEATHS_OF_JOBS = 10


@contextmanager
def scheduler_settings(*, jobs: bool = False) -> Iterator[None]:
    """Set what a scheduler in this process reads, for as long as it lives.

    Parameters
    ----------
    jobs : bool
        Whether workers are batch jobs, which die for reasons of their own.
    """
    import dask

    more = {"distributed.scheduler.allowed-failures": _DEATHS_OF_JOBS} if jobs else {}
    with dask.config.set({**_SCHEDULER, **more}):
        yield


def worker_environment() -> dict[str, str]:
    """Write the settings of workers as environment variables, for job scripts."""
    settings = {
        "DASK_" + key.upper().replace(".", "__").replace("-", "_"): json.dumps(value)
        if not isinstance(value, str | bool)
        else str(value)
        for key, value in WORKER.items()
    }
    return {**settings, **{name: str(value) for name, value in allocator.ENVIRONMENT.items()}}
