"""Totals of cells: what regions, boxes and maps need of any number of cells, in sums that add up.

A row stands for one cell, or for all cells of the same region and bin: ``cells`` says for how many.
All columns are whole numbers, so that sums do not depend on how cells were partitioned.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.geometry import AXES, Box, Coord
from volkit.kernels.class_counts import BINS
from volkit.ops.statistics_distances import carried, moment_columns

_SUMS = ("cells", "at_border", "voxels", "squares_high", "squares_low")
_HALF = 16
_LOW = (1 << 32) - 1
_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio


def counted(cells: pd.DataFrame) -> pd.DataFrame:
    """Make every row a total: of one cell, where it is not one of several already.

    Parameters
    ----------
    cells : DataFrame
        With ``voxels`` (below 2**47), ``at_border``, and distances where there are any.

    Returns
    -------
    DataFrame
        With ``cells``, and ``squares_high`` and ``squares_low``: the sum of squared sizes is
        ``high * 2**32 + low``; and with the moments of distances.

    Examples
    --------
    >>> frame = counted(pd.DataFrame({"voxels": [3, 70000], "at_border": [True, False]}))
    >>> (frame["squares_high"] * 2**32 + frame["squares_low"]).tolist()
    [9, 4900000000]
    """
    if "cells" in cells:
        return cells
    size = cells["voxels"].to_numpy().astype(np.int64)
    a, b = size >> _HALF, size & ((1 << _HALF) - 1)
    middle = 2 * a * b
    low = ((middle & ((1 << _HALF) - 1)) << _HALF) + b * b
    return cells.assign(
        cells=np.ones(len(cells), np.int64),
        at_border=cells["at_border"].to_numpy().astype(np.int64),
        squares_high=a * a + (middle >> _HALF) + (low >> 32),
        squares_low=low & _LOW,
        **moment_columns(cells),
    )


def grouped(cells: pd.DataFrame, *, domain: Box, bins: Coord) -> pd.DataFrame:
    """Add up the cells of the same region and bin.

    Parameters
    ----------
    cells : DataFrame
        One row each, with centroids ``z``, ``y``, ``x`` in voxels.
    domain : Box
        Bins begin at its first voxel.
    bins : tuple of int
        Extent of a bin, voxels.

    Returns
    -------
    DataFrame
        ``z_bin``, ``y_bin``, ``x_bin``, ``region`` where there is one, and sums.
    """
    return added([counted(cells).assign(**bins_of(cells, domain, bins))])


def added(groups: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Add the groups of parts."""
    joined = pd.concat(groups, ignore_index=True)
    keys = [n for n in joined if n in BINS or n == "region"]
    sums = [n for n in joined if n in _SUMS or ":" in str(n)]
    found = carried(joined.groupby(keys, as_index=False, sort=True)[sums].sum())
    # Sums of low halves outgrow 64 bits after some billion cells, if they do not carry.
    high, low = (found[f"squares_{name}"].to_numpy() for name in ("high", "low"))
    return found.assign(squares_high=high + (low >> 32), squares_low=low & _LOW)


def bins_of(cells: pd.DataFrame, domain: Box, bins: Coord) -> dict[str, NDArray[np.int64]]:
    """Find the bin of every row: that of the centroid, where it is not known already."""
    if BINS[0] in cells:
        return {name: cells[name].to_numpy() for name in BINS}
    centre = np.floor(cells[list(AXES)].to_numpy() + 0.5).astype(np.int64)
    return {name: (centre[:, k] - domain.start[k]) // bins[k] for k, name in enumerate(BINS)}


def inside(cells: pd.DataFrame, box: Box) -> NDArray[np.bool_]:
    """Tell which centroids lie in a box."""
    found = np.ones(len(cells), bool)
    for k, axis in enumerate(AXES):
        place = cells[axis].to_numpy()
        found &= (place >= box.start[k] - 0.5) & (place < box.stop[k] - 0.5)
    return found


def deviation(cells: pd.DataFrame) -> float:
    """Compute the standard deviation (n - 1) of sizes, exactly; NaN for fewer than two cells."""
    frame = counted(cells)
    n, total = int(frame["cells"].sum()), int(frame["voxels"].sum())
    squares = (int(frame["squares_high"].sum()) << 32) + int(frame["squares_low"].sum())
    if n < 2:
        return float("nan")
    return float(((n * squares - total * total) / (n * (n - 1))) ** 0.5)


def sampled(cells: Sequence[pd.DataFrame], *, most: int) -> pd.DataFrame:
    """Choose some cells by their id: the same ones, however they were partitioned.

    Parameters
    ----------
    cells : sequence of DataFrame
        With ``id``.
    most : int
        All where there are no more.

    Returns
    -------
    DataFrame
    """
    joined = pd.concat(cells, ignore_index=True)
    if len(joined) <= most:
        return joined
    mixed = joined["id"].to_numpy().astype(np.uint64) * _MIX
    mixed ^= mixed >> np.uint64(29)
    chosen = np.argsort(mixed * _MIX, kind="stable")[:most]
    return joined.iloc[np.sort(chosen)].reset_index(drop=True)
