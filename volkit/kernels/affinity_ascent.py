"""Steepest ascent on affinities: which neighbours a voxel is drawn to."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError
from volkit.geometry import Box, Coord

Floats = NDArray[np.float32]
Ways = NDArray[np.uint8]
"""Bits of a voxel: 1, 2, 4 for its neighbours before it on z, y, x; 8, 16, 32 for those after."""

CERTAIN = 64  # the bit of voxels that an edge at or above the high threshold joins
_NONE = np.float32(-1)  # the affinity of an edge that leads out of the domain


def steepest_ways(affinities: Floats, core: Box, *, low: float, high: float, toward: int) -> Ways:
    """Find the steepest edges of every voxel.

    A voxel is drawn along each of its six edges that holds the largest of their affinities, and
    along each at or above ``high``.  Voxels without an edge above ``low`` are background.

    Parameters
    ----------
    affinities : ndarray of float32, shape (3, Z, Y, X)
        Affinity of a voxel and its neighbour on z, y, x, 0 to 1.
    core : Box
        The voxels asked about, in the array's own coordinates, which sees one voxel more wherever
        the domain goes on.
    low, high : float
        Edges at or below ``low`` do not count; those at or above ``high`` always join.
    toward : {-1, 1}
        Whether an affinity is that with the neighbour before the voxel, or after it.

    Returns
    -------
    ndarray of uint8, shape of the core
        Bits 1, 2, 4: toward the neighbour before on z, y, x; 8, 16, 32: after; 64: ``high`` was
        reached; 0: background.

    Raises
    ------
    ContractError
        If there are not three channels.

    References
    ----------
    A. Zlateski, H. S. Seung, Image segmentation by size-dependent single linkage clustering of a
    watershed basin graph, 2015, https://doi.org/10.48550/arXiv.1505.00249

    Examples
    --------
    >>> affinities = np.zeros((3, 1, 1, 4), np.float32)
    >>> affinities[2, 0, 0] = [0.0, 0.7, 0.4, 0.4]
    >>> steepest_ways(affinities, Box((0, 0, 0), (1, 1, 4)), low=0.1, high=0.9, toward=-1).tolist()
    [[[32, 4, 36, 4]]]
    """
    if affinities.ndim != 4 or len(affinities) != 3:
        raise ContractError(
            f"affinities are {affinities.shape}; give (3, Z, Y, X): those on z, y, x"
        )
    out = np.empty(core.shape, np.uint8)
    # Nothing is above 1: voxels that reach it are on a top, which need not be looked for.
    least = np.float32(low), np.float32(min(high, 1.0))
    _ways(affinities, core.start, core.stop, *least, int(toward > 0), out)
    return out


def edge_direction(offsets: Sequence[Sequence[int]]) -> int:
    """Tell whether affinities are those with the voxels before or after.

    Parameters
    ----------
    offsets : sequence of (z, y, x)
        From a voxel to the one that channel 0, 1, 2 compares it with.

    Returns
    -------
    {-1, 1}

    Raises
    ------
    ConfigError
        If they are not the nearest neighbours on z, y, x, in this order, all before or all after.

    Examples
    --------
    >>> edge_direction([[-1, 0, 0], [0, -1, 0], [0, 0, -1]])
    -1
    """
    given = tuple(tuple(int(n) for n in offset) for offset in offsets)
    for toward in (-1, 1):
        if given == ((toward, 0, 0), (0, toward, 0), (0, 0, toward)):
            return toward
    say = f"offsets are {[list(offset) for offset in given]}; "
    if sorted(given) in ([(-1, 0, 0), (0, -1, 0), (0, 0, -1)], [(0, 0, 1), (0, 1, 0), (1, 0, 0)]):
        raise ConfigError(f"{say}channels must be those of z, y, x: bring them into this order")
    raise ConfigError(
        f"{say}give [[-1, 0, 0], [0, -1, 0], [0, 0, -1]] where a voxel is compared with those "
        "before it, or the same with 1 where with those after it; leave long-range ones out"
    )


@numba.njit(nogil=True, cache=True)
def _ways(
    affinities: Floats,
    start: Coord,
    stop: Coord,
    low: np.float32,
    high: np.float32,
    after: int,
    out: Ways,
) -> None:
    """Visit rows: the edges before row r are in row r, or in row r - 1 if they are told after."""
    _, nz, ny, nx = affinities.shape
    left, right = start[2], stop[2]
    none = np.full(right - left, _NONE, np.float32)
    back, ahead = none.copy(), none.copy()
    first, last = max(left, 1), min(right, nx - 1)  # where there is an edge before, and after
    for z in range(start[0], stop[0]):
        for y in range(start[1], stop[1]):
            row = affinities[2, z, y]
            _copy(row[first - after : right - after], back[first - left :])
            _copy(row[left + 1 - after : last + 1 - after], ahead)
            up = affinities[0, z - after, y, left:right] if z > 0 else none
            down = affinities[0, z + 1 - after, y, left:right] if z < nz - 1 else none
            north = affinities[1, z, y - after, left:right] if y > 0 else none
            south = affinities[1, z, y + 1 - after, left:right] if y < ny - 1 else none
            edges = (up, north, back, down, south, ahead)
            _row(edges, low, high, out[z - start[0], y - start[1]])


@numba.njit(nogil=True, cache=True)
def _copy(source: Floats, target: Floats) -> None:
    for i in range(len(source)):
        target[i] = source[i]


@numba.njit(nogil=True, cache=True)
def _row(edges: Any, low: np.float32, high: np.float32, out: Ways) -> None:
    """Decide a row without a branch."""
    up, north, back, down, south, ahead = edges
    for i in range(len(out)):
        most = max(max(max(up[i], north[i]), max(back[i], down[i])), max(south[i], ahead[i]))
        least = min(most, high)  # an edge is the largest, or above high, if it reaches this
        bits = (
            np.uint8(up[i] >= least)
            | np.uint8(north[i] >= least) << np.uint8(1)
            | np.uint8(back[i] >= least) << np.uint8(2)
            | np.uint8(down[i] >= least) << np.uint8(3)
            | np.uint8(south[i] >= least) << np.uint8(4)
            | np.uint8(ahead[i] >= least) << np.uint8(5)
            | np.uint8(most >= high) << np.uint8(6)
        )
        out[i] = bits if most > low else np.uint8(0)
