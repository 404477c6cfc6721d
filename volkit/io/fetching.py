"""Fetching: several requests at once, in a few threads that a whole process shares."""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

REQUESTS_AT_ONCE = 8  # of a process: enough to hide latency, few enough for a public service

_inside = threading.local()


class _Threads:
    """The threads, made when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def pool(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(REQUESTS_AT_ONCE, "volkit-fetch", _enter)
            return self._pool


def _enter() -> None:
    _inside.pool = True


_threads = _Threads()


def _renew() -> None:
    """Begin anew in a process that was forked: threads do not come along."""
    global _threads
    _threads = _Threads()
    _inside.pool = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def fetch_at_once(calls: Iterable[Callable[[], object]]) -> None:
    """Make calls at once, and return when all have ended.

    A single call is made in this thread; so are all in a thread of the pool, which must not wait
    for another one.

    Parameters
    ----------
    calls : iterable of callable
        Each leaves its result somewhere.

    Raises
    ------
    Exception
        What the first one that failed raised; those that had not begun are left out then.
    """
    todo = list(calls)
    if len(todo) < 2 or getattr(_inside, "pool", False):
        for call in todo:
            call()
        return
    futures = [_threads.pool().submit(call) for call in todo]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
    finally:
        for future in futures:
            future.cancel()
    begun = [future for future in futures if not future.cancelled()]
    wait(begun)
    for future in begun:
        future.result()
