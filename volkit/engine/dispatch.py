"""Dispatch: numbered pieces of work, run here or on a cluster, a bounded window at a time."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from volkit.errors import BlockFailedError

Task = Callable[[int], None]

_TASK_SECONDS = 0.5  # shorter tasks spend a noticeable share in the scheduler (about 1.5 ms each)
_MOST_PER_TASK = 256  # blocks lost with a worker stay few
_TASKS_PER_SLOT = 3  # one running, one waiting on the worker, one on its way
_WAIT_SECONDS = 120  # for a first worker; beyond it nothing is going to come


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch of work came to: the numbers that succeeded, and the first that did not."""

    numbers: list[int]
    seconds: list[float]
    failure: BaseException | None = None


Receive = Callable[[Outcome], None]


def dispatch(task: Task, numbers: Iterator[int], *, client: Any | None, receive: Receive) -> None:
    """Run a task for every number.

    After a failure nothing new is begun, what is in flight is received, and the failure is raised.

    Parameters
    ----------
    task : callable
        Picklable; gets a number, leaves its result in a store and returns nothing.
    numbers : iterator of int
        What to do; consumed as fast as work goes on, never all at once.
    client : distributed.Client, optional
        Where to run; None runs in this process.
    receive : callable
        Gets every Outcome, in this process.
    """
    if client is None:
        _run_here(task, numbers, receive)
    else:
        _run_on_cluster(task, numbers, client, receive)


def run_batch(task: Task, numbers: Sequence[int]) -> Outcome:
    """Run a task for a few numbers; a failure ends the batch and keeps what was done before it."""
    finished: list[int] = []
    seconds: list[float] = []
    for number in numbers:
        begun = time.perf_counter()
        try:
            task(number)
        except Exception as error:
            # A traceback cannot travel; as a note it stays beside the error.
            error.add_note("".join(traceback.format_tb(error.__traceback__)))
            return Outcome(finished, seconds, error)
        finished.append(number)
        seconds.append(time.perf_counter() - begun)
    return Outcome(finished, seconds)


def _run_here(task: Task, numbers: Iterator[int], receive: Receive) -> None:
    size = 1
    while batch := list(islice(numbers, size)):
        outcome = run_batch(task, batch)
        receive(outcome)
        if outcome.failure is not None:
            raise outcome.failure
        size = _batch_size(outcome, size)


def _run_on_cluster(task: Task, numbers: Iterator[int], client: Any, receive: Receive) -> None:
    from distributed import KilledWorker, as_completed

    client.wait_for_workers(1, timeout=_WAIT_SECONDS)
    flying = as_completed(with_results=False)
    size, in_flight = 1, 0
    failure: BaseException | None = None

    def submit() -> int:
        batch = list(islice(numbers, size))
        if batch:
            flying.add(client.submit(run_batch, task, batch, pure=False))
        return bool(batch)

    window = _TASKS_PER_SLOT * max(1, sum(client.nthreads().values()))
    while in_flight < window and submit():
        in_flight += 1
    for future in flying:
        in_flight -= 1
        try:
            outcome = future.result()
        except KilledWorker as error:
            outcome = Outcome([], [], _workers_died(error))
        except Exception as error:
            outcome = Outcome([], [], error)
        future.release()
        receive(outcome)
        failure = failure or outcome.failure
        if failure is None:
            size = _batch_size(outcome, size)
            window = _TASKS_PER_SLOT * max(1, sum(client.nthreads().values()))
            while in_flight < window and submit():
                in_flight += 1
    if failure is not None:
        raise failure


def _workers_died(error: BaseException) -> BlockFailedError:
    failure = BlockFailedError(
        "several workers died one after another in the same blocks, as when memory runs out; what "
        "is finished is kept: run again with fewer workers, smaller blocks or more memory"
    )
    failure.__cause__ = error
    return failure


def _batch_size(outcome: Outcome, size: int) -> int:
    """Aim at tasks that last long enough, growing step by step since first blocks are slow."""
    per_block = sum(outcome.seconds) / max(1, len(outcome.seconds))
    wanted = int(_TASK_SECONDS / max(per_block, 1e-6))
    return max(1, min(wanted, 4 * size, _MOST_PER_TASK))
