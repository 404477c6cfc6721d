"""Turns: how many forward passes of a process run at once.

On the CPU a pass spreads over the threads of torch.  Where a worker process has threads of its
own, passes at once would have more threads than there are processors; on an accelerator they
would hold the memory of several batches, and gain nothing.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_PLACES: dict[str, threading.BoundedSemaphore] = {}
_MAKING = threading.Lock()


def passes_at_once(device: str, *, processors: int, threads: int) -> int:
    """Find how many passes a device serves without getting in each other's way.

    Parameters
    ----------
    device : str
        A device of torch.
    processors : int
        That this process may use.
    threads : int
        Over which torch spreads a pass.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> [passes_at_once(device, processors=8, threads=2) for device in ("cpu", "cuda")]
    [4, 1]
    """
    return max(1, processors // max(1, threads)) if torch.device(device).type == "cpu" else 1


@contextmanager
def turn(device: str) -> Iterator[None]:
    """Wait for a turn on a device.

    Parameters
    ----------
    device : str
        A device of torch.
    """
    with _MAKING:
        if device not in _PLACES:
            count = passes_at_once(device, processors=processors(), threads=torch.get_num_threads())
            _PLACES[device] = threading.BoundedSemaphore(count)
        place = _PLACES[device]
    with place:
        yield


def processors() -> int:
    """Count the processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
