"""Group bootstrap: how far a score would move if other animals or projects had been looked at."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

Score = Callable[[NDArray[np.float64]], float]


def group_interval(
    score: Score,
    group: NDArray[Any],
    *,
    level: float = 0.95,
    draws: int = 500,
    seed: int = 0,
) -> tuple[float, float]:
    """Find the interval of a score, drawing whole groups with replacement.

    Examples of one animal are alike, so that intervals from single examples would be too narrow.

    Parameters
    ----------
    score : callable
        Gets how often each example counts, shape (N,); a draw in which it is NaN, as where a class
        is missing, does not count.
    group : ndarray, shape (N,)
        To which each example belongs.
    level : float
        Between 0 and 1.
    draws : int
        How often as many groups are drawn as there are.
    seed : int
        Of the draws: equal seeds give equal intervals.

    Returns
    -------
    low, high : float
        Percentiles; NaN where there are fewer than two groups, or no draw has a score.

    Raises
    ------
    ContractError
        If the level or the number of draws makes no sense.

    References
    ----------
    B. Efron, Bootstrap methods, 1979, doi:10.1214/aos/1176344552.

    Examples
    --------
    >>> values = np.array([1.0, 1.0, 1.0])
    >>> group_interval(lambda w: (w * values).sum() / w.sum(), np.array(["a", "b", "b"]))
    (1.0, 1.0)
    """
    if not 0 < level < 1 or draws < 1:
        raise ContractError(
            f"level {level} and {draws} draws; give a level between 0 and 1, and some draws"
        )
    names, place = np.unique(np.asarray(group), return_inverse=True)
    if len(names) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    found = np.empty(draws)
    for n in range(draws):
        drawn = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        found[n] = score(drawn[place].astype(np.float64))
    found = found[~np.isnan(found)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
