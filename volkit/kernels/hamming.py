"""Hamming windows: pictures made smaller as Pillow does it with that filter."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import GeometryError

Shrink = Literal["mean", "hamming"]


def hamming_weights(
    extent: int, size: int, *, rows: range | None = None
) -> tuple[int, NDArray[np.float64]]:
    """Say how pixels of a line make up those of a shorter one.

    Each is a mean under a sinc within a Hamming window, twice as wide as the pixels that it stands
    for; at the ends of the line what lies beyond does not count.

    Parameters
    ----------
    extent, size : int
        Pixels of the line, and of the shorter one.
    rows : range, optional
        Which pixels of the shorter one; None for all.

    Returns
    -------
    first : int
        The first pixel of the line that counts.
    weights : ndarray of float64, shape (len(rows), N)
        Of the N pixels from there on; rows add up to 1.

    Raises
    ------
    GeometryError
        If the line would become longer, or rows are not in it.

    References
    ----------
    Harris, On the use of windows for harmonic analysis with the discrete Fourier transform, 1978,
    doi:10.1109/PROC.1978.10837.

    Examples
    --------
    >>> first, weights = hamming_weights(8, 2, rows=range(1, 2))
    >>> first, weights.round(3).tolist()
    (2, [[0.005, 0.054, 0.176, 0.295, 0.295, 0.176]])
    """
    wanted = range(size) if rows is None else rows
    if not 1 <= size <= extent or not len(wanted) or wanted[0] < 0 or wanted[-1] >= size:
        raise GeometryError(
            f"{extent} pixels cannot become {size}, of which {wanted} are wanted; give fewer, and "
            "rows among them"
        )
    scale = extent / size
    centre = (np.array(wanted) + 0.5) * scale
    start = np.maximum((centre - scale + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + scale + 0.5).astype(np.int64), extent)
    pixels = np.arange(start[0], stop[-1])
    place = (pixels[None] - centre[:, None] + 0.5) / scale
    inside = (pixels >= start[:, None]) & (pixels < stop[:, None]) & (np.abs(place) < 1)
    window = np.where(inside, np.sinc(place) * (0.54 + 0.46 * np.cos(np.pi * place)), 0.0)
    return int(start[0]), window / window.sum(axis=1, keepdims=True)
