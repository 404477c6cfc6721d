"""Sums: answers of windows added in fixed point, so that their order and grouping cannot show.

Floating-point sums depend on the order in which windows are added, and so on the blocks.  Sums of
whole numbers do not: however windows are shared out, the bytes are the same.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError

Array = NDArray[Any]

BOUNDED_BITS = 30  # of answers within -1 to 1, in 32 bits: weights sum to one, so sums fit
_BOUND = 1.001  # rounding may lift a mean of probabilities a little
WIDE_BITS = 36  # of any other, in 64 bits
WIDEST = 2.0**26  # magnitude that is left to those
MOST_MARKS = 4094  # windows that hold a voxel: as many marks still fit into 64 bits
_MARK = 2**51  # twice and more above all sums of marked answers
_WIDEST_MARKED = 2.0**13


def empty_sums(channels: int, shape: tuple[int, ...], *, bounded: bool) -> Array:
    """Make sums of nothing.

    Parameters
    ----------
    channels : int
        Of the answers.
    shape : tuple of int
        Voxels, (z, y, x).
    bounded : bool
        Whether answers lie within -1 to 1.

    Returns
    -------
    ndarray of int32 or int64, shape (C, Z, Y, X)
    """
    return np.zeros((channels, *shape), np.int32 if bounded else np.int64)


def add_answer(
    sums: Array,
    answer: NDArray[np.float32],
    z_weights: NDArray[np.float32],
    plane_weights: NDArray[np.float32],
    *,
    corner: tuple[int, int, int],
    marks: bool = False,
) -> None:
    """Add the weighted answer of a window, or of a part of one.

    Parameters
    ----------
    sums : ndarray of int32 or int64, shape (C, Z, Y, X)
        Changed in place.
    answer : ndarray of float32, shape (C, z, y, x)
        Within -1 to 1 for sums of int32.
    z_weights : ndarray of float32, shape (z,)
        Weights along z.
    plane_weights : ndarray of float32, shape (y, x)
        Weights over y and x.
    corner : tuple of int
        Where the answer's first voxel lies in the sums; all of it must lie inside.
    marks : bool
        Whether answers may be NaN or infinite, which :func:`blended` turns into NaN; for sums of
        int64.

    Raises
    ------
    ContractError
        If an answer is too large for exact sums, or does not lie inside of them.

    Examples
    --------
    >>> sums = empty_sums(1, (1, 1, 4), bounded=True)
    >>> one = np.ones(1, np.float32)
    >>> answer, plane = np.full((1, 1, 1, 2), 0.5, np.float32), np.ones((1, 2), np.float32)
    >>> add_answer(sums, answer, one, plane, corner=(0, 0, 1))
    >>> (sums / 2**BOUNDED_BITS).ravel().tolist()
    [0.0, 0.5, 0.5, 0.0]
    """
    _check_place(sums, answer, z_weights, plane_weights, corner)
    if sums.dtype == np.int32:
        most = max(float(answer.max(initial=0)), -float(answer.min(initial=0)))
        if not most <= _BOUND:
            raise ContractError(
                f"the network answered {most:g}, and says that its answers lie within -1 to 1; "
                "correct its activation, or what it says (bounded)"
            )
        _add_bounded(sums, answer, z_weights, plane_weights, *corner)
        return
    if marks:
        finite = np.isfinite(answer)
        z, y, x = (slice(c, c + n) for c, n in zip(corner, answer.shape[1:], strict=True))
        sums[:, z, y, x] += np.where(finite, 0, _MARK)
        answer = np.where(finite, answer, np.float32(0))
    widest, largest = _WIDEST_MARKED if marks else WIDEST, float(np.abs(answer).max(initial=0))
    if not largest < widest:
        raise ContractError(
            f"the network answered {largest:g}; sums are exact up to {widest:g}: scale its answers"
        )
    _add_wide(sums, answer, z_weights, plane_weights, *corner)


def _check_place(
    sums: Array, answer: Array, z_weights: Array, plane_weights: Array, corner: tuple[int, int, int]
) -> None:
    """Refuse what the kernels, which do not look, would write elsewhere into the memory."""
    inside = all(
        0 <= c <= total - n
        for c, n, total in zip(corner, answer.shape[1:], sums.shape[1:], strict=True)
    )
    weighted = (*z_weights.shape, *plane_weights.shape)
    if not inside or answer.shape[0] != sums.shape[0] or answer.shape[1:] != weighted:
        raise ContractError(
            f"an answer of {answer.shape} with weights of {z_weights.shape} and "
            f"{plane_weights.shape} at {corner} does not fit into sums of {sums.shape}; give "
            "weights of its extent, and a part that lies within the sums"
        )


def blended(sums: Array, *, marks: bool = False) -> NDArray[np.float32]:
    """Turn sums into values, which take the place of sums of int32 that may be written to.

    Parameters
    ----------
    sums : ndarray of int32 or int64
        From :func:`add_answer`, over all windows; of no use afterwards.
    marks : bool
        Whether answers were NaN where sums are beyond all answers.

    Returns
    -------
    ndarray of float32
        The same shape; within -1 to 1 from int32, whatever rounding did to the weights.
    """
    sums = np.ascontiguousarray(sums)
    in_place = sums.dtype == np.int32 and sums.flags.writeable
    values = sums.view(np.float32) if in_place else np.empty(sums.shape, np.float32)
    convert = _bounded_values if sums.dtype == np.int32 else _wide_values
    convert(sums.reshape(-1), values.reshape(-1))
    if marks:
        values[sums > _MARK // 2] = np.nan
    return values


@numba.njit(nogil=True, cache=True)
def _bounded_values(sums, values):  # type: ignore[no-untyped-def]
    one = np.int32(2**30)
    for i in range(sums.size):
        values[i] = np.float32(min(max(sums[i], -one), one)) * np.float32(2.0**-30)


@numba.njit(nogil=True, cache=True)
def _wide_values(sums, values):  # type: ignore[no-untyped-def]
    for i in range(sums.size):
        values[i] = np.float32(np.float64(sums[i]) * 2.0**-36)


@numba.njit(nogil=True, cache=True)
def _add_bounded(sums, answer, z_weights, plane_weights, z0, y0, x0):  # type: ignore[no-untyped-def]
    one = np.float32(2**30)
    channels, nz, ny, nx = answer.shape
    for c in range(channels):
        for z in range(nz):
            for y in range(ny):
                row = sums[c, z0 + z, y0 + y]
                for x in range(nx):
                    weight = z_weights[z] * plane_weights[y, x]
                    row[x0 + x] += np.int32(np.rint(weight * answer[c, z, y, x] * one))


@numba.njit(nogil=True, cache=True)
def _add_wide(sums, answer, z_weights, plane_weights, z0, y0, x0):  # type: ignore[no-untyped-def]
    one = np.float64(2**36)
    channels, nz, ny, nx = answer.shape
    for c in range(channels):
        for z in range(nz):
            for y in range(ny):
                row = sums[c, z0 + z, y0 + y]
                for x in range(nx):
                    weight = z_weights[z] * plane_weights[y, x]
                    value = np.float64(weight) * np.float64(answer[c, z, y, x])
                    row[x0 + x] += np.int64(np.rint(value * one))
