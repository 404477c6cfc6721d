"""Neighbours: which points of two sets lie within a radius of each other."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.kernels.cells import add_point, bucket, cell_key, cells_of, check_points, empty_cells

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def neighbours(candidates: NDArray[Any], references: NDArray[Any], *, radius: float) -> Pairs:
    """Find all pairs of a candidate and a reference within a radius, that distance included.

    Parameters
    ----------
    candidates : ndarray of float, shape (N, 3)
        Points, any unit.
    references : ndarray of float, shape (M, 3)
        Points, in the same unit.
    radius : float
        In the same unit.

    Returns
    -------
    candidate, reference : ndarray of int64, shape (P,)
        Rows of each pair, ordered by candidate, then reference.
    squared : ndarray of float64, shape (P,)
        Squared distances.

    Raises
    ------
    GeometryError
        If coordinates are not finite, or the radius is not above 0.

    Examples
    --------
    >>> ends = np.array([[0, 0, 0], [0, 0, 9]])
    >>> c, r, squared = neighbours(np.array([[0, 0, 3]]), ends, radius=3)
    >>> c.tolist(), r.tolist(), squared.tolist()
    ([0], [0], [9.0])
    """
    candidates = check_points(candidates, name="candidates")
    references = check_points(references, name="references")
    if not 0 < radius < np.inf:
        raise GeometryError(f"radius is {radius}; give a finite distance above 0")
    if not len(candidates) or not len(references):
        nothing = np.empty(0, np.int64)
        return nothing, nothing, np.empty(0, np.float64)
    largest = max(float(np.abs(candidates).max()), float(np.abs(references).max()))
    # Twice the radius and a little, so that two cubes along each axis hold all neighbours even
    # where divisions are rounded.
    size = max(float(radius) * (2 + 2.0**-20), largest * 2.0**-30)
    first, following, keys = _hashed(cells_of(references, size), empty_cells(len(references)))
    limit = float(radius) ** 2
    pairs: Pairs = _pairs(candidates, references, size, limit, keys, first, following)
    return pairs


@numba.njit(nogil=True, cache=True)
def _hashed(cells, first):  # type: ignore[no-untyped-def]
    following, keys = np.empty(len(cells), np.int64), np.empty(len(cells), np.int64)
    for i in range(len(cells)):
        keys[i] = cell_key(cells[i, 0], cells[i, 1], cells[i, 2])
        add_point(i, keys[i], first, following)
    return first, following, keys


@numba.njit(nogil=True, cache=True)
def _pairs(  # type: ignore[no-untyped-def]
    candidates, references, size, limit, keys, first, following
):
    room = max(1024, len(candidates))
    left, right = np.empty(room, np.int64), np.empty(room, np.int64)
    squared = np.empty(room, np.float64)
    count, corner = 0, np.empty(3, np.int64)
    for i in range(len(candidates)):
        for axis in range(3):
            # Of a cube and the next, the pair in whose middle half the point lies.
            corner[axis] = np.int64(np.floor(candidates[i, axis] / size - 0.5))
        begun = count
        for n in range(8):
            key = cell_key(corner[0] + (n >> 2), corner[1] + (n >> 1 & 1), corner[2] + (n & 1))
            j = first[bucket(key, len(first))]
            while j >= 0:
                if keys[j] == key:
                    # x first, as those add up who have (x, y, z).
                    c = candidates[i, 2] - references[j, 2]
                    b = candidates[i, 1] - references[j, 1]
                    a = candidates[i, 0] - references[j, 0]
                    distance = c * c + b * b + a * a
                    if distance <= limit:
                        if count == len(left):
                            left, right = _doubled(left), _doubled(right)
                            squared = _doubled(squared)
                        left[count] = i
                        _put_in_order(right, squared, begun, count, j, distance)
                        count += 1
                j = following[j]
    return left[:count].copy(), right[:count].copy(), squared[:count].copy()


@numba.njit(nogil=True, cache=True)
def _put_in_order(right, squared, begun, count, j, distance):  # type: ignore[no-untyped-def]
    """Insert a reference among those of the same candidate."""
    place = count
    while place > begun and right[place - 1] > j:
        right[place], squared[place] = right[place - 1], squared[place - 1]
        place -= 1
    right[place], squared[place] = j, distance


@numba.njit(nogil=True, cache=True)
def _doubled(array):  # type: ignore[no-untyped-def]
    larger = np.empty(2 * len(array), array.dtype)
    larger[: len(array)] = array
    return larger
