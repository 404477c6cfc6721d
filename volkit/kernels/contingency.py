"""Contingency tables: how many voxels each pair of labels shares.

A table is a mapping of three columns, ``true`` and ``pred`` (uint64) and ``count`` (int64), one row
for each pair of ids that occurs, sorted by ``true`` and then by ``pred``.  Nothing depends on the
size of an id, and tables of parts add up to the table of the whole.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.kernels.pair_counts import count_pairs
from volkit.kernels.radix import sorted_rows

Table = dict[str, NDArray[Any]]


def contingency(true: NDArray[Any], pred: NDArray[Any]) -> Table:
    """Count the voxels that each pair of labels shares.

    Runs of equal pairs are found first, so that tables are touched once for each run rather than
    for each voxel.

    Parameters
    ----------
    true, pred : ndarray of int or bool, the same shape
        Labels, aligned voxel by voxel; any integer dtype, ids from 0 on.

    Returns
    -------
    dict of ndarray
        ``true`` and ``pred`` (uint64) and ``count`` (int64), each of shape (N,): the pairs that
        occur, each once, sorted.

    Raises
    ------
    GeometryError
        If the shapes differ, labels are not integers, or an id is negative.

    Examples
    --------
    >>> true = np.array([[[1, 1, 2, 2]]])
    >>> pred = np.array([[[7, 7, 7, 0]]])
    >>> {name: column.tolist() for name, column in contingency(true, pred).items()}
    {'true': [1, 2, 2], 'pred': [7, 0, 7], 'count': [2, 1, 1]}
    """
    if true.shape != pred.shape:
        raise GeometryError(
            f"true labels have shape {true.shape} and predicted ones {pred.shape}; "
            "give two arrays of the same voxels"
        )
    if true.flags.f_contiguous and pred.flags.f_contiguous:
        true, pred = true.T, pred.T  # any order counts the same; this one needs no copy
    table = _table(count_pairs(*alike(_plain(true, "true"), _plain(pred, "predicted"))))
    for name, labels, ids in (("true", true, table["true"]), ("predicted", pred, table["pred"])):
        _refuse_negative(name, labels.dtype, ids)
    return table


def add_contingency(tables: Sequence[Table]) -> Table:
    """Add the tables of parts into the table of the whole.

    Counts are added as integers: the sum is exact and does not depend on the order or the grouping
    of the parts.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        Tables as :func:`contingency` makes them; none gives an empty table.

    Returns
    -------
    dict of ndarray
        The same columns, each pair once, sorted.

    Examples
    --------
    >>> part = contingency(np.array([1, 1]), np.array([7, 0]))
    >>> add_contingency([part, part])["count"].tolist()
    [2, 2]
    """
    true, pred, count = (
        np.concatenate([np.empty(0, dtype), *(table[name] for table in tables)])
        for name, dtype in (("true", np.uint64), ("pred", np.uint64), ("count", np.int64))
    )
    table = _sorted(true, pred, count)
    if len(tables) < 2:
        return table
    true, pred, count = table["true"], table["pred"], table["count"]
    first = np.ones(len(true), bool)
    first[1:] = (true[1:] != true[:-1]) | (pred[1:] != pred[:-1])
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(count, starts) if len(starts) else count
    return {"true": true[starts], "pred": pred[starts], "count": sums}


def alike(true: NDArray[Any], pred: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Widen the narrower of two kinds of ids: a loop is compiled for 4 pairs of types, not 16.

    Parameters
    ----------
    true, pred : ndarray of unsigned int
        Ids.

    Returns
    -------
    true, pred : ndarray of unsigned int
        The same, of the wider type; a copy only of the one that was narrower.
    """
    wider = np.result_type(true, pred)
    return true.astype(wider, copy=False), pred.astype(wider, copy=False)


def _plain(labels: NDArray[Any], name: str) -> NDArray[Any]:
    """Make native unsigned integers of the same width in C order, without a copy where possible."""
    if labels.dtype.kind not in "uib":
        raise GeometryError(
            f"{name} labels are {labels.dtype}, which are not ids; give integers, "
            "for example labels.astype(np.uint64) where every value is a whole number"
        )
    native = np.ascontiguousarray(labels, labels.dtype.newbyteorder("="))
    return native.view(f"u{labels.dtype.itemsize}")


def _refuse_negative(name: str, dtype: np.dtype[Any], ids: NDArray[np.uint64]) -> None:
    """Find negative ids, which show as large ones after the view as unsigned."""
    if dtype.kind != "i" or not len(ids):
        return
    largest = int(ids.max())
    if largest > np.iinfo(dtype).max:
        lowest = int(ids[ids > np.iinfo(dtype).max].min()) - (1 << 8 * dtype.itemsize)
        raise GeometryError(
            f"{name} labels hold the negative id {lowest}; ids begin at 0 (background), "
            "so rename or mask what is negative"
        )


def _sorted(true: NDArray[np.uint64], pred: NDArray[np.uint64], count: NDArray[np.int64]) -> Table:
    """Order rows by true, then pred."""
    rows = sorted_rows(np.stack([true, pred, count.astype(np.uint64)], axis=1), (0, 1))
    return _table(np.ascontiguousarray(rows.T))


def _table(columns: NDArray[np.uint64]) -> Table:
    true, pred, count = columns
    return {"true": true, "pred": pred, "count": count.view(np.int64)}
