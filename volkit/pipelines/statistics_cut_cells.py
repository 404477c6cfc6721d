"""Statistics, the cells that partitions cut: each is given once, whole, after its last part.

A cell inside a partition is finished with it.  Cells at inner faces wait, by the partition that may
hold their last part, so that a partition costs what it holds, however much waits.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from volkit.engine.op import Columns
from volkit.geometry import Box
from volkit.kernels.keyed_sums import add_keyed
from volkit.kernels.object_table import STARTS, STOPS, add_objects
from volkit.ops.statistics import table_of

Part = tuple[Columns, Columns | None]


def finished(
    parts: Iterable[tuple[Box, Columns]], domain: Box
) -> Iterator[tuple[str, Columns, Columns | None]]:
    """Give, with each partition, the cells that end there: none of them goes on in a later one.

    Parameters
    ----------
    parts : iterable of (Box, dict of ndarray)
        Tables of all partitions of a grid, in C order.
    domain : Box
        The whole.

    Yields
    ------
    name : str
        Of a file.
    objects : dict of ndarray
        Sums of cells.
    overlap : dict of ndarray or None
        Voxels of the same cells in every region.
    """
    waiting: _Waiting | None = None
    for number, (box, columns) in enumerate(parts):
        waiting = waiting or _Waiting(domain, box.shape)
        objects = table_of(columns, "objects")
        overlap = table_of(columns, "overlap") if "overlap.id" in columns else None
        on = _goes_on(objects, box, domain)
        if on.any():
            waiting.add(_chosen(objects, overlap, on))
        ended = waiting.ended(number)
        own = _chosen(objects, overlap, ~on)
        yield f"part-{number:05d}.parquet", *(_joined([own, *ended]) if ended else own)


class _Waiting:
    """Parts of cells, by the number of the partition at which to look whether these are whole."""

    def __init__(self, domain: Box, partition: tuple[int, int, int]) -> None:
        self._domain, self._partition = domain, partition
        self._across = [-(-n // p) for n, p in zip(domain.shape, partition, strict=True)]
        self._parts: dict[int, list[Part]] = defaultdict(list)
        self._last: dict[int, int] = {}  # by id: a later part may show that a cell goes on further

    def add(self, part: Part) -> None:
        """Let cells of a partition wait."""
        dues, last = self._due(part[0]), self._last
        for id_, due in zip(part[0]["id"].tolist(), dues.tolist(), strict=True):
            if last.get(id_, -1) < due:
                last[id_] = due
        self._put(part, dues)

    def ended(self, number: int) -> list[Part]:
        """Take out the cells of which every part was seen, once a partition was."""
        found = []
        for part in self._parts.pop(number, ()):
            ids = part[0]["id"].tolist()
            dues = np.array([self._last[id_] for id_ in ids])
            if (whole := dues == number).any():
                found.append(_chosen(*part, whole))
            if not whole.all():
                self._put(_chosen(*part, ~whole), dues[~whole])
        for objects, _ in found:
            for id_ in objects["id"].tolist():
                self._last.pop(id_, None)  # two parts of a cell name it twice
        return found

    def _put(self, part: Part, dues: NDArray[np.int64]) -> None:
        for due in np.unique(dues).tolist():
            self._parts[due].append(_chosen(*part, dues == due))

    def _due(self, objects: Columns) -> NDArray[np.int64]:
        """Find the last partition that boxes, and the voxels around them, lie in."""
        number = np.zeros(len(objects["id"]), np.int64)
        for axis, across in enumerate(self._across):
            around = np.minimum(objects[STOPS[axis]], self._domain.stop[axis] - 1)
            number *= across
            number += (around - self._domain.start[axis]) // self._partition[axis]
        return number


def _joined(parts: Sequence[Part]) -> Part:
    overlaps = [table for _, table in parts if table is not None]
    joined = add_keyed(overlaps, keys=("id", "region")) if overlaps else None
    return add_objects([table for table, _ in parts]), joined


def _goes_on(objects: Columns, box: Box, domain: Box) -> NDArray[np.bool_]:
    """Tell which cells reach a face of the partition that lies inside the domain."""
    found = np.zeros(len(objects["id"]), bool)
    for axis in range(3):
        if box.start[axis] > domain.start[axis]:
            found |= objects[STARTS[axis]] == box.start[axis]
        if box.stop[axis] < domain.stop[axis]:
            found |= objects[STOPS[axis]] == box.stop[axis]
    return found


def _chosen(objects: Columns, overlap: Columns | None, rows: NDArray[np.bool_]) -> Part:
    part = {name: column[rows] for name, column in objects.items()}
    if overlap is None:
        return part, None
    mine = np.isin(overlap["id"], part["id"])
    return part, {name: column[mine] for name, column in overlap.items()}
