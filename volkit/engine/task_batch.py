"""Task batch: a few pieces of work as one task, and what they came to."""

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from volkit.engine.behind import Behind
from volkit.engine.queue import Failure
from volkit.engine.usage import Usage, taken, working

Task = Callable[[int], int | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch of work came to.

    Parameters
    ----------
    numbers : list of int
        Pieces that succeeded.
    seconds : list of float
        How long each took.
    checks : list of int
        Check sum of what each stored; 0 where the task gives none.
    failures : list of Failure
        Pieces that did not succeed; from ``dispatch``, those that were set aside.
    usage : Usage
        What was spent on all of them.
    """

    numbers: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    checks: list[int] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)


def run_batch(task: Task, numbers: Sequence[int]) -> Outcome:
    """Run a task for a few numbers; one that fails keeps none of the others from being done."""
    outcome = Outcome()
    with Behind() as behind:
        with working():
            for number in numbers:
                behind.number = number
                _run_one(task, number, outcome)
        for number, error in behind.failed():  # beside: the next task may have begun by then
            _fail(outcome, number, error)
    return replace(outcome, usage=taken())


def _run_one(task: Task, number: int, outcome: Outcome) -> None:
    begun = time.perf_counter()
    try:
        check = task(number)
    except Exception as error:
        _fail(outcome, number, error)
        return
    outcome.numbers.append(number)
    outcome.seconds.append(time.perf_counter() - begun)
    outcome.checks.append(check or 0)


def _fail(outcome: Outcome, number: int, error: Exception) -> None:
    """Note that a piece failed, or what it had left behind."""
    # A traceback cannot travel; as a note it stays beside the error.
    error.add_note("".join(traceback.format_tb(error.__traceback__)))
    if number in outcome.numbers:
        place = outcome.numbers.index(number)
        for column in (outcome.numbers, outcome.seconds, outcome.checks):
            del column[place]
    if all(known.number != number for known in outcome.failures):
        outcome.failures.append(Failure(number, error, _this_worker()))


def _this_worker() -> str:
    """Give the address of the worker that this runs on; empty where it is none."""
    import sys

    if "distributed" not in sys.modules:
        return ""
    from distributed import get_worker

    try:
        return str(get_worker().address)
    except ValueError:
        return ""
