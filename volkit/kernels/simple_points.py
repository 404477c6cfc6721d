"""Simple points: voxels that can be taken away without changing what hangs together.

The 3^3 neighbourhood is a number of 27 bits, bit ``9 (dz + 1) + 3 (dy + 1) + dx + 1``; components
in it are flooded with shifts of the whole number.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

NEVER, ALWAYS, MAYBE = 0, 1, 2
"""Answers of ``removable`` where some neighbours are not known."""

_CENTRE = 1 << 13
_MOST_UNKNOWN = 8  # 256 ways to fill them; beyond, nothing is claimed


def _bits(rule: Callable[[int, int, int], bool]) -> int:
    places = ((i // 9 - 1, i // 3 % 3 - 1, i % 3 - 1) for i in range(27))
    return sum(1 << i for i, place in enumerate(places) if rule(*place))


_FACES = _bits(lambda z, y, x: abs(z) + abs(y) + abs(x) == 1)
_EDGES = _bits(lambda z, y, x: 0 < abs(z) + abs(y) + abs(x) < 3)
# A shift must not carry a voxel at the end of a row into the next row.
_X_UP, _X_DOWN = _bits(lambda z, y, x: x < 1), _bits(lambda z, y, x: x > -1)
_Y_UP, _Y_DOWN = _bits(lambda z, y, x: y < 1), _bits(lambda z, y, x: y > -1)


def is_simple(neighbourhood: NDArray[np.bool_]) -> bool:
    """Tell whether taking away the centre of a neighbourhood keeps its topology.

    Objects hang together by faces, edges and corners (26), the background by faces (6): the centre
    is simple where it has one object component around it and one background component beside it.

    Parameters
    ----------
    neighbourhood : ndarray of bool, shape (3, 3, 3)
        Foreground; the centre itself does not matter.

    Returns
    -------
    bool

    References
    ----------
    G. Bertrand, G. Malandain, A new characterization of three-dimensional simple points, 1994,
    https://doi.org/10.1016/0167-8655(94)90046-9

    Examples
    --------
    >>> tip = np.zeros((3, 3, 3), bool)
    >>> tip[1, 1, 0] = True
    >>> is_simple(tip)
    True
    >>> tip[1, 1, 2] = True  # now the centre is what joins the two
    >>> is_simple(tip)
    False
    """
    bits = sum(1 << i for i in range(27) if neighbourhood.ravel()[i])
    return bool(simple(bits))


@numba.njit(nogil=True, cache=True)
def simple(present: int) -> Any:
    """Do as ``is_simple`` for a neighbourhood that is a number of 27 bits."""
    present &= ~_CENTRE
    if present == 0:
        return False
    reached = present & -present
    while True:
        wider = reached | ((reached & _X_UP) << 1) | ((reached & _X_DOWN) >> 1)
        wider |= ((wider & _Y_UP) << 3) | ((wider & _Y_DOWN) >> 3)
        wider = (wider | (wider << 9) | (wider >> 9)) & present
        if wider == reached:
            break
        reached = wider
    if reached != present:
        return False
    empty = ~present & _EDGES
    beside = empty & _FACES
    if beside == 0:
        return False
    reached = beside & -beside
    while True:
        wider = reached | ((reached & _X_UP) << 1) | ((reached & _X_DOWN) >> 1)
        wider |= ((reached & _Y_UP) << 3) | ((reached & _Y_DOWN) >> 3)
        wider = (wider | (reached << 9) | (reached >> 9)) & empty
        if wider == reached:
            break
        reached = wider
    return (reached & beside) == beside


@numba.njit(nogil=True, cache=True)
def removable(present: int, unknown: int, keep_ends: bool) -> Any:
    """Tell whether a voxel can be removed, whatever its unknown neighbours are.

    Parameters
    ----------
    present, unknown : int
        Neighbourhoods as numbers of 27 bits; no bit is in both.
    keep_ends : bool
        Whether a voxel with one neighbour only stays.

    Returns
    -------
    int
        ``NEVER``, ``ALWAYS`` or ``MAYBE``.
    """
    present &= ~_CENTRE
    if (present & _FACES) == _FACES:
        return NEVER
    if _count(unknown) > _MOST_UNKNOWN:
        return MAYBE
    yes, no = False, False
    filled = unknown
    while True:
        around = present | filled
        if simple(around) and not (keep_ends and (around & (around - 1)) == 0):
            yes = True
        else:
            no = True
        if yes and no:
            return MAYBE
        if filled == 0:
            return ALWAYS if yes else NEVER
        filled = (filled - 1) & unknown


@numba.njit(nogil=True, cache=True)
def _count(bits: int) -> int:
    count = 0
    while bits:
        bits &= bits - 1
        count += 1
    return count
