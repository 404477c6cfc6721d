"""Queue: which pieces of work come next, which are tried again, and which are set aside."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from volkit.errors import (
    BlockFailedError,
    ConfigError,
    GeometryError,
    MissingExtraError,
    ModelError,
    StaleLedgerError,
)
from volkit.wording import counted

# These would meet every block alike: going on would only repeat them.
_OF_ALL = (ConfigError, GeometryError, MissingExtraError, ModelError, StaleLedgerError)


@dataclass(frozen=True, slots=True)
class Retries:
    """What becomes of blocks that fail.

    Parameters
    ----------
    attempts : int
        How often a block is tried, each time on another worker where there is one.
    set_aside : int
        How many blocks may fail for good before nothing new is begun.

    Raises
    ------
    ConfigError
        If one is less than 1.
    """

    attempts: int = 3
    set_aside: int = 10

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.set_aside < 1:
            raise ConfigError(
                f"attempts {self.attempts} and set_aside {self.set_aside}: give 1 or more"
            )


@dataclass(frozen=True, slots=True)
class Failure:
    """A block that failed.

    Parameters
    ----------
    number : int
        Of the block.
    error : Exception
        How.
    worker : str
        Address of the worker; empty in this process.
    attempts : int
        How often it was tried.
    """

    number: int
    error: BaseException
    worker: str = ""
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Pieces that one task does.

    Parameters
    ----------
    numbers : list of int
        Which.
    avoid : frozenset of str
        Workers on which one of them has failed.
    """

    numbers: list[int]
    avoid: frozenset[str] = frozenset()


@dataclass(slots=True)
class Queue:
    """Hands out pieces, and remembers those that fail.

    Parameters
    ----------
    numbers : iterator of int
        What to do; consumed as fast as work goes on, never all at once.
    retries : Retries
        What becomes of failures.
    """

    numbers: Iterator[int]
    retries: Retries = field(default_factory=Retries)
    aside: list[Failure] = field(default_factory=list)
    fatal: BaseException | None = None
    _again: deque[Batch] = field(default_factory=deque)
    _failed: dict[int, list[str]] = field(default_factory=dict)

    def take(self, size: int) -> Batch | None:
        """Take the next pieces, those that failed before first; None when there are none.

        Nothing new is taken once too many have failed; what began to fail is still tried out.
        """
        if self.fatal is not None:
            return None
        if self._again:
            return self._again.popleft()
        if len(self.aside) >= self.retries.set_aside:
            return None
        numbers = list(islice(self.numbers, size))
        return Batch(numbers) if numbers else None

    def fail(self, failure: Failure) -> Failure | None:
        """Note a failure; it comes back when the block is set aside."""
        if isinstance(failure.error, _OF_ALL):
            self.fatal = self.fatal or failure.error
            return None
        workers = self._failed.setdefault(failure.number, [])
        workers.append(failure.worker)
        if len(workers) < self.retries.attempts:
            self._again.append(Batch([failure.number], frozenset(workers) - {""}))
            return None
        found = Failure(failure.number, failure.error, failure.worker, len(workers))
        self.aside.append(found)
        del self._failed[failure.number]
        return found

    def divide(self, batch: Batch) -> bool:
        """Take the pieces of a batch again one by one; False if there is only one."""
        if len(batch.numbers) == 1:
            return False
        self._again.extend(Batch([number], batch.avoid) for number in batch.numbers)
        return True

    def error(self) -> BaseException | None:
        """Say what went wrong altogether; None if nothing did."""
        if self.fatal is not None or not self.aside:
            return self.fatal
        first = self.aside[0]
        count = len(self.aside)
        stopped = count >= self.retries.set_aside
        text = str(first.error) or type(first.error).__name__
        failure = BlockFailedError(
            f"{counted(count, 'block')} failed {first.attempts} times and "
            f"{'were' if count > 1 else 'was'} set aside: "
            f"{', '.join(str(f.number) for f in self.aside[:10])}"
            f"{', …' if count > 10 else ''}. The first: {type(first.error).__name__}: {text}. "
            + (
                "That many fail for one reason mostly, so nothing new was begun"
                if stopped
                else "All other blocks are finished"
            )
            + "; what is finished is kept: mend the cause and run again"
        )
        for note in getattr(first.error, "__notes__", ()):
            failure.add_note(note)
        failure.__cause__ = first.error
        return failure
