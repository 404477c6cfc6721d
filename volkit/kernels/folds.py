"""Folds: examples divided into parts with equal shares of positives, groups kept together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

Numbers = NDArray[np.int64]


def stratified_folds(
    positive: NDArray[Any], group: NDArray[Any], *, count: int, seed: int = 0
) -> Numbers:
    """Divide examples so that no group is in two folds and all folds have like shares.

    Groups are taken in the order of how unequal their classes are, the most unequal first, and
    each goes where it leaves the shares of both classes most even; of equal ones to the smallest
    fold.  The order of equal groups is drawn.

    Parameters
    ----------
    positive : ndarray of bool, shape (N,)
        Which class.
    group : ndarray, shape (N,)
        What stays together: texts or numbers.
    count : int
        Folds.
    seed : int
        Of the draw: equal seeds give equal folds, whatever the order of the examples.

    Returns
    -------
    ndarray of int64, shape (N,)
        Fold of each example, from 0 on.

    Raises
    ------
    ContractError
        If there are fewer groups than folds, or one class has examples in fewer groups than folds.

    Examples
    --------
    >>> fold = stratified_folds(np.array([1, 0, 1, 0], bool), np.array([7, 7, 8, 8]), count=2)
    >>> bool(fold[0] == fold[1]), bool(fold[2] == fold[3]), bool(fold[0] == fold[2])
    (True, True, False)
    """
    truth, names = np.asarray(positive, bool), np.asarray(group)
    known, place = np.unique(names, return_inverse=True)
    table = np.stack([np.bincount(place, truth == side, len(known)) for side in (False, True)], 1)
    holders = (table > 0).sum(axis=0)
    if count < 2 or len(known) < count or holders.min() < count:
        raise ContractError(
            f"{len(known)} groups, of which {int(holders[1])} have positives and "
            f"{int(holders[0])} negatives, cannot be divided into {count} folds; give 2 folds or "
            "more, and no more than there are groups of each kind"
        )
    drawn = np.random.default_rng(seed).permutation(len(known))
    order = drawn[np.argsort(-table[drawn].std(axis=1), kind="stable")]
    totals, share = table.sum(axis=0), np.zeros((count, 2))
    fold = np.empty(len(known), np.int64)
    for row in order:
        fold[row] = _emptiest(share, table[row] / totals)
        share[fold[row]] += table[row] / totals
    return fold[place]


def _emptiest(share: NDArray[np.float64], more: NDArray[np.float64]) -> int:
    """Find the fold where a group leaves the shares most even."""
    best, least = 0, (np.inf, np.inf)
    for number in range(len(share)):
        tried = share.copy()
        tried[number] += more
        found = (round(float(tried.std(axis=0).mean()), 12), float(share[number].sum()))
        if found < least:
            best, least = number, found
    return best


def groups_in_two_folds(fold: NDArray[Any], group: NDArray[Any]) -> list[Any]:
    """Name the groups that have examples in more than one fold.

    Parameters
    ----------
    fold, group : ndarray, shape (N,)
        Of each example.

    Returns
    -------
    list
        Sorted; empty where nothing leaks.

    Examples
    --------
    >>> groups_in_two_folds(np.array([0, 1, 1]), np.array(["a", "a", "b"]))
    ['a']
    """
    names, place = np.unique(np.asarray(group), return_inverse=True)
    pairs = np.unique(np.stack([place, np.asarray(fold)], 1), axis=0)
    return [names[n].item() for n in np.flatnonzero(np.bincount(pairs[:, 0]) > 1)]
