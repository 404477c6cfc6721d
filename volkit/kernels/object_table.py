"""Object tables: size, box, moments and intensity of every object, in sums that add up.

A table holds one row for each id other than 0.  All its columns are whole numbers: the tables of
parts add up to the table of the whole, to the bit, however it was cut.  Sums of products of
coordinates outgrow 64 bits, so they come in two columns, ``NAME_high`` and ``NAME_low``, which mean
``high * 2**32 + low`` with ``0 <= low < 2**32``.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import AXES, Coord
from volkit.kernels.keyed_sums import Columns, add_keyed, empty_rows, roomy, row_of
from volkit.kernels.runs import find_runs, plain_labels

PRODUCTS = ("zz", "yy", "xx", "zy", "zx", "yx")
STARTS = tuple(f"{axis}_start" for axis in AXES)
STOPS = tuple(f"{axis}_stop" for axis in AXES)
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # axes of PRODUCTS
_WIDE = 32
_LOW = np.int64((1 << _WIDE) - 1)
_MOST_COORDINATE = 1 << 31
# Columns of the sums while they are gathered.
_N, _SUM, _PRODUCT, _START, _STOP, _LIGHT = 0, 1, 4, 10, 13, 16
_COLUMNS = 20
_DIRECT = 1 << 16  # ids below are looked up in a list


def object_sums(
    labels: NDArray[Any], *, start: Coord = (0, 0, 0), intensity: NDArray[Any] | None = None
) -> Columns:
    """Gather the table of the objects of a block.

    Parameters
    ----------
    labels : ndarray of int or bool, shape (Z, Y, X)
        Ids; 0 is no object.
    start : tuple of int
        Coordinates of the first voxel, (z, y, x).
    intensity : ndarray of int, shape (Z, Y, X), optional
        Image of at most 16 bits; see :func:`quantised` for others.

    Returns
    -------
    dict of ndarray
        ``id`` (uint64), and int64: ``voxels``; ``z_start`` to ``x_stop``, the box; ``sum_z``,
        ``sum_y``, ``sum_x``, sums of coordinates; ``zz_high``, ``zz_low`` and so on, sums of their
        products; with an intensity ``light``, ``light_squares``, ``darkest`` and ``brightest``.
        Sorted by id.

    Raises
    ------
    ContractError
        If labels are no ids, the intensity is no small integer, or coordinates are too large.

    Examples
    --------
    >>> table = object_sums(np.array([[[5, 5, 0, 5, 2]]]))
    >>> table["id"].tolist(), table["voxels"].tolist(), table["sum_x"].tolist()
    ([2, 5], [1, 3], [4, 4])
    """
    values = plain_labels(labels)
    if max(max(map(abs, start)), max(a + n for a, n in zip(start, labels.shape, strict=True))) >= (
        _MOST_COORDINATE
    ):
        raise ContractError(f"voxels from {start} on lie beyond 2**31; move the volume's offset")
    light = np.empty((0, 0, 0), np.uint8) if intensity is None else _small(intensity, labels)
    keys, sums = _gather(values, light)
    order = np.argsort(keys)
    sums = sums[order]
    table: Columns = {"id": keys[order], "voxels": sums[:, _N].copy()}
    for axis in range(3):
        table[STARTS[axis]] = sums[:, _START + axis] + start[axis]
        table[STOPS[axis]] = sums[:, _STOP + axis] + start[axis]
    for axis in range(3):
        table[f"sum_{AXES[axis]}"] = sums[:, _SUM + axis] + start[axis] * table["voxels"]
    for k, name in enumerate(PRODUCTS):
        table[f"{name}_high"], table[f"{name}_low"] = _shifted(sums, k, start)
    if intensity is not None:
        for k, name in enumerate(("light", "light_squares", "darkest", "brightest")):
            table[name] = sums[:, _LIGHT + k].copy()
    return table


def add_objects(tables: Sequence[Columns]) -> Columns:
    """Add the tables of parts: an object in several of them has one row in the sum.

    Parameters
    ----------
    tables : sequence of dict of ndarray
        As :func:`object_sums` makes them; at least one.

    Returns
    -------
    dict of ndarray
        The same columns, sorted by id.

    Examples
    --------
    >>> labels = np.array([[[5, 5, 0, 5, 2]]])
    >>> parts = [object_sums(labels[..., :2]), object_sums(labels[..., 2:], start=(0, 0, 2))]
    >>> whole = object_sums(labels)
    >>> all((add_objects(parts)[name] == whole[name]).all() for name in whole)
    True
    """
    table = add_keyed(
        tables,
        keys=("id",),
        smallest=(*STARTS, "darkest"),
        largest=(*STOPS, "brightest"),
    )
    for name in PRODUCTS:
        high, low = table[f"{name}_high"], table[f"{name}_low"]
        table[f"{name}_high"], table[f"{name}_low"] = high + (low >> _WIDE), low & _LOW
    return table


def quantised(image: NDArray[Any], low: float, high: float) -> NDArray[np.uint16]:
    """Turn an image into whole numbers that add up exactly: 0 at ``low``, 65,535 at ``high``.

    Parameters
    ----------
    image : ndarray of number
        Values beyond the range are clipped.
    low, high : float
        The range.

    Returns
    -------
    ndarray of uint16

    Raises
    ------
    ContractError
        If the range is empty, or a value is NaN.

    Examples
    --------
    >>> quantised(np.array([0.0, 0.5, 2.0]), 0, 1).tolist()
    [0, 32768, 65535]
    """
    if not low < high:
        raise ContractError(f"intensities from {low} to {high}: give a lower and a higher value")
    scaled = np.rint((np.clip(image, low, high).astype(np.float64) - low) * (65535 / (high - low)))
    if np.isnan(scaled).any():
        raise ContractError("intensities are NaN; replace them (numpy.nan_to_num)")
    return scaled.astype(np.uint16)


def _small(intensity: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    kind = intensity.dtype
    if intensity.shape != labels.shape:
        raise ContractError(
            f"intensities have shape {intensity.shape}, labels {labels.shape}; give an image of "
            "the same voxels"
        )
    if kind.kind not in "uib" or kind.itemsize > 2:
        raise ContractError(
            f"intensities are {kind}, whose sums would depend on the order of adding; give an "
            "image of 8 or 16 bits, or the range of its values"
        )
    native = np.ascontiguousarray(intensity, kind.newbyteorder("="))
    return native.view(np.uint8) if kind.kind == "b" else native


def _shifted(
    sums: NDArray[np.int64], k: int, start: Coord
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Move a sum of products from the block's coordinates to the volume's, in two columns."""
    a, b = _PAIRS[k]
    # sum (p + s)(q + t) = sum pq + t sum p + s sum q + s t n
    terms = [
        _split(sums[:, _PRODUCT + k]),
        _times(_split(sums[:, _SUM + a]), start[b]),
        _times(_split(sums[:, _SUM + b]), start[a]),
        _times(_times(_split(sums[:, _N]), start[a]), start[b]),
    ]
    high = sum((term[0] for term in terms), np.zeros(len(sums), np.int64))
    low = sum((term[1] for term in terms), np.zeros(len(sums), np.int64))
    return high + (low >> _WIDE), low & _LOW


def _split(n: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return n >> _WIDE, n & _LOW


def _times(
    wide: tuple[NDArray[np.int64], NDArray[np.int64]], by: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Multiply by a number below 2**31 in magnitude."""
    high, low = wide[0] * by, wide[1] * by
    return high + (low >> _WIDE), low & _LOW


@numba.njit(nogil=True, cache=True)
def _gather(labels: Any, light: Any) -> Any:
    """Visit every run once."""
    slots, keys, sums = empty_rows(_COLUMNS)
    direct = np.full(_DIRECT, -1, np.int32)
    used = 0
    depth, height, width = labels.shape
    last = np.empty(max(width, 1), np.int32)
    if width == 0:
        return keys[:0, 0].copy(), sums[:0].copy()
    for z in range(depth):
        for y in range(height):
            row = labels[z, y]
            if used + width > len(keys):
                slots, keys, sums = roomy(slots, keys, sums, used, width)
            first: Any = 0
            for run in range(find_runs(row, last)):
                stop = np.int64(last[run]) + 1
                label = np.uint64(row[first])
                if label != 0:
                    at = np.int64(direct[label]) if label < _DIRECT else np.int64(-1)
                    if at < 0:
                        at = row_of(slots, keys, used, label, 0, 0)
                        if label < _DIRECT:
                            direct[label] = at
                        if at == used:
                            used += 1
                            _begin(sums[at], z, y, first)
                    _add_run(sums[at], z, y, first, stop)
                    if light.size:
                        _add_light(sums[at], light[z, y, first:stop])
                first = stop
    return keys[:used, 0].copy(), sums[:used].copy()


@numba.njit(nogil=True, cache=True)
def _begin(sums: Any, z: int, y: int, x: Any) -> None:
    """Open the box of an object where it is met first."""
    sums[_START], sums[_START + 1], sums[_START + 2] = z, y, x
    sums[_LIGHT + 2], sums[_LIGHT + 3] = 1 << 40, -(1 << 40)


@numba.njit(nogil=True, cache=True)
def _add_run(sums: Any, z: int, y: int, first: Any, stop: Any) -> None:
    n = stop - first
    x = n * (first + stop - 1) // 2
    ends = stop - 1
    below = first - 1
    # Sum of squares from first to ends, by the formula for the first k squares.
    squares = ends * (ends + 1) * (2 * ends + 1) // 6 - below * first * (2 * first - 1) // 6
    sums[_N] += n
    sums[_SUM] += n * z
    sums[_SUM + 1] += n * y
    sums[_SUM + 2] += x
    sums[_PRODUCT] += n * z * z
    sums[_PRODUCT + 1] += n * y * y
    sums[_PRODUCT + 2] += squares
    sums[_PRODUCT + 3] += n * z * y
    sums[_PRODUCT + 4] += x * z
    sums[_PRODUCT + 5] += x * y
    sums[_START + 1] = min(sums[_START + 1], y)
    sums[_START + 2] = min(sums[_START + 2], first)
    sums[_STOP] = z + 1  # planes come in order
    sums[_STOP + 1] = max(sums[_STOP + 1], y + 1)
    sums[_STOP + 2] = max(sums[_STOP + 2], stop)


@numba.njit(nogil=True, cache=True)
def _add_light(sums: Any, light: Any) -> None:
    total, squares = np.int64(0), np.int64(0)
    low, high = np.int64(light[0]), np.int64(light[0])
    for i in range(len(light)):
        value = np.int64(light[i])
        total += value
        squares += value * value
        low, high = min(low, value), max(high, value)
    sums[_LIGHT] += total
    sums[_LIGHT + 1] += squares
    sums[_LIGHT + 2] = min(sums[_LIGHT + 2], low)
    sums[_LIGHT + 3] = max(sums[_LIGHT + 3], high)
