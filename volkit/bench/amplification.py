"""Read amplification: how many voxels a pass of a network fetches for each voxel of the volume.

Counts, not times: the source below serves zeros in cuboids of 512 x 512 x 16 and notes which ones
it was asked for, as the Boss service widens every request to whole cuboids.
"""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from math import prod
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from volkit.bench.harness import Case, told
from volkit.errors import SourceError
from volkit.geometry import Box, Coord, Grid, Windows
from volkit.geometry.scale import Vector
from volkit.io.cache.memory import forget_chunks
from volkit.io.cache.source import CachedSource
from volkit.io.sources import CacheOptions, Source
from volkit.ops.inference import window_halo


@dataclass(frozen=True, slots=True)
class Pass:
    """An inference pass.

    Parameters
    ----------
    shape : tuple of int
        Extent of the volume, (z, y, x), voxels of one byte.
    block_shape : tuple of int
        What is computed at once.
    window : tuple of int
        What the network sees once; windows overlap by half.
    cuboid : tuple of int
        What the source reads at least.
    cache_bytes : int
        For decoded chunks.
    """

    shape: Coord
    block_shape: Coord = (128, 256, 256)
    window: Coord = (128, 128, 128)
    cuboid: Coord = (16, 512, 512)
    cache_bytes: int = 4 * 2**30

    def shrunk(self, factor: int) -> "Pass":
        """Make everything smaller alike, so that every voxel stands for ``factor``³."""
        shape, block_shape, window, cuboid = (
            cast("Coord", tuple(n // factor for n in extent))
            for extent in (self.shape, self.block_shape, self.window, self.cuboid)
        )
        return Pass(shape, block_shape, window, cuboid, self.cache_bytes // factor**3)

    def boxes(self) -> Iterator[Box]:
        """Yield what a job reads, in its order."""
        domain = Box.from_shape(self.shape)
        z, y, x = (n // 2 for n in self.window)
        windows = Windows(domain, self.window, (z, y, x))
        grid = Grid(domain, self.block_shape, window_halo(windows, self.block_shape))
        return (grid[number].read for number in grid.morton())


@dataclass(slots=True)
class CountingSource:
    """Zeros in cuboids, which counts those that it is asked for.

    Parameters
    ----------
    shape, chunk_shape : tuple of int
        Extent of the volume and of a cuboid, (z, y, x), voxels.
    asked : list of int
        Voxels of the cuboids of each request.
    """

    shape: Coord
    chunk_shape: Coord
    asked: list[int] = field(default_factory=list)
    channels: int | None = None
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.uint8))
    voxel_size_nm: Vector = (1.0, 1.0, 1.0)
    origin_nm: Vector = (0.0, 0.0, 0.0)
    voxel_offset: Coord = (0, 0, 0)
    levels: int = 1
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def write_shape(self) -> Coord:
        """It is never written."""
        return self.chunk_shape

    @property
    def request_shape(self) -> Coord:
        """One cuboid, which the cache then keeps as it is."""
        return self.chunk_shape

    def identity(self) -> str:
        """Tell this source from any other, so that none takes what another cached."""
        return f"counting:{id(self)}"

    def read(self, box: Box) -> NDArray[Any]:
        """Count the whole cuboids of a box; its zeros take no memory until somebody writes."""
        cuboids = (
            -(-b // c) - a // c
            for a, b, c in zip(box.start, box.stop, self.chunk_shape, strict=True)
        )
        self.asked.append(prod(cuboids) * prod(self.chunk_shape))
        return np.zeros(box.shape, self.dtype)

    def write(self, box: Box, values: NDArray[Any]) -> None:
        """Refuse."""
        raise SourceError(f"a counting source cannot be written (box {box}); it holds no voxels")


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases of read amplification.

    All but the first one in full are shrunk eightfold, which changes no count: voxels fetched and
    cached shrink with the volume.
    """
    yield from of_pass(Pass((2048,) * 3).shrunk(8 if quick else 1), "8.6 Gvoxel", target=1.2)
    if not quick:
        yield from of_pass(Pass((2048, 4096, 4096)).shrunk(8), "34 Gvoxel")


def of_pass(work: Pass, size: str, *, target: float | None = None) -> Iterator[Case]:
    """Yield the cases of one pass: with a cache, and without."""
    for cached in (True, False):
        yield Case(
            f"voxels fetched / voxels, {size}, {'cache of 4 GiB' if cached else 'no cache'}",
            ours=partial(_counted, cached=cached),
            setup=partial(nullcontext, work),
            measure=told,
            unit="x",
            target=target if cached else None,
            better="lower",
        )


@cache
def _counted(work: Pass, *, cached: bool) -> float:
    """Make a pass, once for all rounds: a count is the same every time."""
    counting = CountingSource(work.shape, work.cuboid)
    source: Source = counting
    if cached:
        source = CachedSource.around(counting, CacheOptions(memory_bytes=work.cache_bytes))
    for box in work.boxes():
        source.read(box)
    forget_chunks()
    return sum(counting.asked) / prod(work.shape)
