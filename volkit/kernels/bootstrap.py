"""Bootstrap: how far a ratio of sums would move if other blocks of tissue had been looked at."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError

_AT_ONCE = 1 << 22  # draws times blocks held in memory


def ratio_interval(
    above: NDArray[Any],
    below: NDArray[Any],
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Find the interval of a ratio of sums, drawing whole blocks with replacement.

    Neighbouring voxels and sections are alike, so that intervals from single ones would be far too
    narrow; blocks should be larger than what they are filled with.

    Parameters
    ----------
    above, below : ndarray, shape (N,)
        Numerator and denominator of every block, such as voxels of a class and of tissue.
    level : float
        Between 0 and 1.
    draws : int
        How often N blocks are drawn.
    seed : int
        Of the draws: equal seeds give equal intervals.

    Returns
    -------
    low, high : float
        Percentiles of the drawn ratios; NaN where there are fewer than two blocks.

    Raises
    ------
    GeometryError
        If the level or the number of draws makes no sense, or lengths differ.

    References
    ----------
    Künsch, The jackknife and the bootstrap for general stationary observations, 1989:
    https://doi.org/10.1214/aos/1176347265

    Examples
    --------
    >>> ratio_interval(np.array([2, 2, 2]), np.array([10, 10, 10]))
    (0.2, 0.2)
    """
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    if not 0 < level < 1 or draws < 1 or above.shape != below.shape or above.ndim != 1:
        raise GeometryError(
            f"level {level}, {draws} draws, blocks {above.shape} and {below.shape}; give a level "
            "between 0 and 1, some draws, and two values for every block"
        )
    kept = below > 0
    above, below = above[kept], below[kept]
    if len(above) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    ratios = np.empty(draws)
    step = max(1, _AT_ONCE // len(above))
    for first in range(0, draws, step):
        drawn = rng.integers(len(above), size=(min(step, draws - first), len(above)))
        ratios[first : first + len(drawn)] = above[drawn].sum(axis=1) / below[drawn].sum(axis=1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
