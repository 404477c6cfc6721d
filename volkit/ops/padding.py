"""Padding: what a window sees where it reaches over the domain's faces."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import AXES, Box, Windows

Padding = Literal["reflect", "edge", "constant", "none"]


def cut_window(
    image: NDArray[Any], held: Box, window: Box, *, domain: Box, padding: Padding
) -> NDArray[Any]:
    """Cut a window out of what a block read.

    Parameters
    ----------
    image : ndarray, shape ([C,] Z, Y, X)
        The voxels of ``held``.
    held : Box
        What was read.
    window : Box
        What the network is to see; its part inside the domain must be held.
    domain : Box
        Beyond which voxels are made up.
    padding : {'reflect', 'edge', 'constant', 'none'}
        How; ``none`` cuts the window off at the faces.

    Returns
    -------
    ndarray, shape (C, z, y, x)
        It depends on the domain alone, not on what else was read.

    Examples
    --------
    >>> image = np.arange(4).reshape(1, 1, 4)
    >>> whole = Box.from_shape(image.shape)
    >>> cut_window(image, whole, Box((0, 0, 2), (1, 1, 6)), domain=whole, padding="edge").tolist()
    [[[[2, 3, 3, 3]]]]
    """
    inside = window.intersect(domain)
    cut = image[(..., *inside.relative_to(held).slices)]
    cut = cut if cut.ndim == 4 else cut[None]
    if padding == "none" or inside == window:
        return cut
    before = [a - b for a, b in zip(inside.start, window.start, strict=True)]
    after = [b - a for a, b in zip(inside.stop, window.stop, strict=True)]
    width = [(0, 0), *zip(before, after, strict=True)]
    return np.pad(cut, width, mode=padding)


def padding_advice(windows: Windows, padding: Padding) -> Iterator[str]:
    """Say where no window fits into the domain, so that each sees voxels that are made up.

    Parameters
    ----------
    windows : Windows
        As they are laid.
    padding : {'reflect', 'edge', 'constant', 'none'}
        What they see beyond the domain.

    Yields
    ------
    str
        For a person; nothing where windows fit.

    Examples
    --------
    >>> list(padding_advice(Windows(Box.from_shape((4, 9, 9)), (8, 8, 8), (4, 4, 4)), "reflect"))
    ['infer.window [8, 8, 8] is larger than the domain on axis z (4 voxels): what is missing is \
padded (infer.padding: reflect)']
    """
    extents = list(zip(AXES, windows.shape, windows.domain.shape, strict=True))
    larger = [(axis, length) for axis, window, length in extents if window > length]
    if not larger:
        return
    where = ", ".join(f"{axis} ({length} voxels)" for axis, length in larger)
    what = "is cut off" if padding == "none" else "is padded"
    yield (
        f"infer.window {list(windows.shape)} is larger than the domain on axis {where}: what is "
        f"missing {what} (infer.padding: {padding})"
    )
