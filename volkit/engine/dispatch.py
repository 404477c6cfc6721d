"""Dispatch: numbered pieces of work, run here or on a cluster, a bounded window at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from volkit.engine.queue import Batch, Failure, Queue, Retries
from volkit.engine.roster import Roster, at_once, needs_gpu
from volkit.engine.task_batch import Outcome, Task, run_batch
from volkit.engine.task_size import closing_size, next_size, tasks_in_flight, tasks_together
from volkit.engine.usage import Usage, taken
from volkit.errors import BlockFailedError

Receive = Callable[[Outcome], None]


class OnFlight(Protocol):
    """Told now and then what is in flight."""

    def __call__(self, *, in_flight: int, workers: int, threads: int) -> None:
        """Hear how many blocks are handed out, to how many processes and threads."""


def dispatch(
    task: Task,
    numbers: Iterator[int],
    *,
    client: Any | None,
    receive: Receive,
    retries: Retries | None = None,
    on_flight: OnFlight | None = None,
) -> None:
    """Run a task for every number.

    A piece that fails is tried again, on another worker where there is one; one that keeps failing
    is set aside, and the rest is done.

    Parameters
    ----------
    task : callable
        Picklable; gets a number, leaves its result in a store and returns its check sum, or None.
    numbers : iterator of int
        What to do; consumed as fast as work goes on, never all at once.
    client : distributed.Client, optional
        Where to run; None runs in this process.
    receive : callable
        Gets every Outcome, in this process.
    retries : Retries, optional
        What becomes of pieces that fail.
    on_flight : callable, optional
        Told what is in flight, whenever that changes.

    Raises
    ------
    BlockFailedError
        At the end, if pieces were set aside.
    VolkitError
        At once, if it would meet every piece alike.
    """
    queue = Queue(numbers, retries or Retries())
    if client is None and at_once(task) > 1:
        _run_in_threads(task, queue, receive, on_flight, threads=at_once(task))
    elif client is None:
        _run_here(task, queue, receive, on_flight)
    else:
        _run_on_cluster(task, queue, client, receive, on_flight)
    error = queue.error()
    if error is not None:
        raise error


def _run_here(task: Task, queue: Queue, receive: Receive, on_flight: OnFlight | None) -> None:
    size = 1
    taken()  # what was metered before is not of this work
    while batch := queue.take(size):
        if on_flight is not None:
            on_flight(in_flight=len(batch.numbers), workers=1, threads=1)
        outcome = run_batch(task, batch.numbers)
        receive(_settled(queue, outcome))
        size = next_size(outcome.seconds, size)


def _run_in_threads(
    task: Task, queue: Queue, receive: Receive, on_flight: OnFlight | None, *, threads: int
) -> None:
    """Run several batches at once, so that blocks are read and written beside a network."""
    flying: dict[Future[Outcome], int] = {}
    size = 1
    taken()  # what was metered before is not of this work
    with ThreadPoolExecutor(threads, thread_name_prefix="volkit-block") as pool:
        while True:
            while len(flying) < threads and (batch := queue.take(size)):
                flying[pool.submit(run_batch, task, batch.numbers)] = len(batch.numbers)
            if not flying:
                return
            if on_flight is not None:
                on_flight(in_flight=sum(flying.values()), workers=1, threads=threads)
            ready, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in ready:
                del flying[future]
                outcome = future.result()
                receive(_settled(queue, outcome))
                size = next_size(outcome.seconds, size, threads)


def _settled(queue: Queue, outcome: Outcome) -> Outcome:
    """Note what failed, and keep of it only what was set aside."""
    aside = [found for f in outcome.failures if (found := queue.fail(f)) is not None]
    return replace(outcome, failures=aside)


def _run_on_cluster(
    task: Task, queue: Queue, client: Any, receive: Receive, on_flight: OnFlight | None
) -> None:
    from distributed import as_completed

    roster = Roster(client, needs_gpu(task), at_once(task))
    roster.wait()
    flying = as_completed(with_results=False)
    batches: dict[str, Batch] = {}
    size, in_flight = 1, 0

    def submit() -> None:
        nonlocal in_flight
        threads = roster.threads()
        slots = sum(threads.values())
        most = tasks_in_flight(slots, size) - len(batches)
        left = roster.left - in_flight
        # A message costs a scheduler more than the tasks in it, so that a few are sent together.
        enough = not batches or most >= tasks_together(slots)
        taken = list(_taken(queue, size, most=most if enough else 0, left=left, slots=slots))
        in_flight += sum(len(batch.numbers) for batch in taken)
        for future, batch in _submitted(client, task, taken, roster):
            batches[future.key] = batch
            flying.add(future)
        if on_flight is not None:
            on_flight(in_flight=in_flight, workers=len(threads), threads=slots)

    submit()
    # The loop ends when nothing is in flight; what fails last is submitted again within it.
    for ready in flying.batches():
        found = [batches.pop(future.key) for future in ready]
        in_flight -= sum(len(batch.numbers) for batch in found)
        outcome = _joined(_outcomes(client, ready, found, queue))
        roster.watch.check()
        for future in ready:
            future.release()
        receive(_settled(queue, outcome))
        size = next_size(outcome.seconds, size, sum(roster.threads().values()))
        submit()


def _submitted(
    client: Any, task: Task, batches: list[Batch], roster: Roster
) -> Iterator[tuple[Any, Batch]]:
    """Send batches off; together, since the scheduler takes one message for many as for one."""
    fresh = [batch for batch in batches if not batch.avoid]
    if fresh:
        numbers = [batch.numbers for batch in fresh]
        futures = client.map(partial(run_batch, task), numbers, pure=False, **roster.resources)
        yield from zip(futures, fresh, strict=True)
    for batch in batches:
        others = sorted(set(roster.threads()) - batch.avoid) if batch.avoid else []
        place = {"workers": others, "allow_other_workers": True} if others else {}
        if batch.avoid:
            options = {**place, **roster.resources}
            yield client.submit(run_batch, task, batch.numbers, pure=False, **options), batch


def _taken(queue: Queue, size: int, *, most: int, left: int, slots: int) -> Iterator[Batch]:
    for _ in range(most):
        batch = queue.take(closing_size(size, left, slots))
        if batch is None:
            return
        left -= len(batch.numbers)
        yield batch


def _outcomes(client: Any, ready: list[Any], batches: list[Batch], queue: Queue) -> list[Outcome]:
    """Take what finished tasks came to: all at once where none went wrong."""
    try:
        if len(ready) > 1 and all(future.status == "finished" for future in ready):
            return list(client.gather(ready))
    except Exception:
        pass  # one by one it is found out which
    return [_received(future, batch, queue) for future, batch in zip(ready, batches, strict=True)]


def _joined(outcomes: list[Outcome]) -> Outcome:
    """Put outcomes together, so that they are stored with one write."""
    joined = Outcome(usage=sum((outcome.usage for outcome in outcomes), Usage()))
    for outcome in outcomes:
        joined.numbers.extend(outcome.numbers)
        joined.seconds.extend(outcome.seconds)
        joined.checks.extend(outcome.checks)
        joined.failures.extend(outcome.failures)
    return joined


def _received(future: Any, batch: Batch, queue: Queue) -> Outcome:
    """Take what a task came to; one whose workers died is taken apart to find the block."""
    from distributed import KilledWorker

    try:
        outcome: Outcome = future.result()
    except KilledWorker as error:
        if queue.divide(batch):
            return Outcome()
        died = BlockFailedError(
            "several workers died one after another in this block, as when memory runs out; run "
            "again with fewer workers, smaller blocks or more memory"
        )
        died.__cause__ = error
        return Outcome(failures=[Failure(n, died) for n in batch.numbers])
    except CancelledError as error:
        lost = BlockFailedError(
            "the scheduler went away with the work that was in flight; what is finished is kept: "
            "run again"
        )
        lost.__cause__ = error
        queue.fatal = queue.fatal or lost
        return Outcome()
    except Exception as error:  # one that could not travel, or a task that could not be sent
        if queue.divide(batch):
            return Outcome()
        return Outcome(failures=[Failure(n, error) for n in batch.numbers])
    return outcome
