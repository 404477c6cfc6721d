"""Drawing of synthetic tomograms: particles and membranes as spheres, spheres as voxels."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from volkit.testing.tomograms_particles import KINDS, Floats

_LEAFLETS = 18.0  # from the middle of a membrane to the middle of a leaflet


def placed_parts(found: Floats) -> Floats:
    """Turn particles into the spheres that make them up.

    Parameters
    ----------
    found : ndarray of float64, shape (N, 8)
        As `particles` gives them.

    Returns
    -------
    ndarray of float64, shape (M, 6)
        Centre (z, y, x) and radius, thickness of the wall (0: solid), density; ångström.
    """
    rows = []
    for row in found:
        parts = np.array(KINDS[int(row[3])].parts, float)
        parts[:, :3] = parts[:, :3] @ _rotation(row[4:8]).T + row[:3]
        rows.append(parts)
    return np.concatenate(rows) if rows else np.empty((0, 6))


def _rotation(numbers: Floats) -> Floats:
    """Turn three numbers into a rotation, all of them alike (Shoemake, 1992)."""
    u, a, b = numbers[0], 2 * np.pi * numbers[1], 2 * np.pi * numbers[2]
    low, high = np.sqrt(1 - u), np.sqrt(u)
    x, y, z, w = low * np.sin(a), low * np.cos(a), high * np.sin(b), high * np.cos(b)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@njit(nogil=True, cache=True)
def draw_spheres(
    parts: Floats, start: NDArray[np.int64], size: Floats, out: NDArray[np.float32]
) -> None:
    """Add spheres to the voxels of a box, in their order.

    Parameters
    ----------
    parts : ndarray of float64, shape (M, 6)
        As `placed_parts` gives them.
    start : ndarray of int64, shape (3,)
        First voxel of the box.
    size : ndarray of float64, shape (3,)
        Voxels, ångström; the centre of voxel 0 is at half of it.
    out : ndarray of float32, shape (Z, Y, X)
        What to add to.
    """
    low, high = np.empty(3, np.int64), np.empty(3, np.int64)
    for n in range(len(parts)):
        radius, wall, density = parts[n, 3], parts[n, 4], parts[n, 5]
        reach = radius + (3.0 * wall if wall > 0 else 30.0)
        for axis in range(3):
            low[axis] = int(np.floor((parts[n, axis] - reach) / size[axis])) - start[axis]
            high[axis] = int(np.ceil((parts[n, axis] + reach) / size[axis])) - start[axis]
        for z in range(max(0, low[0]), min(out.shape[0], high[0] + 1)):
            dz = (start[0] + z + 0.5) * size[0] - parts[n, 0]
            for y in range(max(0, low[1]), min(out.shape[1], high[1] + 1)):
                dy = (start[1] + y + 0.5) * size[1] - parts[n, 1]
                for x in range(max(0, low[2]), min(out.shape[2], high[2] + 1)):
                    dx = (start[2] + x + 0.5) * size[2] - parts[n, 2]
                    d = np.sqrt(dz * dz + dy * dy + dx * dx)
                    if d < reach:
                        if wall > 0:
                            out[z, y, x] += density * np.exp(-(((d - radius) / wall) ** 2))
                        else:
                            out[z, y, x] += density / (1.0 + np.exp((d - radius) / 6.0))


def membranes(found: Floats) -> Floats:
    """Turn vesicles into the spheres that draw their two leaflets; shapes (N, 4) and (2 N, 6)."""
    rows = []
    for z, y, x, radius in found:
        rows += [(z, y, x, radius + side * _LEAFLETS, 11.0, 0.8) for side in (-1, 1)]
    return np.array(rows, float).reshape(-1, 6)
