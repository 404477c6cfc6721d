"""Padding: what a window sees where it reaches over the domain's faces."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box

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
