"""Runs: voxels of a row that follow each other and are equal.

What is counted by label is counted by run: most voxels of tissue are like the one before.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError


@numba.njit(nogil=True, cache=True)
def find_runs(row: Any, last: NDArray[np.int32]) -> Any:
    """Write down the last voxel of every run; without a branch, since run lengths are random.

    Parameters
    ----------
    row : ndarray, shape (N,)
        N is 1 or more.
    last : ndarray of int32, shape (N,) or longer
        Is overwritten.

    Returns
    -------
    int
        Number of runs.

    Examples
    --------
    >>> last = np.zeros(5, np.int32)
    >>> last[: find_runs(np.array([3, 3, 0, 7, 7]), last)].tolist()
    [1, 2, 4]
    """
    run = np.uint64(0)
    value = row[0]
    last[0] = 0
    for i in range(1, len(row)):
        following = row[i]
        run += np.uint64(following != value)
        last[run] = i
        value = following
    return np.int64(run) + 1


def plain_labels(labels: NDArray[Any], *, name: str = "labels") -> NDArray[Any]:
    """Give labels in the order of memory, as unsigned integers of the same width.

    Parameters
    ----------
    labels : ndarray of int or bool
        Ids from 0 on.
    name : str
        What messages call them.

    Returns
    -------
    ndarray of uint
        Without a copy where possible.

    Raises
    ------
    ContractError
        If they are no integers, or one is negative.
    """
    if labels.dtype.kind not in "uib":
        raise ContractError(
            f"{name} are {labels.dtype}, which are not ids; give integers, for example "
            "labels.astype(np.uint32) where every value is a whole number"
        )
    if labels.dtype.kind == "i" and labels.size and int(labels.min()) < 0:
        raise ContractError(
            f"{name} hold the negative id {int(labels.min())}; ids begin at 0 (background), so "
            "rename or mask what is negative"
        )
    native = np.ascontiguousarray(labels, labels.dtype.newbyteorder("="))
    return native.view(f"u{native.dtype.itemsize}")
