"""Downsampling: blocks of voxels become one, exactly and wherever a volume is cut.

A coarse voxel ``i`` stands for the fine voxels from ``i * factor`` to ``(i + 1) * factor`` in the
coordinates of the volume.  At a ragged edge it is made of those that are there, so a volume that is
cut at multiples of the factor gives the same coarse voxels as the whole.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError, GeometryError
from volkit.geometry import AXES, Box, Coord, coord

Array = NDArray[Any]

LARGEST = 4  # voxels of an axis that become one: sums of 64 of them are exact in fixed width
_LOW = 0xFFFFFFFF
_HALF = 32  # bits: a 64-bit sum is kept in two halves, each of which has room for 64 summands


def downsampled_box(box: Box, factor: Coord) -> Box:
    """Find the coarse voxels that hold a voxel of a box.

    Parameters
    ----------
    box : Box
        Fine voxels, volume coordinates.
    factor : tuple of int
        Fine voxels that become one, (z, y, x).

    Returns
    -------
    Box
        Coarse voxels: from ``floor(start / factor)`` to ``ceil(stop / factor)``.

    Examples
    --------
    >>> str(downsampled_box(Box((0, 3, -1), (5, 9, 4)), (1, 2, 2)))
    '[0:5, 1:5, -1:2]'
    """
    start = tuple(n // f for n, f in zip(box.start, factor, strict=True))
    stop = tuple(-(-n // f) for n, f in zip(box.stop, factor, strict=True))
    return Box(start, stop)  # type: ignore[arg-type]


def mean(values: Array, factor: Coord, *, start: Coord) -> Array:
    """Average the fine voxels of every coarse one.

    Integers are added up exactly, whatever their width, and rounded half up.  Floats are added up
    in float64, always in the same order; NaN makes its coarse voxel NaN.  Of bool, half or more
    makes True.

    Parameters
    ----------
    values : ndarray of bool, integer or float, shape ([C,] Z, Y, X)
        Fine voxels.
    factor : tuple of int
        Fine voxels that become one, (z, y, x), 1 to 4 on every axis.
    start : tuple of int
        Volume coordinates of the first fine voxel.

    Returns
    -------
    ndarray, shape ([C,] Z', Y', X')
        Of the same type, over ``downsampled_box``.

    Raises
    ------
    GeometryError
        If a factor is not 1 to 4.
    ContractError
        If there are no voxels, or their type is another one.

    Examples
    --------
    >>> values = np.array([[[1, 2, 3, 9, 7]]], np.uint8)
    >>> mean(values, (1, 1, 2), start=(0, 0, 0)).tolist()
    [[[2, 6, 7]]]
    >>> mean(values, (1, 1, 2), start=(0, 0, 5)).tolist()
    [[[1, 3, 8]]]
    """
    fine, coarse, factor, phase = _prepared(values, factor, start)
    width = fine.shape[-1]
    if fine.dtype == np.float16:  # which numba does not know
        wide = np.empty(coarse.shape, np.float64)
        _mean(fine.astype(np.float32), wide, factor, phase, np.empty(width), False)
        coarse[...] = wide
    elif fine.dtype.kind == "f":
        _mean(fine, coarse, factor, phase, np.empty(width), False)
    elif fine.dtype.itemsize == 8:
        _mean_wide(fine, coarse, factor, phase, np.empty((2, width), np.int64))
    else:
        room = np.int32 if fine.dtype.itemsize < 4 else np.int64
        _mean(fine, coarse, factor, phase, np.empty(width, room), True)
    return _like(values, coarse)


def mode(labels: Array, factor: Coord, *, start: Coord) -> Array:
    """Take the most frequent id among the fine voxels of every coarse one.

    Of ids that are equally frequent the smallest is taken; background, 0, is an id like others.

    Parameters
    ----------
    labels : ndarray of bool or integer, shape ([C,] Z, Y, X)
        Fine voxels.
    factor : tuple of int
        Fine voxels that become one, (z, y, x), 1 to 4 on every axis.
    start : tuple of int
        Volume coordinates of the first fine voxel.

    Returns
    -------
    ndarray, shape ([C,] Z', Y', X')
        Of the same type, over ``downsampled_box``.

    Raises
    ------
    GeometryError
        If a factor is not 1 to 4.
    ContractError
        If there are no voxels, or they are no integers.

    Examples
    --------
    >>> labels = np.array([[[5, 5, 7, 3, 9], [5, 8, 7, 3, 9]]], np.uint64)
    >>> mode(labels, (1, 2, 2), start=(0, 0, 0)).tolist()
    [[[5, 3, 9]]]
    """
    if labels.dtype.kind == "f":
        raise ContractError(
            f"values are {labels.dtype}, which have no most frequent one; average them (mean), or "
            "convert ids to an integer type"
        )
    fine, coarse, factor, phase = _prepared(labels, factor, start)
    _mode(fine, coarse, factor, phase)
    return _like(labels, coarse)


def _like(values: Array, coarse: Array) -> Array:
    """Give the result the axes and the type of what it was made of."""
    native = values.dtype.newbyteorder("=")
    return coarse.view(native).reshape(values.shape[:-3] + coarse.shape[1:])


def _prepared(values: Array, factor: Coord, start: Coord) -> tuple[Array, Array, Coord, Coord]:
    """Check what is given; make both arrays, (C, Z, Y, X), and say where the first voxel falls."""
    factor = coord(factor, name="factor")
    for axis, f in zip(AXES, factor, strict=True):
        if not 1 <= f <= LARGEST:
            raise GeometryError(
                f"a factor of {f} on axis {axis}; choose 1 to {LARGEST}, and several levels for "
                "more"
            )
    if values.ndim not in (3, 4) or values.size == 0 or values.dtype.str[1:] not in _KNOWN:
        raise ContractError(
            f"values are {values.dtype} {values.shape}; give bool, integers or floats of up to 64 "
            "bits, shape ([C,] Z, Y, X), with voxels in it"
        )
    box = downsampled_box(Box.from_shape(values.shape[-3:], start), factor)
    fine = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    fine = fine.view(np.uint8) if fine.dtype == bool else fine
    fine = fine.reshape(-1, *values.shape[-3:])
    phase: Any = tuple(n % f for n, f in zip(start, factor, strict=True))
    return fine, np.empty((len(fine), *box.shape), fine.dtype), factor, phase


_KNOWN = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}


@numba.njit(nogil=True, cache=True)
def _span(coarse: int, factor: int, phase: int, extent: int) -> Any:
    """Find which fine voxels, of those that are there, become one coarse voxel."""
    first = coarse * factor - phase
    return max(first, 0), min(first + factor, extent)


@numba.njit(nogil=True, cache=True)
def _mean(fine: Array, coarse: Array, factor: Coord, phase: Coord, sums: Array, whole: bool) -> Any:
    """Add up rows, then along each row, and divide."""
    _, nz, ny, nx = fine.shape
    for c, z, y in np.ndindex(coarse.shape[:3]):
        z0, z1 = _span(z, factor[0], phase[0], nz)
        y0, y1 = _span(y, factor[1], phase[1], ny)
        sums[:] = 0
        for i in range(z0, z1):
            for j in range(y0, y1):
                row = fine[c, i, j]
                for x in range(nx):
                    sums[x] += row[x]
        rows = (z1 - z0) * (y1 - y0)
        for x in range(coarse.shape[3]):
            x0, x1 = _span(x, factor[2], phase[2], nx)
            total = sums[x0]
            for k in range(x0 + 1, x1):
                total += sums[k]
            n = rows * (x1 - x0)
            coarse[c, z, y, x] = (total + n // 2) // n if whole else total / n


@numba.njit(nogil=True, cache=True)
def _mean_wide(fine: Array, coarse: Array, factor: Coord, phase: Coord, sums: Array) -> Any:
    """Likewise for 64-bit integers, in two halves, since their sums do not fit 64 bits."""
    _, nz, ny, nx = fine.shape
    for c, z, y in np.ndindex(coarse.shape[:3]):
        z0, z1 = _span(z, factor[0], phase[0], nz)
        y0, y1 = _span(y, factor[1], phase[1], ny)
        sums[:] = 0
        for i in range(z0, z1):
            for j in range(y0, y1):
                for x in range(nx):
                    value = fine[c, i, j, x]
                    sums[0, x] += np.int64(value >> type(value)(_HALF))
                    sums[1, x] += np.int64(value & type(value)(_LOW))
        rows = (z1 - z0) * (y1 - y0)
        for x in range(coarse.shape[3]):
            x0, x1 = _span(x, factor[2], phase[2], nx)
            high, low = sums[0, x0], sums[1, x0]
            for k in range(x0 + 1, x1):
                high, low = high + sums[0, k], low + sums[1, k]
            n = rows * (x1 - x0)
            rest = ((high % n) << _HALF) + low + n // 2
            coarse[c, z, y, x] = ((high // n) << _HALF) + rest // n


@numba.njit(nogil=True, cache=True)
def _mode(fine: Array, coarse: Array, factor: Coord, phase: Coord) -> Any:
    _, nz, ny, nx = fine.shape
    ids = np.empty(factor[0] * factor[1] * factor[2], fine.dtype)
    counts = np.empty(len(ids), np.int64)
    for c, z, y in np.ndindex(coarse.shape[:3]):
        z0, z1 = _span(z, factor[0], phase[0], nz)
        y0, y1 = _span(y, factor[1], phase[1], ny)
        for x in range(coarse.shape[3]):
            x0, x1 = _span(x, factor[2], phase[2], nx)
            found = fine[c, z0, y0, x0]
            same = True
            for i in range(z0, z1):
                for j in range(y0, y1):
                    for k in range(x0, x1):
                        same &= fine[c, i, j, k] == found
            if not same:  # rare: objects are larger than voxels
                found = _most_frequent(fine[c, z0:z1, y0:y1, x0:x1], ids, counts)
            coarse[c, z, y, x] = found


@numba.njit(nogil=True, cache=True)
def _most_frequent(labels: Array, ids: Array, counts: Array) -> Any:
    """Count each id, of which there are few."""
    known = 0
    for label in labels.flat:
        at = 0
        while at < known and ids[at] != label:
            at += 1
        if at == known:
            ids[at], counts[at] = label, 0
            known += 1
        counts[at] += 1
    best = 0
    for at in range(1, known):
        more = counts[at] > counts[best]
        if more or (counts[at] == counts[best] and ids[at] < ids[best]):
            best = at
    return ids[best]
