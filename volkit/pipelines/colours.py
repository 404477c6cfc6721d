"""Colours of labels: random to the eye, the same in every figure."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import hsv_to_rgb
from numpy.typing import NDArray

from volkit.kernels.contingency import Table

Rgb = NDArray[np.float32]

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: neighbouring ids part far
_BACKGROUND = (0.06, 0.06, 0.08)


def label_colours(labels: NDArray[np.integer], *, instead: Mapping[int, int] | None = None) -> Rgb:
    """Colour every id by a hash of itself.

    Parameters
    ----------
    labels : ndarray of int
        Ids; 0 is background, and dark.
    instead : mapping of int to int, optional
        Ids that take the colour of another one.

    Returns
    -------
    ndarray of float32, shape (*labels.shape, 3)
        Red, green and blue, 0 to 1.

    Examples
    --------
    >>> colours = label_colours(np.array([0, 7, 9, 7]), instead={9: 7})
    >>> bool((colours[1] == colours[2]).all()), float(colours[0].max()) < 0.1
    (True, True)
    """
    ids, place = np.unique(labels, return_inverse=True)
    looks = [(instead or {}).get(int(i), int(i)) for i in ids]
    mixed = np.array(looks, np.uint64) * _MIX
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MIX
    hue = (mixed >> np.uint64(48)).astype(float) / 2**16
    saturation = 0.45 + 0.45 * ((mixed >> np.uint64(32)) & np.uint64(0xFF)).astype(float) / 255
    value = 0.75 + 0.25 * ((mixed >> np.uint64(40)) & np.uint64(0xFF)).astype(float) / 255
    table = hsv_to_rgb(np.stack([hue, saturation, value], -1)).astype(np.float32)
    table[ids == 0] = _BACKGROUND
    return table[place.reshape(labels.shape)]


def matched(table: Table) -> dict[int, int]:
    """Pair each true object with the segment that shares most voxels, each used once.

    Parameters
    ----------
    table : dict of ndarray
        Contingency: ``true``, ``pred``, ``count``.

    Returns
    -------
    dict of int to int
        Segment of the true objects that have one; a split or a merge leaves others unpaired.

    Examples
    --------
    >>> columns = {"true": [1, 1, 2], "pred": [5, 6, 5], "count": [9, 4, 7]}
    >>> matched({name: np.array(column) for name, column in columns.items()})
    {1: 5}
    """
    pairs: dict[int, int] = {}
    used: set[int] = set()
    for row in np.argsort(-table["count"], kind="stable"):
        true, pred = int(table["true"][row]), int(table["pred"][row])
        if true and pred and true not in pairs and pred not in used:
            pairs[true] = pred
            used.add(pred)
    return pairs
