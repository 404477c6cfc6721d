"""Ratios of whole numbers compared exactly: rounding must not decide which merge comes first."""

from typing import Any

import numba
import numpy as np

_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_CLEAR = 1e-15  # three roundings of 2^-53 each lie below it


@numba.njit(nogil=True, cache=True)
def compare_ratios(p: int, q: int, r: int, s: int) -> Any:
    """Compare p / q with r / s.

    Parameters
    ----------
    p, r : int64
        Not negative.
    q, s : int64
        Positive.

    Returns
    -------
    int
        -1 where the first is smaller, 0 where they are equal, 1 where it is larger.

    Examples
    --------
    >>> compare_ratios(1, 3, 2, 6), compare_ratios(2**62, 2**53 + 1, 2**62, 2**53)
    (0, -1)
    """
    a, b = np.float64(p) / np.float64(q), np.float64(r) / np.float64(s)
    if abs(a - b) > _CLEAR * max(a, b):
        return -1 if a < b else 1
    high, low = _product(np.uint64(p), np.uint64(s))
    other_high, other_low = _product(np.uint64(r), np.uint64(q))
    if high != other_high:
        return -1 if high < other_high else 1
    if low != other_low:
        return -1 if low < other_low else 1
    return 0


@numba.njit(nogil=True, cache=True)
def _product(a: np.uint64, b: np.uint64) -> Any:
    """Multiply in 128 bits; give the high and the low half."""
    low = (a & _LOW) * (b & _LOW)
    left, right = (a >> _HALF) * (b & _LOW), (a & _LOW) * (b >> _HALF)
    middle = (low >> _HALF) + (left & _LOW) + (right & _LOW)
    high = (a >> _HALF) * (b >> _HALF) + (left >> _HALF) + (right >> _HALF) + (middle >> _HALF)
    return high, (middle << _HALF) | (low & _LOW)
