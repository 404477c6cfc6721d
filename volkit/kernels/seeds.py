"""Seeds of a watershed: where cells are thickest, decided from a fixed neighbourhood alone."""

from dataclasses import dataclass
from math import floor

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from volkit.errors import ConfigError
from volkit.geometry import Coord

Floats = NDArray[np.float32]
Vector = tuple[float, float, float]

_TRUNCATE = 4.0  # standard deviations at which the Gaussian ends, as scipy has it


@dataclass(frozen=True, slots=True)
class SeedOptions:
    """How seeds are found.

    Lengths are in steps of the axis whose ``sampling`` is 1.

    Parameters
    ----------
    threshold : float
        Boundary probability from which a voxel is boundary.
    cap : float
        Largest distance that is told apart: thicker cells get one wide seed.  It bounds what a
        voxel's seed can depend on, and so the halo.
    sigma : float
        Standard deviation of the Gaussian that smooths the distances.
    radius : float
        Reach of the window in which a seed is the maximum: 3 is a window of 7 voxels.
    min_distance : float
        Seeds lie further than this from any boundary.
    sampling : tuple of float
        Extent of a voxel, (z, y, x), relative to the finest axis: (10, 1, 1) for sections ten
        times as thick as a pixel is wide.

    Raises
    ------
    ConfigError
        If a length is negative, or not a number.
    """

    threshold: float = 0.5
    cap: float = 16.0
    sigma: float = 2.0
    radius: float = 3.0
    min_distance: float = 1.5
    sampling: Vector = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        for name in ("sigma", "radius", "min_distance"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; give 0 or more")
        if not self.min_distance < self.cap < np.inf:
            raise ConfigError(
                f"cap is {self.cap}; give more than min_distance ({self.min_distance}), finite"
            )
        if len(self.sampling) != 3 or not all(0 < s < np.inf for s in self.sampling):
            raise ConfigError(f"sampling is {self.sampling}; give three positive numbers (z, y, x)")

    @property
    def halo(self) -> Coord:
        """Voxels around a voxel that decide whether it is a seed, (z, y, x)."""
        z, y, x = (
            floor(self.cap / s) + int(_TRUNCATE * self.sigma / s + 0.5) + floor(self.radius / s)
            for s in self.sampling
        )
        return z, y, x


def seed_mask(prob: Floats, options: SeedOptions) -> NDArray[np.bool_]:
    """Mark the seeds of a boundary map.

    A seed is a voxel where the smoothed distance to the nearest boundary is the largest of its
    window.  The faces of the array are no boundary.  A voxel's answer depends on the voxels
    within ``options.halo`` alone, to the last bit, so that blocks read with that halo agree with
    the whole.

    Parameters
    ----------
    prob : ndarray of float32, shape (Z, Y, X)
        Boundary probability.
    options : SeedOptions
        How.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
        Seeds; a connected component of them is one seed.

    Examples
    --------
    >>> prob = np.zeros((1, 1, 9), np.float32)
    >>> prob[..., [0, 4, 8]] = 1
    >>> seed_mask(prob, SeedOptions(sigma=0, radius=1)).astype(int).tolist()
    [[[0, 0, 1, 0, 0, 0, 1, 0, 0]]]
    """
    distance = capped_distance(prob < options.threshold, options.cap, options.sampling)
    # Zero sigma skips the Gaussian, since scipy divides by it.
    sigma = [options.sigma / s for s in options.sampling]
    smooth = gaussian_filter(distance, sigma, truncate=_TRUNCATE) if options.sigma else distance
    window = [2 * floor(options.radius / s) + 1 for s in options.sampling]
    highest: NDArray[np.bool_] = maximum_filter(smooth, window) == smooth
    return highest & (distance > options.min_distance)


def capped_distance(
    inside: NDArray[np.bool_], cap: float, sampling: Vector = (1.0, 1.0, 1.0)
) -> Floats:
    """Measure the distance to the nearest voxel that is not inside, up to a cap.

    Parameters
    ----------
    inside : ndarray of bool, shape (Z, Y, X)
        Where to measure.
    cap : float
        Distances above it become it, as do those of voxels that see no other within it.
    sampling : tuple of float
        Extent of a voxel, (z, y, x), in the unit of the cap.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
        Euclidean distances; 0 where not inside.  Every one is computed from the offset to the
        nearest voxel alone, so it does not depend on where the array begins.

    References
    ----------
    Saito, Toriwaki, New algorithms for Euclidean distance transformation of an n-dimensional
    digitized picture, 1994, https://doi.org/10.1016/0031-3203(94)90133-3

    Examples
    --------
    >>> capped_distance(np.array([[[0, 1, 1, 1, 1]]], bool), 3.0).tolist()
    [[[0.0, 1.0, 2.0, 3.0, 3.0]]]
    """
    reach = tuple(floor(cap / s) for s in sampling)
    squares = [
        (np.arange(r + 1, dtype=np.float32) * np.float32(s)) ** 2
        for r, s in zip(reach, sampling, strict=True)
    ]
    squared = _along_x(np.ascontiguousarray(inside), squares[2], np.float32(cap * cap))
    squared = _along_y(squared, squares[1])
    squared = _along_z(squared, squares[0])
    return np.sqrt(np.minimum(squared, np.float32(cap * cap)))


@numba.njit(nogil=True, cache=True)
def _along_x(inside: NDArray[np.bool_], squares: Floats, far: np.float32) -> Floats:
    """Square the distance to the nearest outside voxel of every row, by two sweeps."""
    nz, ny, nx = inside.shape
    out = np.empty(inside.shape, np.float32)
    limit = len(squares)
    for z in range(nz):
        for y in range(ny):
            steps = limit
            for x in range(nx):
                steps = min(steps + 1, limit) if inside[z, y, x] else 0
                out[z, y, x] = squares[steps] if steps < limit else far
            steps = limit
            for x in range(nx - 1, -1, -1):
                steps = min(steps + 1, limit) if inside[z, y, x] else 0
                if steps < limit:
                    out[z, y, x] = min(out[z, y, x], squares[steps])
    return out


@numba.njit(nogil=True, cache=True)
def _along_y(squared: Floats, squares: Floats) -> Floats:
    """Take the minimum over each column, rows at a time, as far as it can matter."""
    nz, ny, _ = squared.shape
    out = squared.copy()
    for z in range(nz):
        for y in range(ny):
            _lower_from_neighbours(out[z, y], squared[z], y, squares)
    return out


@numba.njit(nogil=True, cache=True)
def _along_z(squared: Floats, squares: Floats) -> Floats:
    nz, ny, _ = squared.shape
    out = squared.copy()
    for z in range(nz):
        for y in range(ny):
            _lower_from_neighbours(out[z, y], squared[:, y], z, squares)
    return out


@numba.njit(nogil=True, cache=True)
def _lower_from_neighbours(row: Floats, rows: Floats, at: int, squares: Floats) -> None:
    """Lower one row to what the rows before and behind it allow."""
    for step in range(1, len(squares)):
        if row.max() <= squares[step]:
            return
        for other in (at - step, at + step):
            if 0 <= other < len(rows):
                for x in range(len(row)):
                    row[x] = min(row[x], rows[other, x] + squares[step])
