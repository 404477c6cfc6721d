"""Presence: whether a cluster that somebody else keeps still has workers for what was handed out.

A scheduler whose workers have all gone keeps tasks for ever, in case others come.  A run waits for
a while, says so, and goes on when they come; else it ends with a message.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from volkit.engine.cluster.watch import Watch
from volkit.errors import SourceError

_LOOK_SECONDS = 1.0
_QUIET_SECONDS = 3.0  # results come in meanwhile, or a scheduler of thousands need not be asked


@dataclass(slots=True, eq=False)
class Presence:
    """Looks for workers while work waits.

    Parameters
    ----------
    client : distributed.Client
        Of a scheduler that somebody else has started.
    watch : Watch
        Knows what tasks ask for and how long to wait; told of problems.
    """

    client: Any
    watch: Watch
    _gone: float | None = None
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """Begin to look, in the thread of the client's event loop."""
        self.client.loop.add_callback(self._look_again_and_again)

    def stop(self) -> None:
        """Look no more."""
        self.client.loop.add_callback(self._stopped.set)

    async def _look_again_and_again(self) -> None:
        while not self._stopped.is_set() and not self.watch.problem:
            await self._look(time.monotonic())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), _LOOK_SECONDS)

    async def _look(self, now: float) -> None:
        if not self.client.futures or now - self.watch.seen < _QUIET_SECONDS:
            self._gone = None
            return
        present = await self._count()
        if present is None:
            return  # no scheduler either: the client hears of that by itself
        place, wait = self.client.scheduler.address, self.watch.wait_seconds
        what = f"{self.watch.asks} worker" if self.watch.asks else "worker"
        if present:
            if self._gone is not None:
                self._gone = None
                self.watch.tell(f"{place} has a {what} again: going on")
            return
        if self._gone is None:
            self._gone = now
            self.watch.tell(
                f"{place} has no {what} left; waiting up to {wait:.0f} s for one to come (what is "
                "finished is kept)"
            )
        elif now - self._gone > wait:
            self.watch.fail(
                self.client,
                f"all workers that this stage could use left the scheduler {place}, and no {what} "
                f"came within {wait:.0f} s; what is finished is kept: start some there and run "
                "again (cluster.wait_minutes says how long to wait)",
                SourceError,
            )

    async def _count(self) -> int | None:
        """Count the workers that could do what was handed out; None where nobody answers."""
        try:
            told = await self.client.scheduler.identity(n_workers=-1)
        except (OSError, AttributeError):
            return None
        asked = self.watch.asks
        return sum(not asked or asked in each["resources"] for each in told["workers"].values())


@contextmanager
def attended_to(presence: Presence) -> Iterator[Presence]:
    """Look for workers for a while."""
    presence.start()
    try:
        yield presence
    finally:
        presence.stop()
