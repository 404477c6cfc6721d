"""Keys of ids: numbers that many ids are spread over evenly, in any order or in that of the ids."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint64]
Keys = NDArray[np.int64]
Table = dict[str, NDArray[Any]]

MOST_SAMPLES = 4096
"""Ids that stand for all others: what they are is known to a four-thousandth."""

_MIXES = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # those of splitmix64
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))


def mixed_keys(ids: Ids, keys: int) -> Keys:
    """Give ids keys in no order, about as many to each.

    Parameters
    ----------
    ids : ndarray of uint64
        Any.
    keys : int
        How many keys there are.

    Returns
    -------
    ndarray of int64
        0 to ``keys - 1``.

    Examples
    --------
    >>> np.bincount(mixed_keys(np.arange(1, 4001, dtype=np.uint64), 4)).tolist()
    [958, 1054, 985, 1003]
    """
    mixed = ids.astype(np.uint64)
    for shift, factor in zip(_SHIFTS, _MIXES, strict=False):
        mixed = (mixed ^ (mixed >> shift)) * factor
    mixed ^= mixed >> _SHIFTS[-1]
    return (mixed % np.uint64(keys)).astype(np.int64)


def ordered_keys(ids: Ids, samples: Ids, keys: int) -> Keys:
    """Give ids keys in their order, about as many to each as the samples let know.

    Parameters
    ----------
    ids : ndarray of uint64
        Any.
    samples : ndarray of uint64
        Sorted, each once, with the smallest and the largest of all ids.
    keys : int
        How many keys there are.

    Returns
    -------
    ndarray of int64
        0 to ``keys - 1``; never less for a larger id.

    Examples
    --------
    >>> ids = np.array([1, 2, 7, 8, 2**63, 2**64 - 1], np.uint64)
    >>> ordered_keys(ids, ids[::2], 2).tolist(), ordered_keys(ids, ids, 6).tolist()
    ([0, 0, 0, 0, 1, 1], [0, 1, 2, 3, 4, 5])
    >>> ordered_keys(ids[:4], np.array([1, 8], np.uint64), 4).tolist()
    [0, 0, 1, 2]
    """
    count = len(samples)
    if not count:
        return np.zeros(len(ids), np.int64)
    if count > keys:
        first = samples[-(-np.arange(1, keys) * count // keys)]
        return np.searchsorted(first, ids, "right").astype(np.int64)
    # Between two samples, ids are taken to lie evenly.
    each = keys // count
    span = np.searchsorted(samples, ids, "right") - 1
    gap = np.append(np.diff(samples), np.uint64(1))
    width = (gap - np.uint64(1)) // np.uint64(each) + np.uint64(1)
    at = np.maximum(span, 0)
    inside = np.where(span < 0, np.uint64(0), (ids - samples[at]) // width[at])
    most = np.uint64(each - 1)
    return at.astype(np.int64) * each + np.minimum(inside, most).astype(np.int64)


def samples_of(tables: Iterable[Table], most: int = MOST_SAMPLES) -> Table:
    """Choose ids that stand for all others, each for about as many.

    Parameters
    ----------
    tables : iterable of dict of ndarray
        ``id`` (uint64, sorted), each for itself; or what this function gave, with ``weight``.
    most : int
        How many to choose at most.

    Returns
    -------
    dict of ndarray
        ``id`` (uint64, sorted, each once), the smallest and the largest among them, and ``weight``
        (float64): how many ids each stands for, with those that stand in several tables counted
        in one of them at least.

    Examples
    --------
    >>> chosen = samples_of([{"id": np.arange(1, 101, dtype=np.uint64)}], most=5)
    >>> chosen["id"].tolist(), chosen["weight"].tolist()
    ([1, 26, 51, 76, 100], [1.0, 25.0, 25.0, 25.0, 24.0])
    """
    found = [(t["id"], t.get("weight", np.ones(len(t["id"])))) for t in tables]
    ids = np.concatenate([np.zeros(0, np.uint64), *(pair[0] for pair in found)])
    weight = np.concatenate([np.zeros(0), *(pair[1] for pair in found)])
    order = np.argsort(ids, kind="stable")
    ids, weight = ids[order], weight[order]
    begins = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])) if len(ids) else order
    if len(ids):
        ids, weight = ids[begins], np.maximum.reduceat(weight, begins)
    if len(ids) > most:
        total = np.cumsum(weight)
        wanted = np.linspace(total[0], total[-1], most)
        at = np.unique(np.searchsorted(total, wanted - 1e-9 * total[-1]))
        ids, weight = ids[at], np.diff(total[at], prepend=0.0)
    return {"id": ids, "weight": weight}
