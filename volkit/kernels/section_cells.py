"""Section cells: what every tile of every section shows of every object, in sums that add up."""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Coord
from volkit.kernels.keyed_sums import Columns, add_keyed, empty_rows, roomy, row_of
from volkit.kernels.runs import find_runs, plain_labels

_KEYS = ("z", "y_bin", "x_bin", "id")
_BITS = 21
_BIN = (1 << _BITS) - 1


def section_cells(
    labels: NDArray[Any],
    tile: tuple[int, int],
    *,
    start: Coord = (0, 0, 0),
    origin: Coord = (0, 0, 0),
) -> Columns:
    """Gather the pixels of every object, by section and tile.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Ids; 0 is no object.
    tile : tuple of int
        Extent of a tile, pixels, (y, x).
    start : tuple of int
        Coordinates of the first voxel.
    origin : tuple of int
        Where section 0 and tile (0, 0) begin.

    Returns
    -------
    dict of ndarray
        ``z`` (section, from the origin), ``y_bin``, ``x_bin`` (int64), ``id`` (uint64), ``pixels``,
        ``sum_y``, ``sum_x`` (int64, of coordinates from the origin), sorted.

    Examples
    --------
    >>> table = section_cells(np.array([[[4, 4, 4, 0]]]), (1, 2))
    >>> table["x_bin"].tolist(), table["pixels"].tolist(), table["sum_x"].tolist()
    ([0, 1], [2, 1], [1, 2])
    """
    offset = tuple(a - b for a, b in zip(start, origin, strict=True))
    keys, sums = _gather(plain_labels(labels, name="cells"), offset, tile)
    table = {
        "z": (keys[:, 0] >> np.uint64(2 * _BITS)).astype(np.int64),
        "y_bin": (keys[:, 0] >> np.uint64(_BITS)).astype(np.int64) & _BIN,
        "x_bin": keys[:, 0].astype(np.int64) & _BIN,
        "id": keys[:, 1],
        "pixels": sums[:, 0],
        "sum_y": sums[:, 1],
        "sum_x": sums[:, 2],
    }
    return add_section_cells([table])


def add_section_cells(tables: Sequence[Columns]) -> Columns:
    """Add the tables of parts, as :func:`section_cells` makes them."""
    return add_keyed(tables, keys=_KEYS)


@numba.njit(nogil=True, cache=True)
def _gather(labels: Any, offset: Any, tile: Any) -> Any:
    slots, keys, sums = empty_rows(3)
    used = 0
    depth, height, width = labels.shape
    last = np.empty(max(width, 1), np.int32)
    for z in range(depth):
        for y in range(height):
            if used + width > len(keys):
                slots, keys, sums = roomy(slots, keys, sums, used, width)
            row_y = y + offset[1]
            place = (z + offset[0]) << _BITS | (row_y // tile[0])
            x = 0
            while x < width:
                bin_x = (x + offset[2]) // tile[1]
                stop = min(width, (bin_x + 1) * tile[1] - offset[2])
                row = labels[z, y, x:stop]
                first: Any = 0
                for run in range(find_runs(row, last)):
                    end = np.int64(last[run]) + 1
                    if row[first] != 0:
                        at = row_of(slots, keys, used, place << _BITS | bin_x, row[first], 0)
                        used = max(used, at + 1)
                        n = end - first
                        sums[at, 0] += n
                        sums[at, 1] += n * row_y
                        sums[at, 2] += n * (2 * (x + offset[2]) + first + end - 1) // 2
                    first = end
                x = stop
    return keys[:used].copy(), sums[:used].copy()
