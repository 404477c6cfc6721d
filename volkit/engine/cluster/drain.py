"""Drain: a worker that nears the walltime of its job finishes what it has begun, and leaves."""

import asyncio
import random
from typing import Any

from distributed import WorkerPlugin
from distributed.core import Status

_POLL_SECONDS = 0.2


class Drain(WorkerPlugin):
    """Ends a worker gracefully, after a time.

    Parameters
    ----------
    seconds : float
        How long it takes tasks.
    stagger : float
        Up to how much sooner it may end, at random: jobs that began together should not all be
        gone at once.
    grace : float
        How long a task that has begun may still take.
    """

    name = "volkit-drain"

    def __init__(self, seconds: float, *, stagger: float, grace: float) -> None:
        self.seconds = seconds
        self.stagger = stagger
        self.grace = grace

    def setup(self, worker: Any) -> None:
        """Set the clock when the worker comes."""
        delay = self.seconds - random.uniform(0, self.stagger)
        worker.loop.call_later(delay, self._end, worker)

    async def _end(self, worker: Any) -> None:
        if worker.status != Status.running:
            return
        worker.status = Status.closing_gracefully  # the scheduler gives it nothing more
        waited = 0.0
        while worker.state.executing and waited < self.grace:
            await asyncio.sleep(_POLL_SECONDS)
            waited += _POLL_SECONDS
        await worker.scheduler.retire_workers(
            workers=[worker.address], close_workers=False, remove=True, stimulus_id="volkit-drain"
        )
        await worker.close(nanny=True, reason="volkit-drain")
