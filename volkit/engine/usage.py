"""Usage: where the time of a worker process goes, and what it counts on the way."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class Usage:
    """What workers spent; adds up over blocks, processes and attempts.

    Parameters
    ----------
    worker_seconds : float
        That tasks lasted, of all threads that run tasks together.
    seconds : mapping of str to float
        Of these, by kind: what is missing to ``worker_seconds`` nobody metered.
    beside : mapping of str to float
        Seconds by kind that other threads spent at the same time, such as one that reads ahead.
    counts : mapping of str to int
        What was counted, by name.

    Examples
    --------
    >>> Usage(2.0, {"read": 0.5}) + Usage(1.0, {"read": 0.25}, {}, {"windows": 3})
    Usage(worker_seconds=3.0, seconds={'read': 0.75}, beside={}, counts={'windows': 3})
    """

    worker_seconds: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    beside: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.worker_seconds + other.worker_seconds,
            _added(self.seconds, other.seconds),
            _added(self.beside, other.beside),
            _added(self.counts, other.counts),
        )

    def __bool__(self) -> bool:
        """Tell whether there is anything in it."""
        return bool(self.worker_seconds or self.seconds or self.beside or self.counts)

    def of(self, kind: str) -> float:
        """Give the seconds of a kind, in whichever threads."""
        return self.seconds.get(kind, 0.0) + self.beside.get(kind, 0.0)

    def as_json(self) -> dict[str, Any]:
        """Give plain values, for :meth:`from_json`."""
        return {
            "worker_seconds": self.worker_seconds,
            "seconds": dict(self.seconds),
            "beside": dict(self.beside),
            "counts": dict(self.counts),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Take what :meth:`as_json` gave.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError
            If it is something else.
        """
        return cls(
            float(found["worker_seconds"]),
            {str(kind): float(s) for kind, s in found["seconds"].items()},
            {str(kind): float(s) for kind, s in found["beside"].items()},
            {str(name): int(n) for name, n in found["counts"].items()},
        )


class metered:  # noqa: N801 - reads as a verb: with metered("read")
    """Meter the time that a piece of code takes, under a kind.

    Metered code may hold more of it: the time of the inner one is its own, and not counted in the
    outer one.  What the thread of a task spends is told apart from what others spend beside it.

    Parameters
    ----------
    kind : str
        ``read``, ``network``, ``blend``, ``write`` or ``wait`` (for another thread); others are
        told by their name.

    Examples
    --------
    >>> _ = taken()
    >>> with metered("blend"), metered("read"):
    ...     count("bytes_read", 4)
    >>> usage = taken()
    >>> sorted(usage.beside), usage.counts, bool(taken())
    (['blend', 'read'], {'bytes_read': 4}, False)
    """

    __slots__ = ("_before", "_begun", "_kind")

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        self._before = _thread.inner
        _thread.inner = 0.0
        self._begun = perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        spent = perf_counter() - self._begun
        own = spent - _thread.inner
        _thread.inner = self._before + spent
        into = _meter.seconds if _thread.tasks else _meter.beside
        with _meter.lock:
            into[self._kind] = into.get(self._kind, 0.0) + own


class working:  # noqa: N801 - as above
    """Meter a task: what this thread does in it is the worker's own time, not time beside it."""

    __slots__ = ("_begun",)

    def __enter__(self) -> None:
        _thread.tasks += 1
        self._begun = perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _thread.tasks -= 1
        if not _thread.tasks:  # one task within another lasts no longer
            with _meter.lock:
                _meter.worker_seconds += perf_counter() - self._begun


def count(name: str, n: int = 1) -> None:
    """Count on, in this process.

    Parameters
    ----------
    name : str
        Of what is counted: ``windows``, ``skipped_windows``, ``bytes_read``, ``bytes_fetched``,
        ``bytes_written``; others are told by their name.
    n : int
        How many more.
    """
    with _meter.lock:
        _meter.counts[name] = _meter.counts.get(name, 0) + n


def taken() -> Usage:
    """Take what has accrued in this process since the last call.

    Returns
    -------
    Usage
        Of all threads; what is being metered right now is in a later one.
    """
    with _meter.lock:
        usage = Usage(_meter.worker_seconds, _meter.seconds, _meter.beside, _meter.counts)
        _meter.clear()
    return usage


class _Meter:
    """What has accrued in this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self.worker_seconds = 0.0
        self.seconds: dict[str, float] = {}
        self.beside: dict[str, float] = {}
        self.counts: dict[str, int] = {}


class _Thread(threading.local):
    """Of this thread: seconds that were metered within what is being metered, and open tasks."""

    inner = 0.0
    tasks = 0


_meter = _Meter()
_thread = _Thread()


def _added(some: Mapping[str, Number], more: Mapping[str, Number]) -> dict[str, Number]:
    total = dict(some)
    for name, n in more.items():
        total[name] = total[name] + n if name in total else n
    return total
