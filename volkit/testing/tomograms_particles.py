"""Particles of synthetic tomograms: six kinds, placed without overlap, as a function of position.

Candidates lie in the cells of a lattice, one to a cell.  A candidate is kept where no candidate
that it touches was dealt a higher rank (Matérn's second hard-core process), so that what is in a
box follows from the cells around it, never from the whole.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from volkit.geometry import Coord
from volkit.testing.hashing import hash3, stream, unit

Floats = NDArray[np.float64]

CELL = 220.0  # edge of a cell of candidates, ångström
REACH = 2  # cells between candidates that may touch: they are at most 2 x 150 apart
_VESICLE_CELL = 1700.0  # at most one vesicle to a cell
_VESICLE = (260.0, 640.0)  # radii of vesicles
_APART = 0.95  # of the sum of radii: particles may nearly touch
_PLACE, _KIND, _TURN, _RANK, _VESICLES, _SIZE = 50, 51, 52, 53, 54, 55  # streams


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of particle.

    Parameters
    ----------
    name : str
        As the CZII challenge has it.
    radius : float
        Of the sphere that holds it, ångström.
    share : float
        Of the candidates.
    parts : tuple of tuple of float
        Spheres that make it up: centre (z, y, x) and radius, ångström, thickness of the wall
        (0: solid), and density.
    """

    name: str
    radius: float
    share: float
    parts: tuple[tuple[float, float, float, float, float, float], ...]


KINDS = (
    Kind("apo-ferritin", 60, 0.14, ((0, 0, 0, 47, 13, 1.0),)),
    Kind("beta-amylase", 65, 0.1, ((-22, 6, 0, 26, 0, 0.8), (22, -6, 0, 26, 0, 0.8))),
    Kind(
        "beta-galactosidase",
        90,
        0.16,
        tuple((z, y, 0, 30, 0, 0.9) for z in (-52, 52) for y in (-24, 24)),
    ),
    Kind(
        "ribosome",
        150,
        0.24,
        ((-38, 0, 0, 92, 0, 0.9), (78, 22, 0, 62, 0, 0.8), (-30, 95, 40, 34, 0, 0.9)),
    ),
    Kind(
        "thyroglobulin",
        130,
        0.2,
        (
            (88, 22, 8, 30, 0, 0.9),
            (36, -16, 0, 34, 0, 0.9),
            (-36, 16, 0, 34, 0, 0.9),
            (-88, -22, 8, 30, 0, 0.9),
        ),
    ),
    Kind("virus-like-particle", 135, 0.16, ((0, 0, 0, 112, 15, 1.0), (0, 0, 0, 88, 0, 0.12))),
)
RADII = np.array([kind.radius for kind in KINDS])
_SHARES = np.cumsum([kind.share for kind in KINDS])
# Large ones touch more candidates than small ones; a head start keeps them from dying out.
_HEAD_START = RADII / 400.0


@njit(nogil=True, cache=True)
def _candidates(
    seed: int, first: NDArray[np.int64], shape: tuple[int, int, int], density: float, shares: Floats
) -> Floats:
    """Tabulate candidates: place (z, y, x), kind, rank, and four numbers for a turn."""
    found = np.empty((shape[0] * shape[1] * shape[2], 9))
    place, kind, turn = stream(seed, _PLACE), stream(seed, _KIND), stream(seed, _TURN)
    rank = stream(seed, _RANK)
    count = 0
    for i, j, k in np.ndindex(shape):
        z, y, x = first[0] + i, first[1] + j, first[2] + k
        h, what = hash3(place, z, y, x), hash3(kind, z, y, x)
        if unit(h, 3) >= density:
            continue
        row = found[count]
        row[0] = (z + unit(h, 0)) * CELL
        row[1] = (y + unit(h, 1)) * CELL
        row[2] = (x + unit(h, 2)) * CELL
        row[3] = np.searchsorted(shares, unit(what, 0) * shares[-1], side="right")
        row[4] = unit(hash3(rank, z, y, x), 0)
        turned = hash3(turn, z, y, x)
        for part in range(4):
            row[5 + part] = unit(turned, part)
        count += 1
    return found[:count]


@njit(nogil=True, cache=True)
def _kept(
    found: Floats,
    vesicles: Floats,
    extent: Floats,
    radii: Floats,
    head_start: Floats,
) -> NDArray[np.bool_]:
    """Tell which candidates lie inside and touch neither a membrane nor one of higher rank."""
    inside = np.ones(len(found), np.bool_)
    for i in range(len(found)):
        radius = radii[int(found[i, 3])]
        for axis in range(3):
            # Half a radius from the faces: what is cut in two is no particle to be found.
            if not radius / 2 <= found[i, axis] <= extent[axis] - radius / 2:
                inside[i] = False
        for n in range(len(vesicles)):
            apart = _distance(found[i], vesicles[n])
            if abs(apart - vesicles[n, 3]) < radius + 30.0:
                inside[i] = False
    keep = inside.copy()
    for i in range(len(found)):
        a = int(found[i, 3])
        for j in range(len(found)):
            b = int(found[j, 3])
            near = abs(found[i, 0] - found[j, 0]) < 300.0
            if i == j or not inside[j] or not near:
                continue
            if _distance(found[i], found[j]) < _APART * (radii[a] + radii[b]):
                higher = found[j, 4] + head_start[b] - found[i, 4] - head_start[a]
                if higher > 0 or (higher == 0 and j < i):
                    keep[i] = False
    return keep


@njit(nogil=True, cache=True)
def _distance(a: Floats, b: Floats) -> float:
    return np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)


@njit(nogil=True, cache=True)
def _vesicles(seed: int, first: NDArray[np.int64], shape: tuple[int, int, int]) -> Floats:
    found = np.empty((shape[0] * shape[1] * shape[2], 4))
    place, size = stream(seed, _VESICLES), stream(seed, _SIZE)
    count = 0
    for i, j, k in np.ndindex(shape):
        z, y, x = first[0] + i, first[1] + j, first[2] + k
        h = hash3(place, z, y, x)
        if unit(h, 3) < 0.6:
            found[count, 0] = (z + unit(h, 0)) * _VESICLE_CELL
            found[count, 1] = (y + unit(h, 1)) * _VESICLE_CELL
            found[count, 2] = (x + unit(h, 2)) * _VESICLE_CELL
            share = unit(hash3(size, z, y, x), 0)
            found[count, 3] = _VESICLE[0] + share * (_VESICLE[1] - _VESICLE[0])
            count += 1
    return found[:count]


def vesicles(seed: int, low: Floats, high: Floats) -> Floats:
    """List the vesicles that may reach into a box.

    Parameters
    ----------
    seed : int
        Of the specimen.
    low, high : ndarray of float64, shape (3,)
        Corners of the box, (z, y, x), ångström.

    Returns
    -------
    ndarray of float64, shape (N, 4)
        Centre (z, y, x) and radius, ångström.
    """
    far = _VESICLE[1] + 100.0
    first, shape = _cells(low - far, high + far, _VESICLE_CELL)
    return _vesicles(seed, first, shape)


def particles(seed: int, low: Floats, high: Floats, *, extent: Floats, density: float) -> Floats:
    """List the particles whose centre is in a box.

    Parameters
    ----------
    seed : int
        Of the specimen.
    low, high : ndarray of float64, shape (3,)
        Corners of the box, (z, y, x), ångström; ``high`` is outside.
    extent : ndarray of float64, shape (3,)
        Of the whole specimen, from 0, ångström.
    density : float
        Share of the cells that have a candidate.

    Returns
    -------
    ndarray of float64, shape (N, 8)
        Centre (z, y, x), ångström, number of the kind, and four numbers from 0 to 1 that say how
        it is turned; by z, then y, then x.
    """
    first, shape = _cells(low - REACH * CELL, high + REACH * CELL, CELL)
    found = _candidates(seed, first, shape, density, _SHARES)
    walls = vesicles(seed, low - 2 * REACH * CELL, high + 2 * REACH * CELL)
    kept = _kept(found, walls, extent, RADII, _HEAD_START)
    kept &= ((found[:, :3] >= low) & (found[:, :3] < high)).all(axis=1)
    chosen = np.delete(found[kept], 4, axis=1)
    return chosen[np.lexsort(chosen[:, 2::-1].T)]


def _cells(low: Floats, high: Floats, edge: float) -> tuple[NDArray[np.int64], Coord]:
    first = np.floor(low / edge).astype(np.int64)
    last = np.floor(high / edge).astype(np.int64)
    z, y, x = (int(n) for n in last - first + 1)
    return first, (z, y, x)
