"""Task size: how many blocks go together, so that schedulers are not what work waits for."""

from collections.abc import Sequence

MOST_PER_TASK = 256  # blocks lost with a worker stay few

# A task costs its client, scheduler and worker 5 to 15 ms of cores that blocks may want, too.
_TASK_SECONDS = 1.0
_TASKS_PER_SECOND = 200  # that a scheduler takes in its stride; thousands of workers ask for more
_TASKS_PER_SLOT = 3  # one running, one waiting on the worker, one on its way
_SHORT_TASKS = 64  # in flight at least, where even the largest are over at once
_MOST_TOGETHER = 16  # that is a hundredth of a second for a scheduler
_LAST = 1 / 16  # of a task: smaller ones cost more than the wait for the last worker


def blocks_per_task(seconds_each: float, slots: int = 1) -> int:
    """Say how many blocks make one task, so that it lasts long enough.

    Parameters
    ----------
    seconds_each : float
        That a block takes.
    slots : int
        Blocks that are worked on at the same time; many of them make many tasks each second.

    Returns
    -------
    int

    Examples
    --------
    >>> blocks_per_task(10.0), blocks_per_task(0.01), blocks_per_task(0.0)
    (1, 100, 256)
    >>> blocks_per_task(1.0, slots=1000)
    5
    """
    wanted = max(_TASK_SECONDS, slots / _TASKS_PER_SECOND)
    return max(1, min(int(wanted / max(seconds_each, 1e-6)), MOST_PER_TASK))


def next_size(seconds: Sequence[float], size: int, slots: int = 1) -> int:
    """Aim at tasks that last long enough, growing step by step since first blocks are slow.

    Parameters
    ----------
    seconds : sequence of float
        That the last blocks took.
    size : int
        Blocks in a task so far.
    slots : int
        Blocks that are worked on at the same time.

    Examples
    --------
    >>> next_size([0.001, 0.001], 2), next_size([], 2)
    (8, 2)
    """
    if not seconds:
        return size
    return min(blocks_per_task(sum(seconds) / len(seconds), slots), 4 * size)


def closing_size(size: int, left: int, slots: int) -> int:
    """Make the last tasks of a stage smaller, so that workers end at about the same time.

    Where workers are many, a scheduler has no time for smaller ones.

    Parameters
    ----------
    size : int
        Blocks in a task so far.
    left : int
        Blocks that are not handed out yet.
    slots : int
        Blocks that are worked on at the same time.

    Examples
    --------
    >>> [closing_size(32, left, 2) for left in (1000, 60, 20, 4)]
    [32, 15, 5, 2]
    >>> closing_size(32, 60, 1000)
    32
    """
    crowd = slots / (_TASK_SECONDS * _TASKS_PER_SECOND)
    least = max(1, int(size * min(1.0, max(_LAST, crowd))))
    return min(size, max(least, left // (2 * max(1, slots))))


def tasks_in_flight(slots: int, size: int) -> int:
    """Say how many tasks may be in flight; short ones are many, or workers wait for the client.

    Examples
    --------
    >>> tasks_in_flight(4, 8), tasks_in_flight(4, MOST_PER_TASK)
    (12, 64)
    """
    return max(_TASKS_PER_SLOT * max(1, slots), _SHORT_TASKS if size == MOST_PER_TASK else 0)


def tasks_together(slots: int) -> int:
    """Say how many tasks are sent off together; every worker has one running and one waiting.

    Examples
    --------
    >>> tasks_together(2), tasks_together(1000)
    (2, 16)
    """
    return min(max(1, slots), _MOST_TOGETHER)
