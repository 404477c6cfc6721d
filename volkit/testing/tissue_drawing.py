"""Drawing of synthetic tissue: how deep every voxel of a box lies in cells, vessels and axons.

Depths are distances to the surface, micrometres, negative inside; far from everything `FAR`.
Each is the least over all objects, so that no order and no box changes it.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from volkit.testing.hashing import hash3, stream, unit
from volkit.testing.noise import Axes
from volkit.testing.tissue_objects import from_line

Floats = NDArray[np.float64]
Depth = NDArray[np.float32]

FAR = 9.0
SEEN = 2.0  # micrometres around an object in which its depth is known
FIBRE_EDGE = 10.0  # between axons
FIBRE_RADIUS = (1.8, 3.0)
_SLANT = (0.35, 0.2)  # of axons: along y and x for each micrometre along z
_FIBRE = 75  # stream


@njit(nogil=True, cache=True)
def _span(axis: Floats, low: float, high: float) -> Any:
    return np.searchsorted(axis, low), np.searchsorted(axis, high)


@njit(nogil=True, cache=True)
def draw_cells(
    centre: Floats, axes: Floats, names: NDArray[np.uint64], at: Axes, depth: Depth, out: Any
) -> None:
    """Draw cells: their depth where it is less than before, and their name inside.

    Parameters
    ----------
    centre, axes, names
        Columns of `volkit.testing.tissue_objects.Cells`.
    at : tuple of three ndarray of float64
        Coordinates of the box's voxels along z, y and x, micrometres.
    depth : ndarray of float32, shape (Z, Y, X)
        Changed in place.
    out : ndarray of uint64, shape (Z, Y, X)
        Changed in place.
    """
    for n in range(len(centre)):
        mean = (axes[n, 0] + axes[n, 1] + axes[n, 2]) / 3.0
        z0, z1 = _span(at[0], centre[n, 0] - axes[n, 0] - SEEN, centre[n, 0] + axes[n, 0] + SEEN)
        y0, y1 = _span(at[1], centre[n, 1] - axes[n, 1] - SEEN, centre[n, 1] + axes[n, 1] + SEEN)
        x0, x1 = _span(at[2], centre[n, 2] - axes[n, 2] - SEEN, centre[n, 2] + axes[n, 2] + SEEN)
        for i in range(z0, z1):
            z = (at[0][i] - centre[n, 0]) / axes[n, 0]
            for j in range(y0, y1):
                y = (at[1][j] - centre[n, 1]) / axes[n, 1]
                for k in range(x0, x1):
                    x = (at[2][k] - centre[n, 2]) / axes[n, 2]
                    deep = np.float32((np.sqrt(z * z + y * y + x * x) - 1.0) * mean)
                    if deep < depth[i, j, k]:
                        depth[i, j, k] = deep
                    if deep <= 0:
                        out[i, j, k] = names[n]


@njit(nogil=True, cache=True)
def draw_vessels(tubes: Floats, at: Axes, depth: Depth) -> None:
    """Draw vessels: their depth where it is less than before.

    Parameters
    ----------
    tubes : ndarray of float64, shape (N, 7)
        From `volkit.testing.tissue_objects.vessels_near`.
    at : tuple of three ndarray of float64
        Coordinates of the box's voxels along z, y and x, micrometres.
    depth : ndarray of float32, shape (Z, Y, X)
        Changed in place.
    """
    for n in range(len(tubes)):
        far = tubes[n, 6] + SEEN
        z0, z1 = _span(
            at[0], min(tubes[n, 0], tubes[n, 3]) - far, max(tubes[n, 0], tubes[n, 3]) + far
        )
        y0, y1 = _span(
            at[1], min(tubes[n, 1], tubes[n, 4]) - far, max(tubes[n, 1], tubes[n, 4]) + far
        )
        x0, x1 = _span(
            at[2], min(tubes[n, 2], tubes[n, 5]) - far, max(tubes[n, 2], tubes[n, 5]) + far
        )
        for i in range(z0, z1):
            for j in range(y0, y1):
                for k in range(x0, x1):
                    apart = from_line(at[0][i], at[1][j], at[2][k], tubes[n])
                    deep = np.float32(apart - tubes[n, 6])
                    if deep < depth[i, j, k]:
                        depth[i, j, k] = deep


@njit(nogil=True, cache=True)
def draw_fibres(
    seed: int, at: Axes, bent: tuple[Depth, Depth], shares: Floats, depth: Depth
) -> None:
    """Draw axons: winding fibres side by side, in which their share of a lattice is filled.

    Parameters
    ----------
    seed : int
        Of the specimen.
    at : tuple of three ndarray of float64
        Coordinates of the box's voxels along z, y and x, micrometres.
    bent : tuple of two ndarray of float32, shape (Z, Y, X)
        How far space is bent along y and x, micrometres.
    shares : ndarray of float64, shape (X,)
        Of every voxel along x: share of the lattice that is filled.
    depth : ndarray of float32, shape (Z, Y, X)
        Changed in place.
    """
    key = stream(seed, _FIBRE)
    for i, j, k in np.ndindex(depth.shape):
        u = (at[1][j] + _SLANT[0] * at[0][i] + bent[0][i, j, k]) / FIBRE_EDGE
        v = (at[2][k] + _SLANT[1] * at[0][i] + bent[1][i, j, k]) / FIBRE_EDGE
        a, b = int(np.floor(u)), int(np.floor(v))
        for p in range(a - 1, a + 2):
            for q in range(b - 1, b + 2):
                h = hash3(key, 0, p, q)
                if unit(h, 3) >= shares[k]:
                    continue
                radius = FIBRE_RADIUS[0] + unit(h, 2) * (FIBRE_RADIUS[1] - FIBRE_RADIUS[0])
                du = (p + 0.25 + 0.5 * unit(h, 0) - u) * FIBRE_EDGE
                dv = (q + 0.25 + 0.5 * unit(h, 1) - v) * FIBRE_EDGE
                deep = np.float32(np.sqrt(du * du + dv * dv) - radius)
                if deep < depth[i, j, k]:
                    depth[i, j, k] = deep
