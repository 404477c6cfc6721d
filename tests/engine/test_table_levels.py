"""Levels of tables: what blocks read for the lowest one is what its Reduction says, anywhere."""

from pathlib import Path

import dask
import numpy as np
import pytest

from volkit.bench.in_memory import InMemory
from volkit.engine.job import JobEngine
from volkit.engine.op import Reduction
from volkit.engine.table_levels import EagerLevels, GraphLevels
from volkit.engine.table_levels_job import StoredLevels
from volkit.engine.tree import read_part
from volkit.geometry import Grid
from volkit.io.open import open_volume

VOLUME = open_volume(np.zeros((6, 7, 8), np.uint8))
GRID = Grid(VOLUME.domain, (4, 4, 4))


def shapes(block, first, second):
    return {"first": np.array(first.shape), "second": np.array(second.shape)}


def alone(tables):
    (table,) = tables
    return table


@pytest.mark.parametrize("engine", ["graph", "eager", "stored"])
def test_blocks_read_what_their_reduction_says(engine: str, tmp_path: Path) -> None:
    reduction = Reduction(shapes, alone, halo=(1, 1, 1), before=True, alone=(1,))
    levels = {
        "graph": GraphLevels("x"),
        "eager": EagerLevels(InMemory(), "x"),
        "stored": StoredLevels(JobEngine(tmp_path), "x"),
    }[engine]
    made = levels.blocks(reduction, VOLUME, VOLUME, grid=GRID)
    if engine == "graph":
        made = dask.compute(*made, scheduler="sync")
    elif engine == "stored":
        made = [read_part(made.task, n) for n in range(len(GRID))]
    blocks = [GRID.with_halo((1, 1, 1))[n] for n in range(len(GRID))]
    assert [tuple(table["second"]) for table in made] == [block.write.shape for block in blocks]
    assert [tuple(table["first"]) for table in made] == [
        tuple(n + (start > 0) for n, start in zip(b.write.shape, b.write.start, strict=True))
        for b in blocks
    ]
