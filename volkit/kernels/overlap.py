"""Overlaps: what became of the objects of one segmentation in another, from a contingency table.

``true`` of the table is the old segmentation, ``pred`` the new one; 0 is background in both.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.kernels.contingency import Table, contingency

UNCHANGED, RESHAPED, SPLIT, MERGED, REMOVED, ADDED = range(6)
CHANGES = ("unchanged", "reshaped", "split", "merged", "removed", "added")
"""What may become of an object, by code."""


def best_matches(table: Table) -> Table:
    """Give objects of the old segmentation the names that the new one has for them.

    Pairs are taken from the largest overlap to the smallest, each object once; among equal overlaps
    the smaller ids come first.  Where the two differ in names alone, the match is that renaming.

    Parameters
    ----------
    table : dict of ndarray
        Contingency table.

    Returns
    -------
    dict of ndarray
        ``old`` and ``new`` (uint64), each id once, sorted by ``old``; background is not among them.

    Examples
    --------
    >>> old, new = np.array([1, 1, 1, 2, 2, 3]), np.array([7, 7, 9, 7, 9, 0])
    >>> {name: ids.tolist() for name, ids in best_matches(contingency(old, new)).items()}
    {'old': [1, 2], 'new': [7, 9]}
    """
    old, new, count = _overlaps(table)
    order = np.lexsort((new, old, -count))
    olds, old_at = np.unique(old, return_inverse=True)
    news, new_at = np.unique(new, return_inverse=True)
    partner = _take_largest(old_at[order], new_at[order], len(olds), len(news))
    matched = partner >= 0
    return {"old": olds[matched], "new": news[partner[matched]]}


def changed_counts(table: Table, matches: Table) -> NDArray[np.int64]:
    """Count the voxels that a renaming does not explain, by row of a table.

    Parameters
    ----------
    table : dict of ndarray
        Contingency table, of the whole or of a part.
    matches : dict of ndarray
        From :func:`best_matches` of the whole.

    Returns
    -------
    ndarray of int64
        For each row its count, or 0 where the two ids are matched, or background both.

    Examples
    --------
    >>> table = contingency(np.array([1, 1, 2, 0]), np.array([5, 5, 5, 0]))
    >>> changed_counts(table, best_matches(table)).tolist()
    [0, 0, 1]
    """
    expected = np.zeros(len(table["true"]), np.uint64)
    if len(matches["old"]):
        at = np.searchsorted(matches["old"], table["true"]).clip(max=len(matches["old"]) - 1)
        known = matches["old"][at] == table["true"]
        expected[known] = matches["new"][at[known]]
    same = (expected == table["pred"]) & ((expected != 0) | (table["true"] == 0))
    return np.where(same, 0, table["count"])


def object_changes(table: Table) -> Table:
    """Tell what became of every object.

    Two objects are linked where they share more than half of the smaller one.  An old object
    without a link was removed, a new one added; one with several links was split (old) or results
    from a merger (new), and so did those at the other end of such links.  A pair that is linked to
    nothing else is unchanged where it is of the same voxels, else reshaped.

    Parameters
    ----------
    table : dict of ndarray
        Contingency table.

    Returns
    -------
    dict of ndarray
        One row for each object: ``is_new`` (bool), ``id`` (uint64), ``voxels`` (int64), ``change``
        (uint8, index of ``CHANGES``), ``links`` (int64) and ``partner`` (uint64: the object of the
        other segmentation that shares most voxels, 0 for none); old ones first, sorted by id.

    Examples
    --------
    >>> old, new = np.array([1, 1, 2, 2, 3, 0]), np.array([5, 6, 7, 7, 0, 8])
    >>> found = object_changes(contingency(old, new))
    >>> [(int(i), CHANGES[c]) for i, c in zip(found["id"], found["change"])]
    [(1, 'split'), (2, 'unchanged'), (3, 'removed'), (5, 'split'), (6, 'split'), (7, 'unchanged'), \
(8, 'added')]
    """
    old_ids, old_size = _sizes(table["true"], table["count"])
    new_ids, new_size = _sizes(table["pred"], table["count"])
    old, new, count = _overlaps(table)
    i, j = np.searchsorted(old_ids, old), np.searchsorted(new_ids, new)
    linked = 2 * count > np.minimum(old_size[i], new_size[j])
    whole = (count == old_size[i]) & (count == new_size[j])
    old_links = np.bincount(i[linked], minlength=len(old_ids))
    new_links = np.bincount(j[linked], minlength=len(new_ids))
    far_of_old = _largest(new_links[j[linked]], i[linked], len(old_ids))
    far_of_new = _largest(old_links[i[linked]], j[linked], len(new_ids))
    old_change = _classify(old_links, far_of_old, SPLIT, MERGED, REMOVED)
    new_change = _classify(new_links, far_of_new, MERGED, SPLIT, ADDED)
    old_change[i[whole]] = new_change[j[whole]] = UNCHANGED
    return {
        "is_new": np.repeat([False, True], [len(old_ids), len(new_ids)]),
        "id": np.concatenate([old_ids, new_ids]),
        "voxels": np.concatenate([old_size, new_size]),
        "change": np.concatenate([old_change, new_change]),
        "links": np.concatenate([old_links, new_links]).astype(np.int64),
        "partner": np.concatenate(
            [_partners(i, new, count, len(old_ids)), _partners(j, old, count, len(new_ids))]
        ),
    }


def block_change(number: int, old: NDArray[Any], new: NDArray[Any], matches: Table) -> Table:
    """Count what changed in a block, up to a renaming of the whole.

    Parameters
    ----------
    number : int
        Of the block.
    old, new : ndarray of int, shape (Z, Y, X)
        Its labels.
    matches : dict of ndarray
        From :func:`best_matches` of the whole.

    Returns
    -------
    dict of ndarray
        One row, or none where nothing changed: ``block``, ``changed`` (voxels), ``old_objects`` and
        ``new_objects`` (how many are involved), and of the largest change ``most_old``,
        ``most_new`` and ``most_changed``.

    Examples
    --------
    >>> old, new = np.array([[[1, 1, 2]]]), np.array([[[5, 5, 5]]])
    >>> found = block_change(3, old, new, best_matches(contingency(old, new)))
    >>> {name: column.tolist() for name, column in found.items()}
    {'block': [3], 'changed': [1], 'old_objects': [1], 'new_objects': [1], 'most_old': [2], \
'most_new': [5], 'most_changed': [1]}
    """
    table = contingency(old, new)
    changed = changed_counts(table, matches)
    rows = np.flatnonzero(changed)
    most = rows[[int(np.argmax(changed[rows]))]] if len(rows) else rows
    some = slice(0, len(most))
    return {
        "block": np.array([number], np.int64)[some],
        "changed": np.array([changed.sum()], np.int64)[some],
        "old_objects": np.array([_objects(table["true"][rows])], np.int64)[some],
        "new_objects": np.array([_objects(table["pred"][rows])], np.int64)[some],
        "most_old": table["true"][most],
        "most_new": table["pred"][most],
        "most_changed": changed[most],
    }


def _overlaps(table: Table) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]:
    """Leave background out."""
    keep = (table["true"] != 0) & (table["pred"] != 0)
    return table["true"][keep], table["pred"][keep], table["count"][keep]


def _sizes(
    ids: NDArray[np.uint64], count: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    found, row = np.unique(ids[ids != 0], return_inverse=True)
    sizes = np.zeros(len(found), np.int64)
    np.add.at(sizes, row, count[ids != 0])  # bincount would add in float64
    return found, sizes


def _largest(values: NDArray[Any], row: NDArray[np.intp], rows: int) -> NDArray[np.int64]:
    most = np.zeros(rows, np.int64)
    np.maximum.at(most, row, values)
    return most


def _classify(
    links: NDArray[Any], far: NDArray[np.int64], several: int, beyond: int, none: int
) -> NDArray[np.uint8]:
    """Name what became of one side, from its own links and those at their other ends."""
    choices = [links == 0, links > 1, far > 1]
    return np.select(choices, [none, several, beyond], RESHAPED).astype(np.uint8)


def _partners(
    row: NDArray[np.intp], other: NDArray[np.uint64], count: NDArray[np.int64], rows: int
) -> NDArray[np.uint64]:
    order = np.lexsort((other, -count, row))
    first, at = np.unique(row[order], return_index=True)
    partner = np.zeros(rows, np.uint64)
    partner[first] = other[order][at]
    return partner


def _objects(ids: NDArray[np.uint64]) -> int:
    return int(np.count_nonzero(np.unique(ids)))


@numba.njit(nogil=True, cache=True)
def _take_largest(
    old_at: NDArray[np.intp], new_at: NDArray[np.intp], olds: int, news: int
) -> NDArray[np.int64]:
    """Take pairs in their order, each side once."""
    partner = np.full(olds, -1, np.int64)
    taken = np.zeros(news, np.bool_)
    for k in range(len(old_at)):
        if partner[old_at[k]] < 0 and not taken[new_at[k]]:
            partner[old_at[k]] = new_at[k]
            taken[new_at[k]] = True
    return partner
