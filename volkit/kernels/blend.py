"""Blending: weights that let overlapping windows add up to one answer.

Weights are the product of a vector along z and a plane over y and x.  Windows lie on a product
lattice, so that the sum of all weights at a voxel is such a product too: it is known without
visiting the windows, and weights are divided by it before anything is added.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError
from volkit.geometry import AXES, Box, Coord, Windows

Floats = NDArray[np.float32]
Weighting = Literal["gaussian", "linear", "hann", "constant", "pyramid", "pyramid-published"]

# Standard deviation over extent: MONAI's and nnU-Net's choice.  At a face the factor is still
# exp(-8) = 3e-4, so that no voxel is left without weight.
_SIGMA = 0.125


def axis_weights(extent: int, weighting: Weighting) -> NDArray[np.float64]:
    """Compute the factors of one axis: symmetric, and positive unless published otherwise.

    Parameters
    ----------
    extent : int
        Voxels of the window on this axis.
    weighting : {'gaussian', 'linear', 'hann', 'constant', 'pyramid', 'pyramid-published'}
        Bell, triangle, raised cosine, all one; triangles for both pyramids, of which the published
        one is 0 at the faces.

    Returns
    -------
    ndarray of float64, shape (extent,)
        Greater than 0, at most 1; ``pyramid-published`` is 0 at both ends.

    Raises
    ------
    ValueError
        If the weighting is unknown.

    References
    ----------
    Isensee et al., nnU-Net, 2021, https://doi.org/10.1038/s41592-020-01008-z (gaussian).

    Examples
    --------
    >>> axis_weights(4, "linear").tolist()
    [0.5, 1.0, 1.0, 0.5]
    """
    position = np.arange(extent) - (extent - 1) / 2
    if weighting == "constant":
        return np.ones(extent)
    if weighting == "gaussian":
        return np.exp(-0.5 * (position / (_SIGMA * extent)) ** 2)
    if weighting == "hann":
        return np.sin(np.pi * (np.arange(extent) + 0.5) / extent) ** 2
    if weighting in ("linear", "pyramid"):
        rise = (extent + 1) / 2 - np.abs(position)
        return rise / rise.max()
    if weighting == "pyramid-published":
        rise = (extent - 1) / 2 - np.abs(position)
        return rise / rise.max() if extent > 2 else np.ones(extent)
    raise ValueError(f"weighting {weighting!r} is unknown; choose one of {get_args(Weighting)}")


def plane_weights(extents: Sequence[int], weighting: Weighting) -> NDArray[np.float64]:
    """Compute the factors over y and x.

    Parameters
    ----------
    extents : sequence of int
        Extent of the window, (y, x).
    weighting : {'gaussian', 'linear', 'hann', 'constant', 'pyramid', 'pyramid-published'}
        The pyramids take the smaller of both axes' factors, all others their product.

    Returns
    -------
    ndarray of float64, shape (Y, X)

    References
    ----------
    Square pyramid times triangle: the 2.5D U-Nets of the CZII cryo-electron tomography challenge,
    2025.
    """
    y, x = (axis_weights(n, weighting) for n in extents)
    return np.minimum(y[:, None], x) if weighting.startswith("pyramid") else y[:, None] * x


def window_weights(shape: Sequence[int], weighting: Weighting) -> Floats:
    """Compute the weights of a window.

    Parameters
    ----------
    shape : sequence of int
        Extent, (z, y, x).
    weighting : {'gaussian', 'linear', 'hann', 'constant', 'pyramid', 'pyramid-published'}
        Shape of the factors.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)

    Examples
    --------
    >>> window_weights((1, 1, 4), "linear").ravel().tolist()
    [0.5, 1.0, 1.0, 0.5]
    """
    z = axis_weights(shape[0], weighting)
    return (z[:, None, None] * plane_weights(shape[1:], weighting)).astype(np.float32)


def normalised_weights(
    windows: Windows, index: Coord, weighting: Weighting
) -> tuple[Floats, Floats]:
    """Compute weights that sum to one over all windows that hold a voxel.

    Parameters
    ----------
    windows : Windows
        The lattice.
    index : tuple of int
        Position of the window on it.
    weighting : {'gaussian', 'linear', 'hann', 'constant', 'pyramid', 'pyramid-published'}
        Shape of the factors.

    Returns
    -------
    z : ndarray of float32, shape (Z,)
        Along z.
    plane : ndarray of float32, shape (Y, X)
        Over y and x; a voxel's weight is the product of both.

    Examples
    --------
    >>> windows = Windows(Box.from_shape((1, 1, 6)), (1, 1, 4), (1, 1, 2))
    >>> print(normalised_weights(windows, (0, 0, 1), "linear")[1].round(3))
    [[0.333 0.667 1.    1.   ]]
    """
    reach = [(t - 1) // s for t, s in zip(windows.trusted, windows.stride, strict=True)]
    around = tuple(
        (min(i, r), min(n - 1 - i, r)) for i, n, r in zip(index, windows.counts, reach, strict=True)
    )
    return _normalised(windows.trusted, windows.stride, around, weighting)


@lru_cache(maxsize=256)
def _normalised(
    shape: Coord, stride: Coord, around: tuple[tuple[int, int], ...], weighting: Weighting
) -> tuple[Floats, Floats]:
    """Divide the weights of a window by the sum with those of its neighbours."""
    (bz, az), (by, ay), (bx, ax) = around
    z, plane = axis_weights(shape[0], weighting), plane_weights(shape[1:], weighting)
    z_sum = sum(_shifted(z, (i * stride[0],)) for i in range(-bz, az + 1))
    plane_sum = sum(
        _shifted(plane, (i * stride[1], j * stride[2]))
        for i in range(-by, ay + 1)
        for j in range(-bx, ax + 1)
    )
    return _share(z, z_sum), _share(plane, plane_sum)


def _shifted(values: NDArray[np.float64], offset: tuple[int, ...]) -> NDArray[np.float64]:
    """Shift an array by whole voxels; what comes in is 0."""
    result = np.zeros_like(values)
    spans = list(zip(offset, values.shape, strict=True))
    to = tuple(slice(max(0, o), min(n, n + o)) for o, n in spans)
    source = tuple(slice(max(0, -o), min(n, n - o)) for o, n in spans)
    result[to] = values[source]
    return result


def _share(part: NDArray[np.float64], whole: Any) -> Floats:
    share = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0).astype(np.float32)
    share.setflags(write=False)
    return share


def check_coverage(windows: Windows, weighting: Weighting) -> None:
    """Refuse weights that leave voxels without any.

    Raises
    ------
    GeometryError
        If the weights of all windows at some voxel sum to zero.

    Examples
    --------
    >>> check_coverage(Windows(Box.from_shape((9, 9, 9)), (4, 4, 4), (2, 2, 2)), "gaussian")
    """
    for axis in range(3):
        length, ends = windows.domain.shape[axis], 2 * windows.trusted[axis]
        # Between the ends sums repeat with the stride, and the ends hold more than one.
        for start in sorted({0, max(0, length - ends)}):
            sums = _axis_sums(windows, axis, range(start, min(length, start + ends)), weighting)
            if not sums.all():
                at = windows.domain.start[axis] + start + int(np.argmin(sums))
                raise GeometryError(
                    f"weights {weighting!r} of windows {windows.trusted} at stride "
                    f"{windows.stride} leave voxel {at} of axis {AXES[axis]} without any; choose "
                    "weights that are positive everywhere ('pyramid'), or a weight_floor above 0"
                )


def weight_sums(windows: Windows, box: Box, weighting: Weighting) -> Floats:
    """Compute the sum of all windows' weights at every voxel of a box.

    Parameters
    ----------
    windows : Windows
        The lattice.
    box : Box
        Part of its domain.
    weighting : {'gaussian', 'linear', 'hann', 'constant', 'pyramid', 'pyramid-published'}
        Shape of the factors.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)

    Examples
    --------
    >>> windows = Windows(Box.from_shape((1, 1, 6)), (1, 1, 4), (1, 1, 2))
    >>> weight_sums(windows, windows.domain, "linear").ravel().tolist()
    [0.5, 1.0, 1.5, 1.5, 1.0, 0.5]
    """
    inside = box.relative_to(windows.domain)
    z, y, x = (range(a, b) for a, b in zip(inside.start, inside.stop, strict=True))
    sums = _axis_sums(windows, 0, z, weighting)
    if not weighting.startswith("pyramid"):
        plane = _axis_sums(windows, 1, y, weighting)[:, None] * _axis_sums(windows, 2, x, weighting)
    else:
        plane = _plane_sums(windows, y, x, weighting)
    return (sums[:, None, None] * plane).astype(np.float32)


def _axis_sums(
    windows: Windows, axis: int, span: range, weighting: Weighting
) -> NDArray[np.float64]:
    """Add up the factors of one axis over a span of the domain."""
    factors = axis_weights(windows.trusted[axis], weighting)
    total = np.zeros(len(span))
    for at, part in _placed(windows, axis, span):
        total[at] += factors[part]
    return total


def _plane_sums(windows: Windows, y: range, x: range, weighting: Weighting) -> NDArray[np.float64]:
    factors = plane_weights(windows.trusted[1:], weighting)
    total = np.zeros((len(y), len(x)))
    for (at_y, part_y), (at_x, part_x) in product(_placed(windows, 1, y), _placed(windows, 2, x)):
        total[at_y, at_x] += factors[part_y, part_x]
    return total


def _placed(windows: Windows, axis: int, span: range) -> Iterator[tuple[slice, slice]]:
    """Yield where the windows of one axis meet a span: slices of the span and of the window."""
    extent, stride = windows.trusted[axis], windows.stride[axis]
    first = max(0, (span.start - extent) // stride + 1)
    for i in range(first, min(windows.counts[axis], -(-span.stop // stride))):
        start, stop = max(span.start, i * stride), min(span.stop, i * stride + extent)
        yield (
            slice(start - span.start, stop - span.start),
            slice(start - i * stride, stop - i * stride),
        )
