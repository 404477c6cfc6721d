"""Drain: a worker that nears the walltime of its job finishes what it has begun, and leaves."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from distributed import WorkerPlugin
from distributed.core import Status

_POLL_SECONDS = 0.2
_FETCH_SECONDS = 5.0


class Drain(WorkerPlugin):
    """Ends a worker gracefully, after a time: what it has computed does not go with it.

    Parameters
    ----------
    seconds : float
        How long it takes tasks.
    stagger : float
        Up to how much sooner it may end, at random: jobs that began together should not all be
        gone at once.
    grace : float
        How long a task that has begun may still take, and results to find another place.
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
        """Finish, hand over and close; whatever is not settled when the grace is out is lost."""
        end = time.monotonic() + self.grace
        while worker.status in (Status.running, Status.closing_gracefully):
            # Also after an attempt that failed: the scheduler sets the status back then.
            worker.status = Status.closing_gracefully  # the scheduler gives it nothing more
            await _until(lambda: not worker.state.executing, end)
            # Most results are on their way to the client, which then lets go of them.
            await _until(lambda: not worker.data, min(end, time.monotonic() + _FETCH_SECONDS))
            retired = await worker.scheduler.retire_workers(
                workers=[worker.address], close_workers=False, remove=True, stimulus_id=self.name
            )
            if retired or time.monotonic() >= end:
                await worker.close(nanny=True, reason=self.name)
                return
            # Nobody could take what it alone has: its successor may.
            await asyncio.sleep(_POLL_SECONDS)


async def _until(found: Callable[[], bool], end: float) -> None:
    while not found() and time.monotonic() < end:
        await asyncio.sleep(_POLL_SECONDS)
