"""Warps: symmetries, turns and zooms that move an image and its labels together."""

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from volkit.geometry import Coord
from volkit.training.config import Augmentation

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Warp:
    """Where the voxels of a patch come from.

    Parameters
    ----------
    axes : tuple of int
        Source axis of every axis of the patch.
    mirrored : tuple of bool
        Whether an axis of the patch runs backwards.
    matrix : ndarray of float64, shape (3, 3), or None
        Patch coordinates to source coordinates, both about their centres, before the
        symmetry; None leaves voxels on their places.
    """

    axes: Coord = (0, 1, 2)
    mirrored: tuple[bool, bool, bool] = (False, False, False)
    matrix: Matrix | None = None

    def source_shape(self, shape: Coord) -> Coord:
        """Compute the extent to read for a patch of ``shape``, voxels."""
        inner = self._before_symmetry(shape)
        if self.matrix is None:
            return inner
        half = np.abs(self.matrix) @ ((np.array(inner) - 1) / 2)
        # As odd or even as the patch: voxels then meet voxels where the matrix leaves an axis.
        z, y, x = (2 * ceil(h) + 1 + (n + 1) % 2 for h, n in zip(half, inner, strict=True))
        return z, y, x

    def apply(
        self, image: Floats, labels: NDArray[Any], shape: Coord
    ) -> tuple[Floats, NDArray[Any]]:
        """Make the patch from its source.

        Parameters
        ----------
        image : ndarray of float32, shape ``source_shape(shape)``
            Interpolated linearly where the warp has a matrix.
        labels : ndarray of int, same shape
            Never interpolated: the nearest voxel.
        shape : tuple of int
            Of the patch.

        Returns
        -------
        tuple of ndarray
            Image and labels, both of ``shape``.
        """
        if self.matrix is not None:
            where = self._coordinates(image.shape, self._before_symmetry(shape))
            image = ndimage.map_coordinates(image, where, order=1, mode="nearest")
            bounds = np.array(labels.shape).reshape(3, 1, 1, 1) - 1
            z, y, x = np.clip(np.rint(where), 0, bounds).astype(np.intp)
            labels = labels[z, y, x]
        return self.turned(image), self.turned(labels)

    def _before_symmetry(self, shape: Coord) -> Coord:
        extent = [0, 0, 0]
        for n, axis in zip(shape, self.axes, strict=True):
            extent[axis] = n
        z, y, x = extent
        return z, y, x

    def _coordinates(self, source: tuple[int, ...], shape: Coord) -> NDArray[np.float32]:
        z, y, x = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in shape)
        rows = np.asarray(self.matrix, np.float32)
        middle = [(n - 1) / 2 for n in source]
        return np.stack(
            [
                (r[0] * z + np.float32(m))[:, None, None] + (r[1] * y)[:, None] + r[2] * x
                for r, m in zip(rows, middle, strict=True)
            ]
        ).astype(np.float32)

    def turned(self, array: NDArray[Any]) -> NDArray[Any]:
        """Apply the symmetry alone to an array, shape (Z, Y, X)."""
        steps = tuple(slice(None, None, -1 if m else 1) for m in self.mirrored)
        return np.ascontiguousarray(array.transpose(self.axes)[steps])


def random_warp(rng: Generator, options: Augmentation) -> Warp:
    """Draw a warp.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    options : Augmentation
        Strengths.

    Returns
    -------
    Warp
        One of the 48 symmetries of a cube (16 that keep sections, unless isotropic), and for a
        share of the draws a turn, a zoom and a stretch.
    """
    if options.isotropic:
        axes = tuple(int(a) for a in rng.permutation(3))
    else:
        axes = (0, 1, 2) if rng.random() < 0.5 else (0, 2, 1)
    mirrored = tuple(bool(v < 0.5) for v in rng.random(3))
    matrix = _random_matrix(rng, options) if rng.random() < options.warp else None
    return Warp(axes, mirrored, matrix)  # type: ignore[arg-type]


def _random_matrix(rng: Generator, options: Augmentation) -> Matrix:
    angles = rng.normal(0, options.angle, 3)
    largest = np.log1p(options.zoom)
    zoom = np.exp(rng.uniform(-largest, largest))
    # Half of the zoom's range again, axis by axis: tissue is stretched by cutting and fixing.
    stretch = np.exp(rng.uniform(-largest / 2, largest / 2, 3))
    planes = ((1, 2), (0, 2), (0, 1)) if options.isotropic else ((1, 2),)
    matrix = np.eye(3)
    for angle, (p, q) in zip(angles, planes, strict=False):
        turn = np.eye(3)
        turn[p, p] = turn[q, q] = np.cos(angle)
        turn[q, p], turn[p, q] = np.sin(angle), -np.sin(angle)
        matrix = matrix @ turn
    scales = zoom * stretch if options.isotropic else np.array([1.0, *(zoom * stretch[1:])])
    return matrix @ np.diag(scales)
