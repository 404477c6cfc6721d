"""Lattices: the chunks of a source, and what is fetched of them at once."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from volkit.geometry import Box, Coord
from volkit.io.sources import Source, chunk_start

if TYPE_CHECKING:
    from volkit.io.volume import Volume

# A request this large takes much longer to answer than to ask, and eight of them fit into memory.
REQUEST_BYTES = 16 * 2**20
MOST_REQUEST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Lattice:
    """Equal cells, of which those at the faces of the volume may reach over them.

    Parameters
    ----------
    start : tuple of int
        First voxel of cell (0, 0, 0), array coordinates; 0 or less.
    cell : tuple of int
        Extent of a cell.
    shape : tuple of int
        Extent of the volume.

    Examples
    --------
    >>> lattice = Lattice((-3, 0, 0), (8, 16, 16), (20, 16, 40))
    >>> [str(lattice.box(i)) for i in lattice.indices(Box((0, 0, 0), (6, 1, 1)))]
    ['[0:5, 0:16, 0:16]', '[5:13, 0:16, 0:16]']
    """

    start: Coord
    cell: Coord
    shape: Coord

    def cells(self, box: Box) -> Box:
        """Find the cells that a box meets, as a box of indices."""
        return Box(
            _each(lambda a, s, n: (a - s) // n, box.start, self.start, self.cell),
            _each(lambda b, s, n: -(-(b - s) // n), box.stop, self.start, self.cell),
        )

    def indices(self, box: Box) -> Iterator[Coord]:
        """Iterate the cells that a box meets."""
        cells = self.cells(box)
        return cast("Iterator[Coord]", product(*map(range, cells.start, cells.stop)))

    def first(self, index: Coord) -> Coord:
        """Find the first voxel of a cell, inside the volume."""
        (a, b, c), (m, n, o), (i, j, k) = self.start, self.cell, index
        return max(a + i * m, 0), max(b + j * n, 0), max(c + k * o, 0)

    def box(self, index: Coord) -> Box:
        """Find the voxels of a cell, inside the volume."""
        return self.span(Box.from_shape((1, 1, 1), index))

    def span(self, cells: Box) -> Box:
        """Find the voxels of several cells, inside the volume."""
        whole = Box(
            _each(lambda i, s, n: s + i * n, cells.start, self.start, self.cell),
            _each(lambda i, s, n: s + i * n, cells.stop, self.start, self.cell),
        )
        return whole.intersect(Box.from_shape(self.shape))


def chunk_lattice(source: Source) -> Lattice:
    """Give the chunks of a source."""
    return Lattice(chunk_start(source), source.chunk_shape, source.shape)


def request_lattice(source: Source) -> Lattice:
    """Give what is well fetched at once: whole chunks, on multiples that do not move.

    A source may state its ``request_shape``, whole chunks; else it is about 16 MiB, in whole
    shards where these are not larger.
    """
    chunk, shard, first = source.chunk_shape, source.write_shape, chunk_start(source)
    voxel = source.dtype.itemsize * (source.channels or 1)
    stated: Coord | None = getattr(source, "request_shape", None)
    whole = all(s % c == 0 for s, c in zip(shard, chunk, strict=True))
    unit = shard if whole and prod(shard) * voxel <= REQUEST_BYTES else chunk
    shape = stated or _grown(unit, source.shape, REQUEST_BYTES // voxel)
    while prod(shape) * voxel > MOST_REQUEST_BYTES and shape[0] >= 2 * chunk[0]:
        shape = (shape[0] // chunk[0] // 2 * chunk[0], shape[1], shape[2])
    start = _each(
        # Where chunks lie on absolute multiples, so do requests.
        lambda f, o, n, r: f if (f + o) % n else -(o % r),
        *(first, source.voxel_offset, chunk, shape),
    )
    return Lattice(start, shape, source.shape)


def volume_lattices(volume: "Volume") -> tuple[Lattice, Lattice, Coord]:
    """Give the chunks and the requests of a volume, and the offset of its array coordinates."""
    source = volume._source
    return chunk_lattice(source), request_lattice(source), source.voxel_offset


def chunks_met(
    chunks: Lattice, starts: NDArray[Any], stops: NDArray[Any], *, held: Box
) -> list[Box]:
    """Find what has to be read so that many small boxes are known, each chunk at most once.

    Parameters
    ----------
    chunks : Lattice
        Of the source.
    starts, stops : ndarray of int, shape (N, 3)
        The boxes, array coordinates; none is empty.
    held : Box
        What is known already.

    Returns
    -------
    list of Box
        Array coordinates; they share no chunk, reach nowhere beyond all boxes together, and none
        lies inside ``held``.

    Examples
    --------
    >>> chunks = Lattice((0, 0, 0), (4, 8, 8), (64, 8, 80))
    >>> starts, stops = np.array([[2, 0, 15], [3, 0, 60]]), np.array([[4, 8, 17], [5, 8, 61]])
    >>> [str(box) for box in chunks_met(chunks, starts, stops, held=Box((0, 0, 0), (4, 8, 16)))]
    ['[2:4, 0:8, 16:24]', '[2:5, 0:8, 56:61]']
    """
    if not len(starts):
        return []
    around = Box(_ints(starts.min(axis=0)), _ints(stops.max(axis=0)))
    first, last = ((ends - chunks.start) // chunks.cell for ends in (starts, stops - 1))
    low = first.min(axis=0)
    met = np.zeros(last.max(axis=0) + 1 - low, np.bool_)
    # Thousands of boxes meet the same few chunks.
    for a, b, c, d, e, f in np.unique(np.hstack([first - low, last + 1 - low]), axis=0).tolist():
        met[a:d, b:e, c:f] = True
    index = np.argwhere(met) + low
    begins = np.maximum(index * chunks.cell + chunks.start, around.start)
    ends = np.minimum((index + 1) * chunks.cell + chunks.start, around.stop)
    new = ((begins < held.start) | (ends > held.stop)).any(axis=1)
    wanted = [_ints(each) for each in index[new]]
    whole = _each(lambda s, n: n - s, chunks.start, chunks.shape)
    together = merged(wanted, chunks, Lattice(chunks.start, whole, chunks.shape))
    return [chunks.span(cells).intersect(around) for cells in together]


def merged(indices: Iterable[Coord], chunks: Lattice, requests: Lattice) -> list[Box]:
    """Put chunks together that one request can fetch.

    Parameters
    ----------
    indices : iterable of tuple of int
        Chunks that are wanted.
    chunks, requests : Lattice
        Of the source.

    Returns
    -------
    list of Box
        Of indices of chunks; every wanted chunk is in one of them, and no other is.

    Examples
    --------
    >>> chunks, requests = (Lattice((0, 0, 0), (n, 8, 8), (64, 8, 8)) for n in (4, 16))
    >>> [str(b) for b in merged([(1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, 0)], chunks, requests)]
    ['[1:4, 0:1, 0:1]', '[4:5, 0:1, 0:1]']
    """
    together: dict[Coord, list[Box]] = defaultdict(list)
    lattices = (chunks.start, chunks.cell, requests.start, requests.cell)
    for index in indices:
        request = _each(lambda i, s, n, first, m: (s + i * n - first) // m, index, *lattices)
        together[request].append(Box.from_shape((1, 1, 1), index))
    found = []
    for boxes in together.values():
        for axis in (2, 1, 0):
            boxes = _joined(boxes, axis)
        found += boxes
    return found


def _joined(boxes: list[Box], axis: int) -> list[Box]:
    """Join boxes that follow each other on an axis and are alike on the others."""
    lines: dict[tuple[int, ...], list[Box]] = defaultdict(list)
    a, b = (other for other in range(3) if other != axis)
    for box in boxes:
        lines[box.start[a], box.stop[a], box.start[b], box.stop[b]].append(box)
    joined = []
    for _, line in sorted(lines.items()):
        line.sort(key=lambda box: box.start[axis])
        begins = [n for n, box in enumerate(line) if line[n - 1].stop[axis] != box.start[axis]]
        for n, end in pairwise([*begins, len(line)]):
            joined.append(line[n] if end - n == 1 else Box(line[n].start, line[end - 1].stop))
    return joined


def _grown(chunk: Coord, shape: Coord, voxels: int) -> Coord:
    """Double a chunk along its thinnest axis that the volume goes on along."""
    grown = list(chunk)
    while True:
        open_axes = [a for a in range(3) if grown[a] < shape[a]]
        if not open_axes or 2 * prod(grown) > voxels:
            return cast("Coord", tuple(grown))
        thinnest = min(open_axes, key=lambda a: grown[a])
        grown[thinnest] *= 2


def _ints(values: NDArray[Any]) -> Coord:
    z, y, x = values.tolist()
    return z, y, x


def _each(rule: Callable[..., int], *coords: Coord) -> Coord:
    z, y, x = (rule(*values) for values in zip(*coords, strict=True))
    return z, y, x
