"""Dice overlap of classes, for labels that mean the same in both arrays (tissue, not cells)."""

from math import nan

import numpy as np

from volkit.kernels.contingency import Table


def dice_scores(table: Table, *, classes: tuple[int, ...] | None = None) -> dict[int, float]:
    """Compute the Dice overlap of every class.

    Parameters
    ----------
    table : dict of ndarray
        Contingency table of class labels.
    classes : tuple of int, optional
        Which; None takes all that occur but 0.

    Returns
    -------
    dict of int to float
        2 |true and pred| / (|true| + |pred|), 0 to 1, 1 best; NaN for a class that neither has.

    References
    ----------
    L. R. Dice, Measures of the amount of ecologic association between species,
    doi:10.2307/1932409.

    Examples
    --------
    >>> tissue = {"true": [1, 1, 2], "pred": [1, 2, 2], "count": [6, 2, 4]}
    >>> dice_scores({name: np.array(column) for name, column in tissue.items()})
    {1: 0.8571428571428571, 2: 0.8}
    """
    true, pred, count = table["true"], table["pred"], table["count"]
    if classes is None:
        classes = tuple(int(c) for c in np.union1d(true, pred) if c)
    scores: dict[int, float] = {}
    for c in classes:
        shared = int(count[(true == c) & (pred == c)].sum())
        either = int(count[true == c].sum()) + int(count[pred == c].sum())
        scores[c] = 2 * shared / either if either else nan
    return scores
