"""Batches of scans: every scan once in an epoch, made ready while the network is at work."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.scan_greys import standardised
from volkit.training.scan_augment import varied_scan
from volkit.training.scan_options import ScanAugmentation
from volkit.training.scan_set import ScanSet

Floats = NDArray[np.float32]
Numbers = NDArray[np.int64]

_AHEAD = 3  # batches that are made ready before they are asked for


def shuffled_batches(rows: Numbers, batch: int, rng: np.random.Generator) -> list[Numbers]:
    """Divide scans at random into batches whose sizes differ by one at most.

    Parameters
    ----------
    rows : ndarray of int64, shape (N,)
        Which.
    batch : int
        Largest size.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    list of ndarray of int64
        Every scan once.

    Examples
    --------
    >>> batches = shuffled_batches(np.arange(7), 3, np.random.default_rng(0))
    >>> [len(rows) for rows in batches], sorted(np.concatenate(batches).tolist())
    ([3, 2, 2], [0, 1, 2, 3, 4, 5, 6])
    """
    return np.array_split(rng.permutation(rows), -(-len(rows) // batch))


def varied_batches(
    scans: ScanSet,
    batches: Sequence[Numbers],
    words: Sequence[int],
    options: ScanAugmentation,
    *,
    threads: int,
) -> Iterator[Floats]:
    """Give varied scans, batch by batch.

    Parameters
    ----------
    scans : ScanSet
        Where they are from.
    batches : sequence of ndarray of int64
        Which.
    words : sequence of int
        Of the epoch: together with its number they decide how a scan is varied, whatever batch and
        thread it is in.
    options : ScanAugmentation
        How much.
    threads : int
        That make scans ready.

    Yields
    ------
    ndarray of float32, shape (B, 1, z, y, x)
    """

    def varied(row: int) -> Floats:
        return varied_scan(scans.unit(row), np.random.default_rng([*words, row]), options)

    yield from _stacked(varied, batches, threads)


def plain_batches(scans: ScanSet, batches: Sequence[Numbers], *, threads: int) -> Iterator[Floats]:
    """Give scans as they are, z-normalised, batch by batch.

    Parameters
    ----------
    scans, batches, threads
        As for `varied_batches`.

    Yields
    ------
    ndarray of float32, shape (B, 1, z, y, x)
    """
    yield from _stacked(lambda row: standardised(scans.unit(row)), batches, threads)


def _stacked(
    make: Callable[[int], Floats], batches: Sequence[Numbers], threads: int
) -> Iterator[Floats]:
    with ThreadPoolExecutor(threads) as pool:

        def begin(rows: Numbers) -> list[Future[Floats]]:
            return [pool.submit(make, int(row)) for row in rows]

        left = iter(batches)
        begun = deque(begin(rows) for rows in islice(left, _AHEAD))
        try:
            while begun:
                done = np.stack([each.result() for each in begun.popleft()])[:, None]
                begun.extend(begin(rows) for rows in islice(left, 1))
                yield done
        finally:
            for each in (future for futures in begun for future in futures):
                each.cancel()
