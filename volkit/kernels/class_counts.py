"""Class counts: voxels of every label in every bin of space, in one pass over the data.

A bin is some sections by some rows by some columns; bins are counted from the origin of the whole
volume, so that tables of parts add up.  Profiles, sections, tiles, regions and the whole are all
sums of rows of one table.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from volkit.errors import ContractError
from volkit.geometry import Coord
from volkit.kernels.keyed_sums import Columns, add_keyed, empty_rows, roomy, row_of
from volkit.kernels.runs import find_runs, plain_labels
from volkit.kernels.voxel_words import equal_word, ones

BINS = ("z_bin", "y_bin", "x_bin")
_MOST_LABELS = 4096  # in one block: classes are few, instances are many
_MOST_LISTED = 256
_BITS = 21  # of every bin number, in one key
_BIN = (1 << _BITS) - 1


def class_counts(
    classes: NDArray[Any],
    bins: Coord,
    *,
    regions: NDArray[Any] | None = None,
    start: Coord = (0, 0, 0),
    origin: Coord = (0, 0, 0),
) -> Columns:
    """Count the voxels of every label, by bin and region.

    Parameters
    ----------
    classes : ndarray of int or bool, shape (Z, Y, X)
        Labels; 0 counts, too.
    bins : tuple of int
        Extent of a bin, voxels, (z, y, x).
    regions : ndarray of int, shape (Z, Y, X), optional
        Ids of regions; without, all is region 0.
    start : tuple of int
        Coordinates of the first voxel.
    origin : tuple of int
        Where bin 0 begins.

    Returns
    -------
    dict of ndarray
        ``z_bin``, ``y_bin``, ``x_bin`` (int64), ``region``, ``label`` (uint64), ``voxels`` (int64):
        the combinations that occur, sorted.

    Raises
    ------
    ContractError
        If labels are no ids, or so many that they must be instances.

    Examples
    --------
    >>> table = class_counts(np.array([[[1, 1, 0, 0], [1, 3, 3, 3]]]), (1, 1, 4))
    >>> table["y_bin"].tolist(), table["label"].tolist(), table["voxels"].tolist()
    ([0, 0, 1, 1], [0, 1, 1, 3], [2, 2, 1, 3])
    """
    labels = plain_labels(classes, name="class labels")
    offset = tuple(a - b for a, b in zip(start, origin, strict=True))
    if min(bins) < 1 or min(offset) < 0:
        raise ContractError(f"bins of {bins} from {origin}, voxels from {start}; give 1 or more")
    labels = _narrow(labels)
    areas = labels[:0] if regions is None else plain_labels(regions, name="regions")
    if labels.itemsize == 1:
        most = int(labels.max(initial=0)) + 1
        keys, voxels = _by_label(*_listed(labels, areas, offset, bins, most))
    else:
        keys, voxels = _hashed(labels, areas, offset, bins)
    found = np.unique(keys[:, 2])
    if len(found) > _MOST_LABELS:
        raise ContractError(
            f"{len(found):,} labels in one block: these look like objects, not classes; give "
            "them as cells, and semantic labels as classes"
        )
    table = {
        "z_bin": (keys[:, 0] >> np.uint64(2 * _BITS)).astype(np.int64),
        "y_bin": (keys[:, 0] >> np.uint64(_BITS)).astype(np.int64) & _BIN,
        "x_bin": keys[:, 0].astype(np.int64) & _BIN,
        "region": keys[:, 1],
        "label": keys[:, 2],
        "voxels": voxels,
    }
    return add_class_counts([table])


def add_class_counts(tables: Sequence[Columns]) -> Columns:
    """Add the tables of parts, as :func:`class_counts` makes them."""
    return add_keyed(tables, keys=(*BINS, "region", "label"))


def _narrow(labels: NDArray[Any]) -> NDArray[Any]:
    """Give labels that fit in 8 bits such a type, whatever they came in."""
    if labels.itemsize > 1 and labels.size and int(labels.max()) < _MOST_LISTED:
        return labels.astype(np.uint8)
    return labels


def _by_label(
    keys: NDArray[np.uint64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Turn rows that hold the counts of all labels into one row for each label."""
    row, label = np.nonzero(counts)
    named = keys[row]
    named[:, 2] = label
    return named, counts[row, label]


@numba.njit(nogil=True, cache=True)
def _listed(labels: Any, regions: Any, offset: Any, bins: Any, most: int) -> Any:
    """Count in one list for each bin and region; labels are below ``most``."""
    slots, keys, sums = empty_rows(most)
    used = 0
    # Four lists in turns, so that equal voxels in a row do not wait for each other.
    lanes = np.zeros((4, most), np.int64)
    depth, height, width = labels.shape
    ends = np.empty(max(width, 1), np.int32)
    for z in range(depth):
        for y in range(height):
            if used + width > len(keys):
                slots, keys, sums = roomy(slots, keys, sums, used, width)
            place = ((z + offset[0]) // bins[0]) << _BITS | ((y + offset[1]) // bins[1])
            x = 0
            while x < width:
                bin_x = (x + offset[2]) // bins[2]
                stop = min(width, (bin_x + 1) * bins[2] - offset[2])
                first, region, pieces = np.int64(x), np.uint64(0), 1
                ends[0] = stop - x - 1
                if regions.size:
                    pieces = find_runs(regions[z, y, x:stop], ends)
                for piece in range(pieces):
                    end = x + np.int64(ends[piece]) + 1
                    if regions.size:
                        region = np.uint64(regions[z, y, first])
                    at = row_of(slots, keys, used, place << _BITS | bin_x, region, 0)
                    used = max(used, at + 1)
                    _count(labels[z, y, first:end], lanes, sums[at])
                    first = end
                x = stop
    return keys[:used].copy(), sums[:used].copy()


@numba.njit(nogil=True, cache=True)
def _count(row: Any, lanes: Any, counts: Any) -> None:
    """Count the voxels of every label in a piece of a row."""
    middle = 0
    if len(counts) <= 16:
        middle = len(row) // 64 * 64
        for label in range(len(counts) if middle else 0):
            found = np.int64(0)
            for i in range(0, middle, 64):
                found += ones(equal_word(row, i, np.uint8(label)))
            counts[label] += found
    elif len(row) > 4 * len(counts):
        lanes[:] = 0
        middle = len(row) // 4 * 4
        for i in range(0, middle, 4):
            lanes[0, row[i]] += 1
            lanes[1, row[i + 1]] += 1
            lanes[2, row[i + 2]] += 1
            lanes[3, row[i + 3]] += 1
        for label in range(len(counts)):
            counts[label] += lanes[0, label] + lanes[1, label] + lanes[2, label] + lanes[3, label]
    for i in range(middle, len(row)):
        counts[row[i]] += 1


@numba.njit(nogil=True, cache=True)
def _hashed(labels: Any, regions: Any, offset: Any, bins: Any) -> Any:
    """Count by run; a row is met for every label and region of a bin."""
    slots, keys, sums = empty_rows(1)
    used = 0
    depth, height, width = labels.shape
    last, ends = np.empty(max(width, 1), np.int32), np.empty(max(width, 1), np.int32)
    for z in range(depth):
        for y in range(height):
            if used + width > len(keys):
                slots, keys, sums = roomy(slots, keys, sums, used, width)
            place = ((z + offset[0]) // bins[0]) << _BITS | ((y + offset[1]) // bins[1])
            x = 0
            while x < width:
                bin_x = (x + offset[2]) // bins[2]
                stop = min(width, (bin_x + 1) * bins[2] - offset[2])
                row = labels[z, y, x:stop]
                runs = find_runs(row, last)
                if regions.size:
                    runs = _both(last, runs, regions[z, y, x:stop], ends)
                first: Any = 0
                for run in range(runs):
                    end = np.int64(last[run]) + 1
                    region = regions[z, y, x + first] if regions.size else 0
                    at = row_of(slots, keys, used, place << _BITS | bin_x, region, row[first])
                    used = max(used, at + 1)
                    sums[at, 0] += end - first
                    first = end
                x = stop
    return keys[:used].copy(), sums[:used, 0].copy()


@numba.njit(nogil=True, cache=True)
def _both(last: Any, runs: Any, regions: Any, ends: Any) -> Any:
    """Cut runs of labels where regions change, too."""
    others = find_runs(regions, ends)
    if others == 1:
        return runs
    mine = last[:runs].copy()
    i, j, count = np.int64(0), np.int64(0), 0
    while i < runs and j < others:
        end = min(mine[i], ends[j])
        last[count] = end
        count += 1
        i += np.int64(mine[i] == end)
        j += np.int64(ends[j] == end)
    return count
