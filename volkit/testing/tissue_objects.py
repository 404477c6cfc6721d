"""Objects of synthetic tissue: cells and vessels, listed as a function of position.

Candidates for cells lie in a lattice; one is kept where no vessel and no candidate of higher rank
comes near (Matérn's second hard-core process), so that kept cells never touch.  Vessels join the
nodes of another lattice.  What is in a box follows from what is near, never from the whole.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from volkit.geometry import Coord
from volkit.testing.hashing import hash3, stream, unit

Floats = NDArray[np.float64]

CELL_EDGE = 12.0  # of the lattice of candidates; all lengths here are micrometres
RADIUS = (3.4, 5.4)  # of cells, before their axes are stretched
_STRETCH = (0.85, 1.15)
LARGEST_CELL = RADIUS[1] * _STRETCH[1]
GAP = 3.0  # between cells: more than a diagonal of voxels of 1.5 micrometres
VESSEL_EDGE = 50.0  # between nodes of vessels
VESSEL_RADIUS = (2.2, 4.5)
_JITTER = 0.7  # of the edge: how far nodes of vessels lie apart from their lattice
_PLACE, _SIZE, _RANK, _NODE, _TUBE = 70, 71, 72, 73, 74  # streams


class Cells(NamedTuple):
    """Cells of a part of the tissue.

    Parameters
    ----------
    centre : ndarray of float64, shape (N, 3)
        (z, y, x), micrometres.
    axes : ndarray of float64, shape (N, 3)
        Semi-axes of the ellipsoid along z, y and x, micrometres.
    id : ndarray of uint64, shape (N,)
        Unique in the tissue, greater than 0.
    """

    centre: Floats
    axes: Floats
    id: NDArray[np.uint64]


@njit(nogil=True, cache=True)
def region_of(x: float, width: float) -> int:
    """Find the region at a place: a quarter of the width each, 0 to 3; beyond it the nearest."""
    return min(3, max(0, int(np.floor(4.0 * x / width))))


@njit(nogil=True, cache=True)
def _candidates(
    seed: int, first: NDArray[np.int64], shape: tuple[int, int, int], shares: Floats, width: float
) -> Any:
    """Tabulate candidates: place, semi-axes and rank; and their names."""
    found = np.empty((shape[0] * shape[1] * shape[2], 7))
    names = np.empty(len(found), np.uint64)
    place, size, rank = stream(seed, _PLACE), stream(seed, _SIZE), stream(seed, _RANK)
    count = 0
    for i, j, k in np.ndindex(shape):
        z, y, x = first[0] + i, first[1] + j, first[2] + k
        h = hash3(place, z, y, x)
        row = found[count]
        row[0] = (z + unit(h, 0)) * CELL_EDGE
        row[1] = (y + unit(h, 1)) * CELL_EDGE
        row[2] = (x + unit(h, 2)) * CELL_EDGE
        if unit(h, 3) >= shares[region_of(row[2], width)]:
            continue
        s = hash3(size, z, y, x)
        radius = RADIUS[0] + unit(s, 0) * (RADIUS[1] - RADIUS[0])
        for axis in range(3):
            row[3 + axis] = radius * (_STRETCH[0] + unit(s, 1 + axis) * (_STRETCH[1] - _STRETCH[0]))
        row[6] = unit(hash3(rank, z, y, x), 0)
        # 20 bits for each coordinate; cells whose centre is outside may still reach inside.
        names[count] = np.uint64((((z + 4) << 40) | ((y + 4) << 20) | (x + 4)) + 1)
        count += 1
    return found[:count], names[:count]


@njit(nogil=True, cache=True)
def _kept(found: Floats, tubes: Floats) -> NDArray[np.bool_]:
    """Tell which candidates touch neither a vessel nor a free candidate of higher rank."""
    largest = np.empty(len(found))
    free = np.ones(len(found), np.bool_)
    for i in range(len(found)):
        largest[i] = max(found[i, 3], found[i, 4], found[i, 5])
        for n in range(len(tubes)):
            apart = from_line(found[i, 0], found[i, 1], found[i, 2], tubes[n])
            if apart < largest[i] + tubes[n, 6] + GAP:
                free[i] = False
                break
    keep = free.copy()
    for i in range(len(found)):
        for j in range(len(found)):
            dz = found[i, 0] - found[j, 0]
            if i == j or not free[j] or abs(dz) > 2 * LARGEST_CELL + GAP:
                continue
            near = largest[i] + largest[j] + GAP
            dy, dx = found[i, 1] - found[j, 1], found[i, 2] - found[j, 2]
            if dz * dz + dy * dy + dx * dx < near * near:
                higher = found[j, 6] - found[i, 6]
                # Rows are in the order of the lattice, in whatever box they are listed.
                if higher > 0 or (higher == 0 and j < i):
                    keep[i] = False
                    break
    return keep


@njit(nogil=True, cache=True)
def from_line(z: float, y: float, x: float, tube: Floats) -> float:
    """Measure the distance of a place from the axis of a vessel, micrometres."""
    az, ay, ax = tube[3] - tube[0], tube[4] - tube[1], tube[5] - tube[2]
    pz, py, px = z - tube[0], y - tube[1], x - tube[2]
    share = (pz * az + py * ay + px * ax) / (az * az + ay * ay + ax * ax)
    share = min(1.0, max(0.0, share))
    dz, dy, dx = pz - share * az, py - share * ay, px - share * ax
    return np.sqrt(dz * dz + dy * dy + dx * dx)


@njit(nogil=True, cache=True)
def _node(key: Any, z: int, y: int, x: int) -> tuple[float, float, float]:
    h = hash3(key, z, y, x)
    return (
        (z + 0.5 + _JITTER * (unit(h, 0) - 0.5)) * VESSEL_EDGE,
        (y + 0.5 + _JITTER * (unit(h, 1) - 0.5)) * VESSEL_EDGE,
        (x + 0.5 + _JITTER * (unit(h, 2) - 0.5)) * VESSEL_EDGE,
    )


@njit(nogil=True, cache=True)
def _tubes(
    seed: int, first: NDArray[np.int64], shape: tuple[int, int, int], shares: Floats, width: float
) -> Floats:
    """Tabulate vessels: both ends (z, y, x) and the radius."""
    found = np.empty((3 * shape[0] * shape[1] * shape[2], 7))
    nodes, tubes = stream(seed, _NODE), stream(seed, _TUBE)
    count = 0
    for i, j, k in np.ndindex(shape):
        z, y, x = first[0] + i, first[1] + j, first[2] + k
        here = _node(nodes, z, y, x)
        share = shares[region_of(here[2], width)]
        for axis in range(3):
            h = hash3(tubes, 3 * z + axis, y, x)
            if unit(h, 0) >= share:
                continue
            there = _node(nodes, z + (axis == 0), y + (axis == 1), x + (axis == 2))
            for part in range(3):
                found[count, part] = here[part]
                found[count, 3 + part] = there[part]
            found[count, 6] = VESSEL_RADIUS[0] + unit(h, 1) * (VESSEL_RADIUS[1] - VESSEL_RADIUS[0])
            count += 1
    return found[:count]


def vessels_near(seed: int, low: Floats, high: Floats, *, shares: Floats, width: float) -> Floats:
    """List the vessels that come near a box, and some that do not.

    Parameters
    ----------
    seed : int
        Of the specimen.
    low, high : ndarray of float64, shape (3,)
        Corners of the box, (z, y, x), micrometres.
    shares : ndarray of float64, shape (4,)
        Share of the neighbouring nodes that are joined, by region.
    width : float
        Of the tissue along x, micrometres.

    Returns
    -------
    ndarray of float64, shape (N, 7)
        Both ends (z, y, x) and the radius, micrometres.
    """
    first, shape = _lattice(low - VESSEL_EDGE, high + VESSEL_EDGE, VESSEL_EDGE)
    return _tubes(seed, first, shape, shares, width)


def cells_near(
    seed: int,
    low: Floats,
    high: Floats,
    *,
    shares: Floats,
    vessel_shares: Floats,
    width: float,
) -> Cells:
    """List the cells whose centre is in a box.

    Parameters
    ----------
    seed : int
        Of the specimen.
    low, high : ndarray of float64, shape (3,)
        Corners of the box, (z, y, x), micrometres; ``high`` is outside.
    shares, vessel_shares : ndarray of float64, shape (4,)
        Share of the places that have a candidate, and of joined nodes of vessels, by region.
    width : float
        Of the tissue along x, micrometres.

    Returns
    -------
    Cells
        In the order of their lattice, which no box changes.
    """
    reach = 2 * LARGEST_CELL + GAP
    first, shape = _lattice(low - reach, high + reach, CELL_EDGE)
    found, names = _candidates(seed, first, shape, shares, width)
    far = 2 * reach + CELL_EDGE
    tubes = vessels_near(seed, low - far, high + far, shares=vessel_shares, width=width)
    kept = _kept(found, tubes)
    kept &= ((found[:, :3] >= low) & (found[:, :3] < high)).all(axis=1)
    return Cells(found[kept, :3], found[kept, 3:6], names[kept])


def _lattice(low: Floats, high: Floats, edge: float) -> tuple[NDArray[np.int64], Coord]:
    first = np.floor(low / edge).astype(np.int64)
    last = np.floor(high / edge).astype(np.int64)
    z, y, x = (int(n) for n in last - first + 1)
    return first, (z, y, x)
