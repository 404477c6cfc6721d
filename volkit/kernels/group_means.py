"""Group means: one value for each group, such as a subject with several scans."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError


def group_means(
    values: NDArray[Any], group: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Average values within groups.

    Parameters
    ----------
    values : ndarray of real, shape (N,)
        Of the members.
    group : ndarray, shape (N,)
        To which each belongs.

    Returns
    -------
    names : ndarray, shape (G,)
        Sorted.
    means : ndarray of float64, shape (G,)

    Raises
    ------
    ContractError
        If lengths differ.

    Examples
    --------
    >>> names, means = group_means(np.array([0.5, 1.0, 0.25]), np.array(["a", "b", "b"]))
    >>> names.tolist(), means.tolist()
    (['a', 'b'], [0.5, 0.625])
    """
    given, names = np.asarray(values, np.float64), np.asarray(group)
    if given.shape != names.shape or given.ndim != 1:
        raise ContractError(f"{given.shape} values and {names.shape} groups; give one of each")
    known, place = np.unique(names, return_inverse=True)
    return known, np.bincount(place, given) / np.bincount(place)
