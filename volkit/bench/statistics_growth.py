"""Statistics of growing volumes: time for a voxel, and memory of a worker."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from volkit.bench.growth import Work, growth_cases
from volkit.bench.harness import Case
from volkit.bench.tissue import noise
from volkit.engine.job import JobEngine
from volkit.geometry import Grid
from volkit.io.volume import Volume
from volkit.ops.statistics import Tables, tissue_tables
from volkit.ops.statistics_cells import class_components

_CLASSES = (1, 2, 3)
_CELLS = 3
_PARTITION = 2  # blocks along an axis


def cases(*, quick: bool) -> Iterator[Case]:
    """Yield the cases."""
    sizes, block = ((64, 128), 32) if quick else ((512, 1024), 128)
    works: tuple[tuple[str, Work], ...] = (("gridded features", _gridded), ("object table", _cells))
    for what, work in works:
        yield from growth_cases(what, work, _tissue, sizes=sizes, block=block)


def _tissue(size: int) -> NDArray[np.uint8]:
    """Make blobs of three classes; the third fills a tenth, too little to join all over."""
    field = noise(size, sigma=2)
    return np.digitize(field, np.quantile(field[::4, ::4, ::4], [0.7, 0.8, 0.9])).astype(np.uint8)


def _gridded(classes: Volume, grid: Grid, engine: JobEngine) -> None:
    """Count classes, their surface and length in bins as large as blocks."""
    tables = Tables(grid.block_shape, shapes=_CLASSES)
    tissue_tables({"classes": classes}, tables, grid=grid, engine=engine)


def _cells(classes: Volume, grid: Grid, engine: JobEngine) -> None:
    """Tell cells apart in the whole volume, then make their rows, partition by partition."""
    cells = class_components(classes, [_CELLS], grid=grid, engine=engine)
    z, y, x = (_PARTITION * n for n in grid.block_shape)
    for part in Grid(grid.domain, (z, y, x)):
        tissue_tables(
            {"cells": cells},
            Tables(grid.block_shape),
            grid=Grid(part.write, grid.block_shape),
            engine=engine,
            name=f"cells_{part.number}",
        )
