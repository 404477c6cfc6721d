"""Segments: a large lookup table cut by place, of which a block reads what holds its own ids.

An id is taken for 1 + the C-order index of a voxel in the domain, as labels are named here, and
rows are stored in the order of the blocks that these voxels lie in.  So the ids of a block are
together, and what it reads does not grow with the volume.  Other ids are found as well; they only
lie further apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.columns import read_columns, write_columns
from volkit.engine.op import Columns
from volkit.engine.origin import public_uri
from volkit.engine.tree import part_place
from volkit.geometry import Coord, Grid
from volkit.io.place import Place

Ids = NDArray[np.uint64]

SEGMENT_ROWS = 2**14
"""Rows of a segment, and of the largest table that is not cut."""

_ELSEWHERE = np.uint64(2**63)  # the order of ids that name no voxel of the domain begins here
_INDEX = "index.npz"


@dataclass(frozen=True, slots=True)
class SegmentedColumns:
    """A handle of a table in segments.

    Parameters
    ----------
    place : Place
        The folder of the segments.
    sha256 : str
        Digest of the whole table.
    extent, block_shape : tuple of int
        Of the domain and the blocks whose order is that of the rows, voxels.
    """

    place: Place
    sha256: str
    extent: Coord
    block_shape: Coord

    @property
    def facts(self) -> Mapping[str, Any]:
        """What it is for fingerprints: the same as the whole table."""
        return {"table": self.sha256}

    @property
    def origin(self) -> Mapping[str, Any]:
        """What it is for provenance."""
        return {"type": "table", "uri": public_uri(self.place.uri), "sha256": self.sha256}

    def of(self, ids: Ids) -> Columns:
        """Read the rows of some ids.

        Parameters
        ----------
        ids : ndarray of uint64
            Sorted, each once.

        Returns
        -------
        dict of ndarray
            ``old`` (uint64, sorted) and the other columns; ids that the table has not are left out.
        """
        found = []
        for number in self.needed(ids):
            segment = _segment(self.place, int(number))
            rows = np.isin(segment["old"], ids, assume_unique=True)
            found.append({name: column[rows] for name, column in segment.items()})
        if not found:
            return {name: column[:0] for name, column in _segment(self.place, 0).items()}
        whole = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
        order = np.argsort(whole["old"])
        return {name: column[order] for name, column in whole.items()}

    def needed(self, ids: Ids) -> NDArray[np.int64]:
        """List the segments that may hold some ids."""
        first = _index(self.place)["first"]
        keys = np.unique(_order_of(ids, self.extent, self.block_shape))
        low = np.maximum(np.searchsorted(first, keys, "left") - 1, 0)
        high = np.searchsorted(first, keys, "right")
        spans = [np.arange(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *spans]))


def write_segments(
    folder: Place, lookup: Columns, grid: Grid, *, sha256: str, rows: int = SEGMENT_ROWS
) -> SegmentedColumns:
    """Store a table in segments; what is there already is taken.

    Parameters
    ----------
    folder : Place
        Where; the table gets a folder of its own there, named by its digest.
    lookup : dict of ndarray
        ``old`` (uint64, sorted, each once) and other columns of as many rows.
    grid : Grid
        Domain and blocks whose ids they are.
    sha256 : str
        Digest of the table that these columns are of.
    rows : int
        Of a segment.

    Returns
    -------
    SegmentedColumns
    """
    extent, block = grid.domain.shape, grid.block_shape
    place = folder.inside(f"{sha256[:24]}-{'x'.join(map(str, (*extent, *block)))}")
    handle = SegmentedColumns(place, sha256, extent, block)
    if place.objects.modified(_INDEX) is not None:
        return handle
    keys = _order_of(lookup["old"], extent, block)
    order = np.argsort(keys, kind="stable")
    begins = range(0, max(1, len(order)), rows)
    for number, begin in enumerate(begins):
        part = order[begin : begin + rows]
        write_columns(part_place(place, number), {k: v[part] for k, v in lookup.items()})
    # Last, so that a table with an index is whole.
    write_columns(
        place.inside(_INDEX), {"first": keys[order[list(begins)]] if len(order) else keys}
    )
    return handle


def _order_of(ids: Ids, extent: Coord, block: Coord) -> Ids:
    """Give the place of ids along a curve through the blocks."""
    size = np.uint64(extent[0] * extent[1] * extent[2])
    inside = (ids > 0) & (ids <= size)
    flat = np.where(inside, ids, np.uint64(1)).astype(np.int64) - 1
    places = np.unravel_index(flat, extent)
    key = np.zeros(len(ids), np.uint64)
    for axis, place in enumerate(places):
        key |= _spread((place // block[axis]).astype(np.uint64)) << np.uint64(2 - axis)
    return np.where(inside, key, _ELSEWHERE | ids >> np.uint64(1))


def _spread(index: Ids) -> Ids:
    """Put two zero bits after each of the lower 21 bits."""
    for shift, mask in (
        (32, 0x001F00000000FFFF),
        (16, 0x001F0000FF0000FF),
        (8, 0x100F00F00F00F00F),
        (4, 0x10C30C30C30C30C3),
        (2, 0x1249249249249249),
    ):
        index = (index | index << np.uint64(shift)) & np.uint64(mask)
    return index


@lru_cache(maxsize=32)
def _segment(place: Place, number: int) -> Columns:
    return read_columns(part_place(place, number))


@lru_cache(maxsize=8)
def _index(place: Place) -> Columns:
    return read_columns(place.inside(_INDEX))
