"""Plans of mirrors: blocks, requests, and how the copy is stored."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import cast

from volkit.geometry import Box, Coord, Grid, coord
from volkit.io.cache.lattice import Lattice, volume_lattices
from volkit.io.uris import split_scheme
from volkit.io.volume import Volume

_BLOCK_BYTES = 64 * 2**20  # several requests at once, and little for a worker
_CHUNK = 64  # voxels: what viewers and readers of small boxes like best
_PLAIN = 128**3  # blocks up to this size are one chunk each; shards would only add an index


@dataclass(frozen=True, slots=True)
class MirrorPlan:
    """What a mirror will fetch and store.

    Parameters
    ----------
    grid : Grid
        Blocks; each is whole stored objects of the copy.
    chunks, requests : Lattice
        Of the source, array coordinates.
    offset : tuple of int
        Volume coordinates of the first voxel of the array.
    chunk_shape : tuple of int
        Unit of compression of the copy.
    shard_shape : tuple of int or None
        Unit of writing of the copy; None where the chunk is.
    voxel_bytes : int
        Of a voxel, all channels.
    """

    grid: Grid
    chunks: Lattice
    requests: Lattice
    offset: Coord
    chunk_shape: Coord
    shard_shape: Coord | None
    voxel_bytes: int

    @property
    def bytes(self) -> int:
        """Bytes of the copy, not compressed."""
        return self.grid.domain.size * self.voxel_bytes

    @property
    def block_bytes(self) -> int:
        """Bytes of a block in the middle."""
        shape = zip(self.grid.block_shape, self.grid.domain.shape, strict=True)
        return prod(min(b, n) for b, n in shape) * self.voxel_bytes

    def pieces(self, box: Box) -> Iterator[Box]:
        """Divide a box, volume coordinates, into what is asked for at once."""
        inside = self._in_array(box)
        for index in self.requests.indices(inside):
            yield self.requests.box(index).intersect(inside).shift(self.offset)

    def is_cut(self, piece: Box) -> bool:
        """Tell whether another block needs a chunk of this piece, too."""
        chunks = self.chunks.span(self.chunks.cells(self._in_array(piece)))
        return chunks.shift(self.offset).intersect(self.grid.domain) != piece

    def request_count(self) -> int:
        """Count the pieces of all blocks."""
        return self._counted(self.requests)

    def chunks_per_chunk(self) -> float:
        """Say how often a chunk of the source is needed: 1 where no block cuts one."""
        met = self.chunks.cells(self._in_array(self.grid.domain)).size
        return self._counted(self.chunks) / met

    def _counted(self, lattice: Lattice) -> int:
        """Add up the cells that blocks meet: axis by axis, so that a petavoxel costs little."""
        total = 1
        domain = self._in_array(self.grid.domain)
        for axis, block in enumerate(self.grid.block_shape):
            first, n = lattice.start[axis], lattice.cell[axis]
            start, end = domain.start[axis] - first, domain.stop[axis] - first
            total *= sum(-(-min(a + block, end) // n) - a // n for a in range(start, end, block))
        return total

    def _in_array(self, box: Box) -> Box:
        return box.shift(cast("Coord", tuple(-n for n in self.offset)))


def plan_mirror(source: Volume, target: str, *, block_shape: Coord | None = None) -> MirrorPlan:
    """Plan a mirror.

    Blocks are whole requests of the source where its chunks and the domain lie so; where they do
    not, blocks are longest along the axes on which they cut chunks.

    Parameters
    ----------
    source : Volume
        What is copied.
    target : str
        URI of the copy.
    block_shape : tuple of int or None
        Extent of a block; None chooses about 64 MiB.

    Returns
    -------
    MirrorPlan

    Raises
    ------
    GeometryError
        If there can be no such blocks.

    Examples
    --------
    >>> import numpy as np
    >>> from volkit.io import open_volume
    >>> volume = open_volume(np.zeros((200, 300, 300), np.uint8))
    >>> plan = plan_mirror(volume, "copy.zarr", block_shape=(64, 128, 128))
    >>> len(plan.grid), plan.chunk_shape, plan.shard_shape
    (36, (64, 128, 128), None)
    """
    chunks, requests, offset = volume_lattices(source)
    voxel = source.dtype.itemsize * (source.channels or 1)
    if block_shape is None:
        inside = source.domain.shift(cast("Coord", tuple(-n for n in offset)))
        block = chosen_block(inside, requests, voxel)
    else:
        block = coord(block_shape, name="block_shape")
    grid = Grid(source.domain, block)
    chunk, shard = _storage(grid, target)
    return MirrorPlan(grid, chunks, requests, offset, chunk, shard, voxel)


def chosen_block(domain: Box, requests: Lattice, voxel_bytes: int) -> Coord:
    """Put whole requests together to about 64 MiB.

    Parameters
    ----------
    domain : Box
        What is copied, array coordinates.
    requests : Lattice
        Of the source.
    voxel_bytes : int
        Of a voxel, all channels.

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> cuboids = Lattice((0, 0, 0), (64, 512, 512), (2000, 9000, 9000))
    >>> chosen_block(Box((0, 0, 0), (2000, 9000, 9000)), cuboids, 1)
    (64, 1024, 1024)
    """
    shape = domain.shape
    cut = [
        (a - s) % n != 0
        for a, s, n in zip(domain.start, requests.start, requests.cell, strict=True)
    ]
    met = requests.cells(domain).shape
    # What lies in one request on an axis is one block there, whatever its phase.
    block = [n if k == 1 else min(c, n) for n, k, c in zip(shape, met, requests.cell, strict=True)]
    while True:
        room = [a for a in range(3) if block[a] < shape[a]]
        fitting = [a for a in room if 2 * prod(block) * voxel_bytes <= _BLOCK_BYTES]
        if not fitting:
            return coord(block)
        axis = min(fitting, key=lambda a: (not cut[a], block[a] / requests.cell[a], -a))
        block[axis] = min(2 * block[axis], shape[axis])


def _storage(grid: Grid, target: str) -> tuple[Coord, Coord | None]:
    """Choose chunks and shards of the copy, so that a block is whole stored objects."""
    block = [min(b, n) for b, n in zip(grid.block_shape, grid.domain.shape, strict=True)]
    precomputed = split_scheme(target)[0] == "precomputed"
    if not precomputed and prod(block) <= _PLAIN:
        return coord(block), None
    both = [_cut(b, n) for b, n in zip(block, grid.domain.shape, strict=True)]
    chunk, shard = coord([c for c, _ in both]), coord([s for _, s in both])
    if precomputed or chunk == shard:
        return chunk, None
    return chunk, shard


def _cut(block: int, extent: int) -> tuple[int, int]:
    """Choose the chunk and the shard along an axis.

    Examples
    --------
    >>> _cut(512, 2000), _cut(100, 2000), _cut(361, 361), _cut(37, 2000)
    ((64, 512), (50, 100), (64, 384), (37, 37))
    """
    if block <= _CHUNK:
        return block, block
    if block == extent:  # the only one on the axis may hold a chunk that is not full
        return _CHUNK, -(-block // _CHUNK) * _CHUNK
    best = max(d for d in range(1, _CHUNK + 1) if block % d == 0)
    return (best if best >= _CHUNK // 4 else block), block
