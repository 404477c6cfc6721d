"""Wide sums: squares that grow and join, added in 128 bits, and n log2 n beside them."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Wides = NDArray[np.uint64]

_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@numba.njit(nogil=True, cache=True)
def grow_square(sums: Wides, bits: Any, column: int, before: int, more: int) -> None:
    """Replace before^2 by (before + more)^2.

    Parameters
    ----------
    sums : ndarray of uint64, shape (N, 2)
        High and low halves.
    bits : ndarray of float64, shape (M, 2)
        Sums of n log2 n, and what rounding lost.
    column : int
        Which row of both.
    before, more : int
        Below 2**62.
    """
    add_product(sums[column], more, 2 * before + more)
    _add_log(bits[column], before + more, before, 0)


@numba.njit(nogil=True, cache=True)
def join_square(sums: Wides, bits: Any, column: int, one: int, two: int) -> None:
    """Replace one^2 + two^2 by (one + two)^2; as :func:`grow_square` otherwise."""
    add_product(sums[column], 2 * one, two)
    _add_log(bits[column], one + two, one, two)


@numba.njit(nogil=True, cache=True)
def _add_log(total: Any, after: int, one: int, two: int) -> None:
    """Add n log2 n of the new and take away the old, and keep what rounding loses."""
    for sign, n in ((1.0, after), (-1.0, one), (-1.0, two)):
        if n > 1:
            term = sign * n * np.log2(np.float64(n))
            new = total[0] + term
            if abs(total[0]) >= abs(term):
                total[1] += (total[0] - new) + term
            else:
                total[1] += (term - new) + total[0]
            total[0] = new


@numba.njit(nogil=True, cache=True)
def _product(a: int, b: int) -> Any:
    """Multiply two numbers of 63 bits into one of 128: high and low."""
    ah, al = np.uint64(a) >> _HALF, np.uint64(a) & _LOW
    bh, bl = np.uint64(b) >> _HALF, np.uint64(b) & _LOW
    low = al * bl
    middle = ah * bl + (low >> _HALF)
    other = al * bh + (middle & _LOW)
    return ah * bh + (middle >> _HALF) + (other >> _HALF), (other << _HALF) | (low & _LOW)


@numba.njit(nogil=True, cache=True)
def add_product(total: Wides, a: int, b: int) -> None:
    """Add a product to a sum of two halves."""
    high, low = _product(a, b)
    total[1] += low
    total[0] += high + np.uint64(total[1] < low)


@numba.njit(nogil=True, cache=True)
def subtract_product(total: Wides, a: int, b: int) -> None:
    """Take a product away from a sum of two halves, which is no smaller."""
    high, low = _product(a, b)
    total[0] -= high + np.uint64(total[1] < low)
    total[1] -= low
