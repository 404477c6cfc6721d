"""Sizes of labels, in parts that add up exactly."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.kernels.distinct import first_of_runs

Sizes = dict[str, NDArray[Any]]
"""``id`` (uint64, sorted) and ``voxels`` (int64)."""


def label_sizes(labels: NDArray[Any]) -> Sizes:
    """Count the voxels of every label.

    Parameters
    ----------
    labels : ndarray of int
        Any shape; any ids, up to 2**64 - 1; 0 is left out.

    Returns
    -------
    dict of ndarray
        ``id`` (uint64, sorted) and ``voxels`` (int64).

    Raises
    ------
    ContractError
        If labels are negative, or no whole numbers.

    Examples
    --------
    >>> sizes = label_sizes(np.array([[7, 7, 0], [3, 7, 2**64 - 1]], np.uint64))
    >>> sizes["id"].tolist(), sizes["voxels"].tolist()
    ([3, 7, 18446744073709551615], [1, 3, 1])
    """
    check_ids(labels)
    flat = np.ascontiguousarray(labels).reshape(-1)
    # Labels come in runs, which are far fewer than voxels.
    first = np.flatnonzero(first_of_runs(flat))
    lengths = np.diff(first, append=flat.size)
    return _added(flat[first].astype(np.uint64), lengths)


def check_ids(labels: NDArray[Any]) -> None:
    """Refuse what are no ids.

    Raises
    ------
    ContractError
        If labels are negative, or no whole numbers.
    """
    kind = labels.dtype.kind
    if kind not in "uib" or (kind == "i" and labels.min(initial=0) < 0):
        raise ContractError(
            f"labels are {labels.dtype}, the smallest {labels.min(initial=0)}; give whole numbers "
            "from 0 to 2**64 - 1"
        )


def add_sizes(tables: Sequence[Sizes]) -> Sizes:
    """Add up sizes of blocks."""
    ids = np.concatenate([table["id"] for table in tables])
    return _added(ids, np.concatenate([table["voxels"] for table in tables]))


def _added(ids: NDArray[np.uint64], voxels: NDArray[np.int64]) -> Sizes:
    unique, which = np.unique(ids, return_inverse=True)
    total = np.zeros(len(unique), np.int64)
    np.add.at(total, which, voxels)
    return {"id": unique[unique != 0], "voxels": total[unique != 0]}
