"""Marks as a viewer asks for them: a precomputed annotation layer with a coarse-to-fine index.

Of a million marks a viewer that shows all of them needs few, and one that looks closely those that
are near.  Each level of the index holds some of what the levels before it left, so that no cell of
any level holds many.
"""

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from volkit.viewer.frame import dimensions
from volkit.viewer.marks import Marks

_LIMIT = 2000  # marks of a cell
_MOST_CELLS = 2**15  # of a level


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the index.

    Parameters
    ----------
    chunk : ndarray of float64, shape (3,)
        Extent of a cell, (x, y, z), nanometres.
    grid : tuple of int
        Cells on each axis, (x, y, z).
    starts : ndarray of int64, shape (cells + 1,)
        Where the marks of each cell begin in ``members``.
    members : ndarray of int64
        Numbers of the marks, by cell.
    """

    chunk: NDArray[np.float64]
    grid: tuple[int, int, int]
    starts: NDArray[np.int64]
    members: NDArray[np.int64]

    def of(self, cell: tuple[int, ...]) -> NDArray[np.int64] | None:
        """Give the marks of a cell; None where there is no such cell."""
        if any(not 0 <= c < n for c, n in zip(cell, self.grid, strict=True)):
            return None
        at = int(np.ravel_multi_index(cell, self.grid))
        return self.members[self.starts[at] : self.starts[at + 1]]


@dataclass(frozen=True, slots=True)
class ServedMarks:
    """Marks as a precomputed annotation layer.

    Parameters
    ----------
    marks : Marks
        All of them.
    levels : tuple of Level
        The index, coarsest first.
    bounds : tuple of ndarray
        Lower and upper corner of all, (x, y, z), nanometres.
    """

    marks: Marks
    levels: tuple[Level, ...]
    bounds: tuple[NDArray[np.float64], NDArray[np.float64]]
    _records: NDArray[np.void]

    @classmethod
    def of(cls, marks: Marks, *, limit: int = _LIMIT) -> Self:
        """Make the index.

        Parameters
        ----------
        marks : Marks
            Any number.
        limit : int
            Marks of a cell at most, as long as there are levels to go to.

        Examples
        --------
        >>> places = np.random.default_rng(0).random((5000, 3)) * 1000
        >>> served = ServedMarks.of(Marks(places), limit=500)
        >>> sum(len(level.members) for level in served.levels)
        5000
        >>> max(int(np.diff(level.starts).max()) for level in served.levels) <= 500
        True
        """
        corners = marks.geometry.reshape(len(marks), -1, 3)
        middle = corners.mean(axis=1)
        low = corners.min(axis=(0, 1)) if len(marks) else np.zeros(3)
        high = corners.max(axis=(0, 1)) if len(marks) else np.zeros(3)
        high = np.maximum(high, low + 1.0)  # a layer has some extent
        levels = _levels(middle, low, high, limit)
        return cls(marks, levels, (low, high), marks.records())

    def answer(self, path: str) -> bytes | None:
        """Answer what a viewer asks for: ``info``, ``N/x_y_z`` or ``by_id/N``; else None."""
        if path == "info":
            return json.dumps(self.info()).encode()
        folder, _, name = path.partition("/")
        if folder == "by_id":
            known = name.isdigit() and int(name) < len(self.marks)
            return self._records[int(name)].tobytes() if known else None
        cell = name.split("_")
        if not folder.isdigit() or int(folder) >= len(self.levels) or len(cell) != 3:
            return None
        if not all(n.isdigit() for n in cell):
            return None
        found = self.levels[int(folder)].of(tuple(int(n) for n in cell))
        if found is None:
            return None
        count = np.array(len(found), "<u8").tobytes()
        return count + self._records[found].tobytes() + found.astype("<u8").tobytes()

    def info(self) -> dict[str, Any]:
        """Describe the layer."""
        low, high = self.bounds
        return {
            "@type": "neuroglancer_annotations_v1",
            "dimensions": dimensions((1.0, 1.0, 1.0)),
            "lower_bound": low.tolist(),
            "upper_bound": high.tolist(),
            "annotation_type": self.marks.type,
            "properties": list(self.marks.properties),
            "relationships": [],
            "by_id": {"key": "by_id"},
            "spatial": [
                {
                    "key": str(n),
                    "grid_shape": list(level.grid),
                    "chunk_size": level.chunk.tolist(),
                    "limit": int(np.diff(level.starts).max(initial=1)),
                }
                for n, level in enumerate(self.levels)
            ],
        }


def _levels(
    places: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    limit: int,
) -> tuple[Level, ...]:
    """Give every mark a level, so that no cell of a level holds many."""
    draw = np.random.default_rng(0)
    left = np.arange(len(places))
    chunk, grid = high - low, np.ones(3, np.int64)
    levels = []
    while True:
        cells = np.clip(((places[left] - low) / chunk).astype(np.int64), 0, grid - 1)
        flat = np.ravel_multi_index(tuple(cells.T), tuple(grid))
        fullest = int(np.bincount(flat).max()) if len(flat) else 0
        last = fullest <= limit or 8 * int(grid.prod()) > _MOST_CELLS
        # The same share of every cell, so that what is dense looks dense at every level.
        order = draw.permutation(len(left))
        rank = np.empty(len(left), np.int64)
        by_cell = order[np.argsort(flat[order], kind="stable")]
        starts = np.searchsorted(flat[by_cell], np.arange(int(grid.prod()) + 1))
        rank[by_cell] = np.arange(len(left)) - starts[flat[by_cell]]
        share = 1.0 if last else limit / fullest
        quota = np.floor(np.diff(starts) * share).astype(np.int64)
        taken = rank < quota[flat] if not last else np.ones(len(left), bool)
        levels.append(_level(chunk, grid, flat[taken], left[taken]))
        if last:
            return tuple(levels)
        left = left[~taken]
        # Cells stay near to cubes: the longest axes are halved.
        longest = chunk > chunk.max() / 2
        chunk = np.where(longest, chunk / 2, chunk)
        grid = np.where(longest, grid * 2, grid)


def _level(
    chunk: NDArray[np.float64],
    grid: NDArray[np.int64],
    flat: NDArray[np.int64],
    numbers: NDArray[np.int64],
) -> Level:
    order = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(int(grid.prod()) + 1))
    x, y, z = (int(n) for n in grid)
    return Level(chunk, (x, y, z), starts, numbers[order])
