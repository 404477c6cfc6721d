"""Behind: what a block leaves to be done beside the next one, such as files that reach the disk.

A disk takes its time, in which a processor has none of its own to spend.  A block is finished only
when all that it left is done: nothing is marked before it is stored.  ::

    block    1 ───────┐ 2 ───────┐ 3 ───────┐
    behind            └ 1 ──┐    └ 2 ──┐    └ 3 ──┐
"""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from volkit.engine.usage import metered

_MOST = 2  # that wait for the disk: what they hold in memory stays little


def behind(call: Callable[[], object]) -> None:
    """Do something beside the next block of this batch; at once where there is no batch.

    Parameters
    ----------
    call : callable
        What is left of a block once its numbers are known; if it fails, the block fails.
    """
    batch = _here.batch
    if batch is None:
        call()
    else:
        batch.leave(call)


class Behind:
    """What the blocks of a batch have left, in the order of the blocks.

    Attributes
    ----------
    number : int
        Of the block at work.
    """

    def __init__(self) -> None:
        self.number = -1
        self._left: list[tuple[int, Future[object]]] = []
        self._pool: ThreadPoolExecutor | None = None
        self._outer: Behind | None = None

    def __enter__(self) -> Self:
        self._outer, _here.batch = _here.batch, self
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Leave nothing undone, whatever happened."""
        _here.batch = self._outer
        if self._pool is not None:
            self._pool.shutdown()

    def leave(self, call: Callable[[], object]) -> None:
        """Begin something beside, when there is room for it."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="volkit-behind")
        if len(self._left) >= _MOST:
            with metered("wait"):
                self._left[-_MOST][1].exception()
        self._left.append((self.number, self._pool.submit(call)))

    def failed(self) -> Iterator[tuple[int, Exception]]:
        """Wait for all that was left, and give the blocks that fail by it.

        Meanwhile a worker of a cluster begins its next task.
        """
        if any(not future.done() for _, future in self._left):
            _give_way()
        for number, future in self._left:
            with metered("wait"):
                error = future.exception()
            if isinstance(error, Exception):
                yield number, error
            elif error is not None:
                raise error


class _Here(threading.local):
    """Of this thread: the batch at work."""

    batch: Behind | None = None


_here = _Here()


def _give_way() -> None:
    """Let another task begin in the place of this thread, where it is one of a worker."""
    if "distributed" not in sys.modules:
        return
    from distributed import get_worker, secede

    try:
        get_worker()
    except ValueError:
        return
    secede()
