"""Batch size: how many windows a network answers fastest at once, found by trying.

On the CPU answers do not depend on it.  On CUDA it is a power of two as far as the memory allows,
so that equal devices come to equal sizes; kernels may be chosen by it, and then round otherwise.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, prod
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from volkit.models.batch_limit import out_of_memory
from volkit.models.forward import forward_of
from volkit.models.predictor import Predictor

logger = logging.getLogger(__name__)

Coord = tuple[int, int, int]

UNTRIED = 4  # of functions, whose calls may have effects, and where nothing can be measured

_SIZES = (1, 2, 4, 8)
_ROUNDS = 2
_SECONDS = 5.0  # for trials on the CPU; one window is always tried
_MOST_VOXELS = 2**21  # of a batch on the CPU: eight windows of 64; beyond, calls cost nothing
_MOST_WINDOWS = 64
_SHARE = 0.8  # of the memory of a device; the rest is for sums, and for what libraries keep
_NEAR = 1.03  # as fast, within what a measurement can tell


def best_batch(predictor: Predictor, window: Coord, channels: int) -> int:
    """Find how many windows are answered fastest at once; tried once per process.

    Parameters
    ----------
    predictor : Predictor
        Of an ensemble, the smallest size that a member wants is taken.
    window : tuple of int
        Voxels, (z, y, x).
    channels : int
        Of the input.

    Returns
    -------
    int
        At least 1; 4 for plain functions, which are not called.
    """
    members: tuple[Any, ...] = getattr(predictor, "members", (predictor,))
    return min(_of_network(member, (channels, *window)) for member in members)


_TRYING = threading.Lock()


def _of_network(predictor: Any, shape: tuple[int, ...]) -> int:
    limit = getattr(predictor, "limit", None)
    if limit is None:
        return UNTRIED
    with _TRYING:
        if shape not in limit.best:
            trial = _Trial(_pass_of(predictor), predictor.device, shape)
            with torch.inference_mode(), predictor.turn():
                limit.best[shape] = trial.best()
            logger.info("windows of %s go through in batches of %d", shape, limit.best[shape])
        return min(limit.best[shape], limit.fitting(shape) or limit.best[shape])


def _pass_of(predictor: Any) -> Callable[[Tensor], Tensor]:
    running = predictor.running
    if not running.compile:
        return predictor.answered
    # Every size would be compiled: a minute each, for the same order of sizes.
    return forward_of(
        predictor.module, device=running.device, precision=running.precision, compile=False
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    """Passes of batches, timed."""

    forward: Callable[[Tensor], Tensor]
    device: str
    shape: tuple[int, ...]

    def best(self) -> int:
        kind = torch.device(self.device).type
        if kind == "cuda":
            return self._on_cuda()
        return self._on_cpu() if kind == "cpu" else UNTRIED

    def seconds(self, size: int) -> float:
        batch = torch.rand((size, *self.shape), generator=torch.Generator().manual_seed(size))
        batch = batch.to(self.device)
        self._wait()
        begun = perf_counter()
        self.forward(batch)
        self._wait()
        return perf_counter() - begun

    def _wait(self) -> None:
        if torch.device(self.device).type == "cuda":
            torch.cuda.synchronize(self.device)

    def _on_cpu(self) -> int:
        sizes = [n for n in _SIZES if n == 1 or n * prod(self.shape) <= _MOST_VOXELS]
        taken: dict[int, float] = {}
        begun = perf_counter()
        for _ in range(_ROUNDS):
            for size in sizes:
                each = min((seconds / n for n, seconds in taken.items()), default=0.0)
                if taken and perf_counter() - begun + size * each > _SECONDS:
                    break
                taken[size] = min(self.seconds(size), taken.get(size, inf))
        return fastest({size: seconds / size for size, seconds in taken.items()})

    def _on_cuda(self) -> int:
        taken: dict[int, float] = {}
        peaks: dict[int, int] = {}
        size, most = 1, 2
        while size <= min(most, _MOST_WINDOWS):
            try:
                self.seconds(size)  # libraries choose their kernels and allocate
                torch.cuda.reset_peak_memory_stats(self.device)
                held = torch.cuda.memory_allocated(self.device)
                taken[size] = self.seconds(size) / size
                peaks[size] = torch.cuda.max_memory_allocated(self.device) - held
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                break
            if size >= 4 and taken[size] * _NEAR > taken[size // 2]:
                break  # the device is full, if its memory is not
            if size >= 2:
                most = most_windows(_free(self.device), peaks[size // 2], peaks[size], size=size)
            size *= 2
        torch.cuda.empty_cache()
        return fastest(taken) if taken else 1  # the run says what one window is too much for


def fastest(seconds: Mapping[int, float]) -> int:
    """Choose the smallest batch that is as fast as any.

    Parameters
    ----------
    seconds : mapping of int to float
        Time for one window, by the size of the batch.

    Returns
    -------
    int

    Examples
    --------
    >>> fastest({1: 1.0, 2: 0.8, 4: 0.5, 8: 0.49})
    4
    """
    least = min(seconds.values())
    return min(size for size, each in seconds.items() if each <= least * _NEAR)


def most_windows(free: int, half: int, peak: int, *, size: int) -> int:
    """Tell how many windows fill four fifths of the memory.

    Parameters
    ----------
    free : int
        Bytes that a batch may have.
    half, peak : int
        Bytes that ``size // 2`` and ``size`` windows took.
    size : int
        Even.

    Returns
    -------
    int
        Where bytes grow in proportion to windows, above what does not grow.

    Examples
    --------
    >>> most_windows(1000, 150, 250, size=2)
    7
    """
    each = (peak - half) / (size - size // 2)
    if each <= 0:
        each = peak / size
    return int((_SHARE * free - peak) / max(each, 1)) + size


def _free(device: str) -> int:
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
