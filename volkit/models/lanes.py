"""Lanes: on the CPU the windows of a batch go through a network side by side, one by one in a lane.

Where all threads work at one layer they wait for each other at its end, dozens of times in a
pass; and a window's answer may depend, in its last bit, on how many they are, and on what else is
in its batch, since some functions round otherwise in a vector and beside it::

    one pass     layer 1 ┤ layer 2 ┤ layer 3 ┤      all threads, all windows
    lanes        window 1 ───► window 2 ───►        a thread
                 window 3 ───► window 4 ───►        another
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import torch
from torch import Tensor, nn

from volkit.models.turns import processors

Forward = Callable[[Tensor], Tensor]

_KNOWN = ("torch.nn.", "volkit.", "monai.")  # whose layers keep nothing of a pass
_POOLS: dict[tuple[int, int], ThreadPoolExecutor] = {}
_ASKING = threading.Lock()  # while a thread takes its share, a new one would hear of that


def is_shareable(module: nn.Module) -> bool:
    """Tell whether several threads may be in a module at once.

    Parameters
    ----------
    module : torch.nn.Module
        Of any kind.

    Returns
    -------
    bool
        Whether all its parts are of torch, MONAI or volkit; another might keep in itself what it
        needs later in the same pass.

    Examples
    --------
    >>> is_shareable(nn.Sequential(nn.Conv3d(1, 1, 3), nn.ReLU()))
    True
    """
    kinds = {type(part) for part in module.modules()}
    return all(f"{kind.__module__}.".startswith(_KNOWN) for kind in kinds)


def shares(windows: int, threads: int) -> tuple[int, int]:
    """Find how many lanes a batch has, and how many threads a lane.

    Parameters
    ----------
    windows : int
        In the batch.
    threads : int
        Of torch.

    Returns
    -------
    lanes, threads_each : int
        Threads that share a window are a power of two, as the extents of most windows are
        multiples of one: then they part it between vectors, and not within.

    Examples
    --------
    >>> [shares(windows, 6) for windows in (1, 2, 4, 8)]
    [(1, 4), (2, 2), (4, 1), (6, 1)]
    """
    lanes = max(1, min(windows, threads))
    return lanes, 1 << (max(1, threads // lanes).bit_length() - 1)


def side_by_side(forward: Forward, batch: Tensor) -> Tensor:
    """Answer a batch on the CPU, its windows side by side.

    Parameters
    ----------
    forward : callable
        From a window to its answer, both with an axis for the batch; called by several threads
        at once.
    batch : Tensor, shape (B, C, z, y, x)
        On the CPU.

    Returns
    -------
    Tensor, shape (B, C', z, y, x)
        Of as many threads of torch at most as its caller has; in a process, of as many as there
        are processors.
    """
    with _ASKING:
        lanes, threads = shares(len(batch), torch.get_num_threads())
        pool = _pool(lanes, threads)
    answers = [pool.submit(_answers, forward, part) for part in batch.tensor_split(lanes)]
    wait(answers)  # all of them: one that lacked memory is not tried again beside the others
    return torch.cat([answer for lane in answers for answer in lane.result()])


def _answers(forward: Forward, windows: Tensor) -> list[Tensor]:
    with torch.inference_mode():  # which belongs to a thread
        return [forward(window) for window in windows.split(1)]


def _pool(lanes: int, threads: int) -> ThreadPoolExecutor:
    size = max(lanes, processors() // threads)
    if (size, threads) not in _POOLS:
        _POOLS[size, threads] = ThreadPoolExecutor(size, "volkit-lane", _take_share, (threads,))
    return _POOLS[size, threads]


def _take_share(threads: int) -> None:
    """Let this thread have its share, and every thread that comes later as many as before."""
    with _ASKING:
        usual = torch.get_num_threads()  # a thread's first question sets its answer
        torch.set_num_threads(threads)
        other = threading.Thread(target=torch.set_num_threads, args=(usual,))
        other.start()
        other.join()


def _begin_anew() -> None:
    global _ASKING  # a thread that held it is not in this process
    _ASKING = threading.Lock()
    _POOLS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
