"""Empty cells: a small map of the image that says where it holds something.

The map is a stage of its own, one voxel for each cell: computed once, block by block, resumable,
and read instead of the image by whoever asks.  Each cell is looked at as a whole.  At the domain's
far faces it may be cut; what is said of the differences in it then counts the voxels before it
too, up to the extent of a whole cell, since few voxels are alike by chance.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from volkit.engine.op import Op
from volkit.errors import ConfigError
from volkit.geometry import Block, Box, Coord, Grid
from volkit.io.volume import Volume
from volkit.kernels.emptiness import Spans, Statistic, empty_boxes
from volkit.ops.arguments import Call
from volkit.ops.coarse_map import Lookup
from volkit.ops.skip_options import EmptyOptions

Array = NDArray[Any]
STAGE = "wanted"


@dataclass(frozen=True, slots=True)
class CellReader:
    """The image as cells see it.

    Parameters
    ----------
    image : Volume
        At the level that is looked at.
    lookup : Lookup
        From the domain's voxels to those of ``image``.
    domain : Box
        Which the cells divide; cell 0 begins where it does.
    cell_shape : tuple of int
        Voxels of the domain.
    """

    image: Volume
    lookup: Lookup
    domain: Box
    cell_shape: Coord

    @property
    def facts(self) -> dict[str, Any]:
        """What decides what cells see, as JSON."""
        return {
            "image": self.image.identity,
            "region": None if self.image.region is None else str(self.image.region),
            "lookup": self.lookup.facts,
            "domain": [list(self.domain.start), list(self.domain.stop)],
            "cell_shape": list(self.cell_shape),
        }

    def read(self, cells: Box, *, whole: bool) -> tuple[Array, Spans]:
        """Read what some cells see.

        Parameters
        ----------
        cells : Box
            Positions of cells.
        whole : bool
            Whether cells that are cut look back.

        Returns
        -------
        values : ndarray, shape ([C,] Z, Y, X)
            Voxels of the image.
        spans : tuple of ndarray of int64, each of shape (N, 2)
            Those of each cell, on every axis: all that hold the centre of one of its voxels.
        """
        spans: list[NDArray[np.int64]] = []
        for axis, n in enumerate(self.cell_shape):
            begin, end = self.domain.start[axis], self.domain.stop[axis]
            ranges = _ranges(np.arange(cells.start[axis], cells.stop[axis]), n, end - begin, whole)
            first, last = begin + ranges[:, 0], begin + ranges[:, 1] - 1
            found = self.lookup.along(axis, int(first.min()), int(last[-1]) + 1)
            there = self.image.domain
            # Coarse levels may drop a remainder at the far faces: the last voxel stands for it.
            found = np.clip(found, there.start[axis], there.stop[axis] - 1)
            first, last = first - first.min(), last - first.min()
            spans.append(np.stack([found[first], found[last] + 1], 1))
        start, stop = [int(s[:, 0].min()) for s in spans], [int(s[-1, 1]) for s in spans]
        values = self.image.read(Box(tuple(start), tuple(stop)))  # type: ignore[arg-type]
        z, y, x = (s - a for s, a in zip(spans, start, strict=True))
        return values, (z, y, x)


def full_cells(call: Call, options: EmptyOptions, cell_shape: Coord) -> Any:
    """Map the cells of the domain that hold something.

    Parameters
    ----------
    call : Call
        Whose first input is the image.
    options : EmptyOptions
        What counts as empty.
    cell_shape : tuple of int
        Extent of a cell, voxels.

    Returns
    -------
    Volume or dask array of uint8, shape of the lattice of cells
        1 where a cell holds something, 0 where it is empty.

    Raises
    ------
    ConfigError
        If the image has no such level, or that is finer than what the network sees, or a cell is a
        single voxel there.
    """
    image, domain = call.inputs[0], call.grid.domain
    params = {
        "statistic": options.statistic,
        "threshold": options.threshold,
        "value": options.value,
    }
    if not isinstance(image, Volume):
        return _of_dask(image, call, options, cell_shape, params)
    seen = _at_level(image, options.level)
    lookup = Lookup.between(image.scale, seen.scale)
    _check_cells(options, cell_shape, lookup)
    reader = CellReader(seen, lookup, domain, cell_shape)
    work = Op(_full_block, dtype=np.uint8, params=params)
    counts = Box.from_shape([-(-n // c) for n, c in zip(domain.shape, cell_shape, strict=True)])
    grid = Grid(counts, _cells_together(call.grid.block_shape, cell_shape, lookup))
    return call.engine.map(work, grid=grid, name=STAGE, shared=(reader,))


def _full_block(
    block: Block, reader: CellReader, *, statistic: Statistic, threshold: float, value: float
) -> NDArray[np.uint8]:
    values, spans = reader.read(block.write, whole=statistic != "value")
    empty = empty_boxes(values, spans, statistic=statistic, threshold=threshold, value=value)
    return (~empty).astype(np.uint8)


def _at_level(image: Volume, level: int | None) -> Volume:
    if level is None or level == image.level:
        return image
    if not image.level < level < image.levels:
        raise ConfigError(
            f"empty cells are to be found at level {level} of {image.uri}, which has "
            f"{image.levels} levels, and is seen at level {image.level}; choose a coarser one "
            "that is there, or none"
        )
    return replace(image, level=level, region=None)


def _check_cells(options: EmptyOptions, cell_shape: Coord, lookup: Lookup) -> None:
    seen = [max(1, int(n * slope)) for n, slope in zip(cell_shape, lookup.slope, strict=True)]
    if options.statistic != "value" and prod(seen) < 2:
        raise ConfigError(
            f"a cell of {cell_shape} is a single voxel where it is looked at, which is never "
            "different from itself; choose a larger cell_shape, or a finer level"
        )


def _ranges(index: NDArray[Any], cell: int, extent: int, whole: bool) -> NDArray[np.int64]:
    """Find the voxels of cells on one axis, counted from the domain's start."""
    stop = np.minimum((index + 1) * cell, extent)
    first = np.maximum(0, stop - cell) if whole else index * cell
    return np.stack([first, stop], 1).astype(np.int64)


def _cells_together(block_shape: Coord, cell_shape: Coord, lookup: Lookup) -> Coord:
    """Let a task read about as many voxels as a block has, whatever the level."""
    z, y, x = (
        max(1, int(block / (slope * cell)))
        for block, cell, slope in zip(block_shape, cell_shape, lookup.slope, strict=True)
    )
    return z, y, x


def _of_dask(
    image: da.Array, call: Call, options: EmptyOptions, cell_shape: Coord, params: dict[str, Any]
) -> da.Array:
    """Do the same in the graph: chunks of whole cells, from the chunks that are there."""
    if options.level is not None:
        raise ConfigError(
            f"empty cells are to be found at level {options.level}, and a dask array has none; "
            "leave level out, or pass a Volume"
        )
    _check_cells(options, cell_shape, Lookup.cells((0, 0, 0), (1, 1, 1)))
    chunks = tuple(
        _whole_chunks(n, max(1, block // cell) * cell, cell)
        for n, block, cell in zip(image.shape[-3:], call.grid.block_shape, cell_shape, strict=True)
    )
    whole = image.rechunk((*(-1,) * (image.ndim - 3), *chunks))
    return da.map_blocks(
        partial(_full_chunk, cell_shape=cell_shape, **params),
        whole,
        dtype=np.uint8,
        drop_axis=[0] if image.ndim == 4 else None,
        chunks=tuple(
            tuple(-(-n // cell) for n in axis)
            for axis, cell in zip(whole.chunks[-3:], cell_shape, strict=True)
        ),
        meta=np.empty((0, 0, 0), np.uint8),
    )


def _whole_chunks(extent: int, chunk: int, cell: int) -> tuple[int, ...]:
    """Cut an axis into chunks of whole cells; the last one keeps what a cut cell looks back at."""
    chunks = [min(chunk, extent - start) for start in range(0, extent, chunk)]
    if len(chunks) > 1 and chunks[-1] < cell:
        chunks[-2:] = [chunks[-2] + chunks[-1]]
    return tuple(chunks)


def _full_chunk(values: Array, *, cell_shape: Coord, **params: Any) -> NDArray[np.uint8]:
    whole = params["statistic"] != "value"
    z, y, x = (
        _ranges(np.arange(-(-n // cell)), cell, n, whole)
        for n, cell in zip(values.shape[-3:], cell_shape, strict=True)
    )
    return (~empty_boxes(values, (z, y, x), **params)).astype(np.uint8)
