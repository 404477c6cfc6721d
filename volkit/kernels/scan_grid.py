"""Scan grids: scans of whole heads brought to cubic voxels, to the brain, and to one shape.

Positions are kept: what each function does to voxel indices comes along, to be joined to an affine.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError, GeometryError
from volkit.kernels.resize import interpolated, resized

S = TypeVar("S", bound=np.generic)
Vector = tuple[float, float, float]
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Step:
    """How voxel indices before a step follow from those after it: ``scale * index + offset``.

    Parameters
    ----------
    scale, offset : tuple of float
        (z, y, x), voxels.
    """

    scale: Vector = (1.0, 1.0, 1.0)
    offset: Vector = (0.0, 0.0, 0.0)

    def joined(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the affine of the voxels after the step.

        Parameters
        ----------
        affine : ndarray of float64, shape (4, 4)
            Of the voxels before: indices (x, y, z) to millimetres.

        Examples
        --------
        >>> Step((2.0, 1.0, 1.0), (0.5, 0.0, 3.0)).joined(np.eye(4))[:3].tolist()
        [[1.0, 0.0, 0.0, 3.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.5]]
        """
        change = np.diag([*self.scale[::-1], 1.0])
        change[:3, 3] = self.offset[::-1]
        return np.asarray(affine, np.float64) @ change


def isotropic(
    values: NDArray[S], spacing_mm: Vector, size_mm: float, *, nearest: bool = False
) -> tuple[NDArray[S], Step]:
    """Resample to cubic voxels around the same middle.

    The field of view grows or shrinks by less than a voxel, so that voxels are exactly cubic.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        Float32, or of any type with ``nearest``.
    spacing_mm : tuple of float
        Edges of its voxels, (z, y, x), millimetres.
    size_mm : float
        Wanted edge.
    nearest : bool
        Take the nearest voxel, as masks need it, rather than interpolate linearly.

    Returns
    -------
    values : ndarray, shape (Z', Y', X')
        The same array where its voxels have that size already.
    step : Step

    Raises
    ------
    GeometryError
        If a size is not above 0.

    Examples
    --------
    >>> line = np.arange(4, dtype=np.float32).reshape(1, 1, 4)
    >>> isotropic(line, (2.0, 2.0, 2.0), 1.0)[0][0, 0].tolist()
    [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]
    """
    if size_mm <= 0 or min(spacing_mm) <= 0:
        raise GeometryError(
            f"voxels of {spacing_mm} mm cannot become {size_mm:g} mm; give sizes above 0"
        )
    scale, offset = [1.0] * 3, [0.0] * 3
    for axis, spacing in enumerate(spacing_mm):
        given = values.shape[axis]
        if abs(spacing - size_mm) <= 1e-6 * size_mm:
            continue
        extent = max(1, round(given * spacing / size_mm))
        scale[axis] = size_mm / spacing
        offset[axis] = (given - 1) / 2 - scale[axis] * (extent - 1) / 2
        place = np.arange(extent) * scale[axis] + offset[axis]
        if nearest:
            values = values.take(np.clip(np.rint(place), 0, given - 1).astype(np.intp), axis)
        else:
            whole = np.ascontiguousarray(values, np.float32)
            values = interpolated(whole, axis - 3, place)  # type: ignore[assignment]
    return values, Step((scale[0], scale[1], scale[2]), (offset[0], offset[1], offset[2]))


def margin_box(mask: NDArray[np.bool_], margin: int) -> tuple[Shape, Shape]:
    """Find the box of what is in a mask, with a margin that may reach outside the array.

    Parameters
    ----------
    mask : ndarray of bool, shape (Z, Y, X)
        What is wanted.
    margin : int
        Voxels on each of the six faces.

    Returns
    -------
    start, stop : tuple of int
        Half-open, (z, y, x); below 0 or beyond the extent where the mask is near a face.

    Raises
    ------
    ContractError
        If the mask is empty.

    Examples
    --------
    >>> mask = np.zeros((5, 9, 9), bool)
    >>> mask[0:2, 4, 5] = True
    >>> margin_box(mask, 3)
    ((-3, 1, 2), (5, 8, 9))
    """
    start, stop = [], []
    for axis in range(3):
        there = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(there):
            raise ContractError(
                "the brain mask is empty; give another mask, or another way to find the brain"
            )
        start.append(int(there[0]) - margin)
        stop.append(int(there[-1]) + 1 + margin)
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def cut_out(values: NDArray[S], start: Shape, stop: Shape) -> tuple[NDArray[S], Step]:
    """Cut a box out; voxels outside the array are 0.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        Anything.
    start, stop : tuple of int
        Half-open, (z, y, x).

    Returns
    -------
    values : ndarray, shape (stop - start)
        A copy.
    step : Step
    """
    shape = tuple(b - a for a, b in zip(start, stop, strict=True))
    found = np.zeros(shape, values.dtype)
    low = [max(0, -a) for a in start]
    inside = tuple(
        slice(max(0, a), max(0, min(b, n)))
        for a, b, n in zip(start, stop, values.shape, strict=True)
    )
    part = values[inside]
    found[tuple(slice(a, a + n) for a, n in zip(low, part.shape, strict=True))] = part
    return found, Step(offset=(float(start[0]), float(start[1]), float(start[2])))


def cube_box(shape: Shape) -> tuple[Shape, Shape]:
    """Find the smallest cube around an array, with the array in its middle.

    Examples
    --------
    >>> cube_box((4, 7, 2))
    ((-1, 0, -2), (6, 7, 5))
    """
    edge = max(shape)
    z, y, x = (-((edge - n) // 2) for n in shape)
    return (z, y, x), (z + edge, y + edge, x + edge)


def brought_to(
    values: NDArray[S], shape: Shape, *, nearest: bool = False
) -> tuple[NDArray[S], Step]:
    """Bring an array to a shape; the box in space that its voxels fill is kept.

    Parameters
    ----------
    values : ndarray, shape (Z, Y, X)
        Float32, or of any type with ``nearest``.
    shape : tuple of int
        Wanted.
    nearest : bool
        Take the nearest voxel, rather than interpolate linearly.

    Returns
    -------
    values : ndarray
    step : Step

    Examples
    --------
    >>> brought_to(np.array([[[0, 1]]]), (1, 1, 4), nearest=True)[0].tolist()
    [[[0, 0, 1, 1]]]
    """
    scale = [n / m for n, m in zip(values.shape, shape, strict=True)]
    offset = [(s - 1) / 2 for s in scale]
    step = Step((scale[0], scale[1], scale[2]), (offset[0], offset[1], offset[2]))
    if not nearest:
        return resized(values, shape), step  # type: ignore[return-value]
    for axis, (given, extent) in enumerate(zip(values.shape, shape, strict=True)):
        # The voxel whose box holds the centre of the new one.
        place = ((2 * np.arange(extent) + 1) * given) // (2 * extent)
        values = values.take(place, axis)
    return values, step
