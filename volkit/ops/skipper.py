"""Skipping: which voxels somebody wants, and which windows they need.

Whether a voxel is wanted depends on its place alone, never on a block: so every block that holds
a part of a window decides alike about it.  On each axis the places at which any map, cell or box
begins another value cut a box into intervals; between them nothing changes, so that all questions
are answered on the small array of their product::

    voxels    0 1 2 3 4 5 6 7 8
    mask      a a a a b b b b c
    cells     A A A B B B C C C
    intervals |     | |   |   |
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Block, Box, Coord, Windows
from volkit.io.volume import Volume
from volkit.kernels.emptiness import any_in_boxes
from volkit.ops.coarse_map import CoarseMap

Marks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Skipper:
    """What a worker asks before it evaluates windows; travels to the workers, voxels do not.

    Parameters
    ----------
    domain : Box
        What is covered by windows.
    boxes : tuple of Box
        Wanted; where there are none, everything is.
    without : tuple of Box
        Not wanted.
    maps : tuple of CoarseMap
        A mask, and the cells that hold something: wanted where all of them say so.
    fill : float
        Answer where nothing is wanted.
    """

    domain: Box
    boxes: tuple[Box, ...] = ()
    without: tuple[Box, ...] = ()
    maps: tuple[CoarseMap, ...] = ()
    fill: float = 0.0

    @property
    def facts(self) -> dict[str, Any]:
        """What decides its answers, as JSON; volumes by their identity."""
        return {
            "boxes": _plain(self.boxes),
            "without": _plain(self.without),
            "maps": [each.facts for each in self.maps],
            "fill": self.fill,
        }

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """What workers read to know what is wanted; for a provenance."""
        return tuple(each.held for each in self.maps if isinstance(each.held, Volume))

    def wanted(self, box: Box) -> Marks:
        """Tell which voxels are wanted.

        Parameters
        ----------
        box : Box
            Part of the domain.

        Returns
        -------
        ndarray of bool, shape ``box.shape``

        Examples
        --------
        >>> domain = Box.from_shape((1, 1, 6))
        >>> Skipper(domain, without=(Box((0, 0, 2), (1, 1, 4)),)).wanted(domain).ravel().tolist()
        [True, True, False, False, True, True]
        """
        if not box.size:
            return np.zeros(box.shape, bool)
        marks, edges = self._intervals(box)
        for axis in range(3):
            marks = marks.repeat(np.diff(edges[axis]), axis)
        return marks

    def nothing(self, box: Box) -> bool:
        """Tell whether no voxel of a part of the domain is wanted: its image need not be read."""
        return not box.size or not self._intervals(box)[0].any()

    def idle(self, block: Block) -> bool:
        """Tell whether no voxel of a block is wanted."""
        return self.nothing(block.write)

    def chosen(
        self, windows: Windows, indices: Iterable[Coord], *, within: Box | None = None
    ) -> list[Coord]:
        """Keep the windows that somebody needs.

        Parameters
        ----------
        windows : Windows
            The lattice.
        indices : iterable of tuple of int
            Positions on it, such as ``windows.touching(box)``.
        within : Box, optional
            Where wanted voxels count; None is all of the domain, as it must be where the answer
            of a window goes to other blocks too.

        Returns
        -------
        list of tuple of int
            Those whose trusted part holds a wanted voxel, in the order given.

        Examples
        --------
        >>> windows = Windows(Box.from_shape((1, 1, 8)), (1, 1, 4), (1, 1, 2))
        >>> skip = Skipper(windows.domain, boxes=(Box((0, 0, 6), (1, 1, 7)),))
        >>> skip.chosen(windows, windows.touching(windows.domain))
        [(0, 0, 2)]
        """
        asked = list(indices)
        if not asked:
            return []
        positions = np.array(asked)
        first, last = positions.min(axis=0), positions.max(axis=0)
        near = _box(first, last + 1)
        found = self.needed(windows, near, within=within)
        kept = found[tuple((positions - first).T)]
        return [index for index, keep in zip(asked, kept.tolist(), strict=True) if keep]

    def seen(self, windows: Windows, indices: Iterable[Coord]) -> Box:
        """Put a box around what the needed ones of some windows see; empty where none is.

        Parameters
        ----------
        windows : Windows
            The lattice.
        indices : iterable of tuple of int
            Positions on it.

        Returns
        -------
        Box
            Inside the domain.
        """
        kept = self.chosen(windows, indices)
        if not kept:
            return Box(self.domain.start, self.domain.start)
        first, last = (tuple(map(end, zip(*kept, strict=True))) for end in (min, max))
        around = Box(windows.window(first).start, windows.window(last).stop)
        return around.intersect(self.domain)

    def fill_in(self, values: NDArray[Any], box: Box) -> None:
        """Write the fill where nothing is wanted, in place.

        Parameters
        ----------
        values : ndarray, shape (C, *box.shape)
            As they are stored.
        box : Box
            Part of the domain.
        """
        values[:, ~self.wanted(box)] = self.fill

    def needed(self, windows: Windows, part: Box, *, within: Box | None = None) -> Marks:
        """Tell of a box of positions of a lattice which windows are needed.

        Parameters
        ----------
        windows : Windows
            The lattice.
        part : Box
            Positions on it, with one in it at least.
        within : Box, optional
            Where wanted voxels count; None is all of the domain.

        Returns
        -------
        ndarray of bool, shape ``part.shape``
        """
        last = tuple(n - 1 for n in part.stop)
        hull = Box(windows.trusted_box(part.start).start, windows.trusted_box(last).stop)  # type: ignore[arg-type]
        hull = hull.intersect(self.domain if within is None else within.intersect(self.domain))
        if not hull.size:
            return np.zeros(part.shape, bool)
        marks, edges = self._intervals(hull)
        spans = []
        for axis in range(3):
            index = np.arange(part.start[axis], part.stop[axis])
            start = windows.domain.start[axis] + index * windows.stride[axis]
            # The interval that holds the window's first voxel, and the one after its last.
            first = np.searchsorted(edges[axis], start, side="right") - 1
            stop = np.searchsorted(edges[axis], start + windows.trusted[axis], side="left")
            spans.append(np.clip(np.stack([first, stop], 1), 0, len(edges[axis]) - 1))
        z, y, x = spans
        return any_in_boxes(marks, (z, y, x))

    def _intervals(self, box: Box) -> tuple[Marks, list[NDArray[np.int64]]]:
        """Cut a box where anything changes: what is wanted there, and the cuts of each axis."""
        faces = [each.intersect(box) for each in (*self.boxes, *self.without)]
        edges, places = [], []
        for axis in range(3):
            a, b = box.start[axis], box.stop[axis]
            found = [each.along(axis, a, b) for each in self.maps]
            cuts = [a + 1 + np.diff(one).nonzero()[0] for one in found]
            ends = [end for f in faces if f.size for end in (f.start[axis], f.stop[axis])]
            edge = np.unique(np.concatenate([*cuts, np.array([a, b, *ends], np.int64)]))
            edges.append(edge)
            places.append([one[edge[:-1] - a] for one in found])
        marks = self._in_boxes(box, edges)
        for number, each in enumerate(self.maps):
            if not marks.any():
                break  # reads nothing where boxes have decided
            marks &= each.wanted(*(places[axis][number] for axis in range(3)))
        return marks, edges

    def _in_boxes(self, box: Box, edges: list[NDArray[np.int64]]) -> Marks:
        marks = np.full([len(edge) - 1 for edge in edges], not self.boxes)
        for boxes, value in ((self.boxes, True), (self.without, False)):
            for each in boxes:
                inside = each.intersect(box)
                if inside.size:
                    marks[
                        tuple(
                            slice(*np.searchsorted(edge, (start, stop)))
                            for edge, start, stop in zip(
                                edges, inside.start, inside.stop, strict=True
                            )
                        )
                    ] = value
        return marks


def _plain(boxes: tuple[Box, ...]) -> list[list[list[int]]]:
    return [[list(box.start), list(box.stop)] for box in boxes]


def _box(start: NDArray[Any], stop: NDArray[Any]) -> Box:
    return Box(tuple(start.tolist()), tuple(stop.tolist()))
