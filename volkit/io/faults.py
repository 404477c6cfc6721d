"""Faults: what went wrong with a store, and whether asking again can help.

The clients of the stores (requests, obstore, tensorstore, aiohttp, botocore, zarr and its codecs)
raise exceptions without a common base, and most of them wait for ever by default.  Here is one
loop that asks again, around all of them; :mod:`volkit.io.classifier` tells what they mean.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from volkit.errors import ConfigError, SourceError
from volkit.io.classifier import (
    CorruptPayloadError,
    Fault,
    brief,
    classify,
    faults_behind,
    http_status,
)

__all__ = [
    "Attempts",
    "CorruptPayloadError",
    "Fault",
    "Patience",
    "brief",
    "classify",
    "faults_behind",
    "http_status",
    "patiently",
    "patiently_async",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a store is asked again.

    Parameters
    ----------
    attempts : int
        How often a request is made at most; an absent or corrupt object is asked for three times,
        but a chunk that must be there to the end.
    first_wait_seconds, most_wait_seconds : float
        Wait before the second attempt, doubled before each further one up to the most; a random
        part of it is waited, so that many workers do not come back at once.
    connect_seconds : float
        For a connection to be made.
    silence_seconds : float
        A request that brings nothing for so long has failed.
    deadline_seconds : float
        For one box, all attempts together.

    Raises
    ------
    ConfigError
        If a value is not positive.

    Examples
    --------
    >>> Patience(attempts=3).deadline_seconds
    600.0
    """

    attempts: int = 8
    first_wait_seconds: float = 0.1
    most_wait_seconds: float = 10.0
    connect_seconds: float = 10.0
    silence_seconds: float = 60.0
    deadline_seconds: float = 600.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ConfigError(f"patience: {name}={getattr(self, name)}; give more than 0")

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait before the second attempt, the third, and so on."""
        wait = self.first_wait_seconds
        for _ in range(self.attempts - 1):
            yield random.uniform(wait / 2, wait)
            wait = min(2 * wait, self.most_wait_seconds)


_AGAIN = (Fault.TRANSIENT, Fault.CORRUPT, Fault.ABSENT)
SURE = 3  # times that an absent or corrupt object is asked for


def patiently(call: Callable[[float], T], *, patience: Patience, what: str) -> T:
    """Call until it succeeds, asking again cannot help, or patience ends.

    Parameters
    ----------
    call : callable
        Gets the seconds that are left for it; must not go on for longer.
    patience : Patience
        How often and how long.
    what : str
        What is asked for, for messages; no secrets in it.

    Returns
    -------
    object
        What ``call`` returned.

    Raises
    ------
    SourceError
        If the store kept failing; the last failure is its cause.
    Exception
        What ``call`` raised, where asking again cannot help.
    """
    attempts = Attempts(patience, what)
    while True:
        try:
            return call(attempts.left())
        except Exception as error:  # every client has its own; all but a few are raised again
            wait = attempts.wait_after(error)
        time.sleep(wait)


async def patiently_async(
    call: Callable[[], Awaitable[T]],
    *,
    patience: Patience,
    what: str,
    begun: float | None = None,
    sure_absent: int = 0,
) -> T:
    """Await until it succeeds, asking again cannot help, or patience ends.

    Parameters
    ----------
    call : callable
        Makes one attempt; it is cancelled when the deadline comes.
    patience, what
        As of ``patiently``.
    begun : float or None
        When the work began that this is a part of, ``time.monotonic()``; None is now.
    sure_absent : int
        As of ``Attempts``.

    Raises
    ------
    SourceError
        If the store kept failing; the last failure is its cause.
    Exception
        What ``call`` raised, where asking again cannot help.
    """
    attempts = Attempts(patience, what, begun, sure_absent)
    while True:
        try:
            return await asyncio.wait_for(call(), attempts.left())
        except Exception as error:  # as above
            wait = attempts.wait_after(error)
        await asyncio.sleep(wait)


class Attempts:
    """The attempts at one request, and what patience is left for it.

    Parameters
    ----------
    patience : Patience
        How often and how long.
    what : str
        What is asked for, for messages.
    begun : float or None
        When the work began that the deadline is for, ``time.monotonic()``; None is now.
    sure_absent : int
        Times that an absent object is asked for, if more than three.
    """

    __slots__ = ("_begun", "_made", "_patience", "_sure_absent", "_waits", "_what")

    def __init__(
        self, patience: Patience, what: str, begun: float | None = None, sure_absent: int = 0
    ) -> None:
        self._sure_absent = max(sure_absent, SURE)
        self._patience = patience
        self._what = what
        self._begun = time.monotonic() if begun is None else begun
        self._waits = patience.waits()
        self._made = 0

    def left(self) -> float:
        """Give the seconds that the next attempt may take."""
        return max(self._patience.deadline_seconds - (time.monotonic() - self._begun), 0.001)

    def wait_after(self, error: Exception) -> float:
        """Give the seconds to wait before the next attempt, or raise what ends them.

        Raises
        ------
        SourceError
            If patience has ended.
        Exception
            ``error`` itself, if asking again cannot help.
        """
        self._made += 1
        fault = classify(error)
        often = self._sure_absent if fault is Fault.ABSENT else SURE
        sure = fault is not Fault.TRANSIENT and self._made >= often
        if fault not in _AGAIN or sure:
            raise error
        wait = next(self._waits, None)
        spent = time.monotonic() - self._begun
        if wait is not None and spent + wait < self._patience.deadline_seconds:
            return wait
        if fault is not Fault.TRANSIENT:
            raise error
        raise SourceError(
            f"{self._what}: the store kept failing; gave up after {self._made} attempts in "
            f"{spent:.1f} s. The last failure: {brief(error)}. Check the address, the network and "
            "the store; what is finished is kept"
        ) from error
