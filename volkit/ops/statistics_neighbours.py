"""Nearest neighbours of any number of cells: points on disk, met a group at a time.

Points are kept part by part, packed into groups that are small in space.  The neighbours of a
group are looked for among its own points first; other groups follow, from the nearest on, until
none is as near as what was found.  So distances are exact, the same for all parts and groups, and
memory is that of two groups and one part, and of the corners of all groups.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volkit.kernels.nearest import (
    BEYOND_ROUNDING,
    Points,
    bring_nearer,
    checked,
    gaps,
    packed,
    smallest_distances,
    span,
)

_GROUP = 1 << 16


@dataclass(frozen=True, slots=True)
class _Groups:
    """Where groups are: on disk (part, first and last row) and in space."""

    part: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    low: Points
    high: Points


@dataclass(frozen=True, slots=True)
class PointStore:
    """Points of several parts, in files.

    Parameters
    ----------
    folder : Path
        Where; there, and nobody else's.
    most : int
        Points of a group.
    """

    folder: Path
    most: int = _GROUP
    _rows: list[tuple[int, int, int]] = field(default_factory=list)
    _corners: list[tuple[Points, Points]] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)

    def add(self, points: Points) -> None:
        """Keep the points of the next part, shape (N, 3).

        Raises
        ------
        GeometryError
            If points are no table of finite numbers.
        """
        points = checked(points)
        part, start = len(self._sizes), 0
        groups = packed(points, self.most)
        for rows in groups:
            self._rows.append((part, start, start + len(rows)))
            self._corners.append(span(points[rows]))
            start += len(rows)
        order = np.concatenate(groups) if groups else np.empty(0, np.intp)
        np.save(self._file(part, "points"), points[order])
        np.save(self._file(part, "order"), order)
        self._sizes.append(len(points))

    def distances(self, ranks: Sequence[int]) -> Iterator[NDArray[np.float64]]:
        """Measure the distance of every point to its k-th nearest other one, of all parts.

        Parameters
        ----------
        ranks : sequence of int
            Which k, ascending, 1 is the nearest.

        Yields
        ------
        ndarray of float64, shape (N, len(ranks))
            Of the points of one part, as they were given; NaN where there are fewer than k others.
        """
        groups = self._groups()
        first = 0
        for part, size in enumerate(self._sizes):
            found = np.empty((size, max(ranks)))
            order = np.load(self._file(part, "order"))
            while first < len(groups.part) and groups.part[first] == part:
                rows = order[groups.start[first] : groups.stop[first]]
                found[rows] = self._of_group(first, groups, max(ranks))
                first += 1
            found = found[:, [k - 1 for k in ranks]]
            yield np.where(np.isinf(found), np.nan, found)

    def _of_group(self, number: int, groups: _Groups, count: int) -> NDArray[np.float64]:
        points = self._read(number, groups)
        # The smallest distance is that to the point itself, or to one at its place: 0 as well.
        found = smallest_distances(points, points, count=count + 1)[:, 1:]
        apart = gaps(groups.low, groups.high, groups.low[number], groups.high[number])
        apart[number] = np.inf
        near = np.flatnonzero(apart <= found[:, -1].max() * BEYOND_ROUNDING)
        for other in near[np.argsort(apart[near], kind="stable")]:
            if other == number or apart[other] > found[:, -1].max() * BEYOND_ROUNDING:
                break  # what follows is farther
            bring_nearer(found, points, self._read(other, groups))
        return found

    def _read(self, number: int, groups: _Groups) -> Points:
        stored = np.load(self._file(groups.part[number], "points"), mmap_mode="r")
        return np.array(stored[groups.start[number] : groups.stop[number]])

    def _groups(self) -> _Groups:
        part, start, stop = np.array(self._rows, np.int64).reshape(-1, 3).T
        low, high = np.array(self._corners, np.float64).reshape(-1, 2, 3).transpose(1, 0, 2)
        return _Groups(part, start, stop, low, high)

    def _file(self, part: int, what: str) -> Path:
        return self.folder / f"{what}-{part:05d}.npy"
