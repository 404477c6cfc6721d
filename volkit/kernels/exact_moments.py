"""Exact moments: sums of lengths and of their squares in whole numbers, which add up in any order.

Sums of floating-point numbers depend on the order of adding, and so on how cells were partitioned.
Lengths are counted in units of 2^-34 (of a nanometre, or of a voxel) instead, and sums are kept in
digits to the base 2^32, each a column of int64: two for the sum, four for the sum of squares.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

KNOWN, LOW, HIGH = "known", "low", "high"
SQUARES = ("square_0", "square_1", "square_2", "square_3")
"""Digits of the sum of squares, the least first."""
MOMENTS = (KNOWN, LOW, HIGH, *SQUARES)
DIGITS = ((LOW, HIGH), SQUARES)
"""Columns that are digits of one number, the least first."""

_BITS = 34
_BASE = 32
_MASK = (1 << _BASE) - 1
_LONGEST = 2.0**28  # what fits into 62 bits


def moments(lengths: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
    """Make the moments of single lengths.

    Parameters
    ----------
    lengths : ndarray of float64, shape (N,)
        0 to 2^28; NaN is no length, and counts for nothing.

    Returns
    -------
    dict of str to ndarray of int64, shape (N,)
        ``MOMENTS``.

    Raises
    ------
    ContractError
        If a length is negative or too long for exact sums.

    Examples
    --------
    >>> found = moments(np.array([3.0, np.nan]))
    >>> found["known"].tolist(), found["high"].tolist(), found["square_3"].tolist()
    ([1, 0], [12, 0], [0, 0])
    """
    known = ~np.isnan(lengths)
    if ((lengths < 0) | (lengths >= _LONGEST)).any():
        raise ContractError(
            f"lengths from {np.nanmin(lengths):g} to {np.nanmax(lengths):g} cannot be added "
            f"exactly; they must be 0 or more, and less than {_LONGEST:g}: give a voxel size in "
            "nanometres that is that of the volume"
        )
    units = np.rint(np.where(known, lengths, 0) * 2.0**_BITS).astype(np.uint64)
    low, high = units & np.uint64(_MASK), units >> np.uint64(_BASE)
    # (high B + low)^2, carried from digit to digit: none outgrows 64 bits.
    square, cross = low * low, high * low
    digits = [square & np.uint64(_MASK)]
    carried = (square >> np.uint64(_BASE)) + 2 * (cross & np.uint64(_MASK))
    digits.append(carried & np.uint64(_MASK))
    carried = (carried >> np.uint64(_BASE)) + 2 * (cross >> np.uint64(_BASE)) + high * high
    digits += [carried & np.uint64(_MASK), carried >> np.uint64(_BASE)]
    columns = (known, low, high, *digits)
    return {name: c.astype(np.int64) for name, c in zip(MOMENTS, columns, strict=True)}


def carry(table: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """Carry digits that have outgrown their base, so that equal sums have equal digits.

    Parameters
    ----------
    table : mapping of str to ndarray of int64
        With the columns ``DIGITS``, or some of them together; up to 2^31 rows were added up.

    Returns
    -------
    dict of str to ndarray of int64

    Examples
    --------
    >>> {name: int(c[0]) for name, c in carry({"low": np.array([2**33 + 5]),
    ...                                        "high": np.array([7])}).items()}
    {'low': 5, 'high': 9}
    """
    found = dict(table)
    for digits in DIGITS:
        for low, high in pairwise(digits):
            if low in found:
                found[high] = found[high] + (found[low] >> _BASE)
                found[low] = found[low] & _MASK
    return found


def lengths_of(low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
    """Turn sums into lengths: the nearest floating-point numbers, whatever their digits.

    Parameters
    ----------
    low, high : ndarray of int64
        Digits of the sums.

    Returns
    -------
    ndarray of float64
    """
    table = carry({LOW: np.asarray(low), HIGH: np.asarray(high)})
    found: NDArray[np.float64] = table[HIGH] * 2.0 ** (_BASE - _BITS) + table[LOW] * 2.0**-_BITS
    return found


def mean_length(table: Mapping[str, NDArray[np.int64]]) -> float:
    """Compute the mean of all lengths of a table, rounded once; NaN where there is none.

    Examples
    --------
    >>> mean_length(moments(np.array([1.0, 2.0, np.nan])))
    1.5
    """
    count = int(table[KNOWN].sum())
    return _whole(table, DIGITS[0]) / (count << _BITS) if count else float("nan")


def length_deviation(table: Mapping[str, NDArray[np.int64]]) -> float:
    """Compute the standard deviation (n - 1) of lengths; NaN for fewer than two.

    Examples
    --------
    >>> length_deviation(moments(np.array([1.0, 2.0, 3.0])))
    1.0
    """
    count = int(table[KNOWN].sum())
    if count < 2:
        return float("nan")
    total, squares = (_whole(table, digits) for digits in DIGITS)
    above = count * squares - total * total
    return float((above / ((count * (count - 1)) << (2 * _BITS))) ** 0.5)


def _whole(table: Mapping[str, NDArray[np.int64]], digits: tuple[str, ...]) -> int:
    return sum(int(table[name].sum()) << (_BASE * place) for place, name in enumerate(digits))
