"""The job of a trial: three stages of small blocks that write down when they are computed.

The folder of the trial comes with the variable ``VOLKIT_CHAOS``, so that it is no part of the
computation.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.engine.job import JobEngine
from volkit.engine.op import Columns, Op, Reduction
from volkit.geometry import Block, Box, Grid
from volkit.io.open import create_volume, open_volume
from volkit.testing.blocks import add_counts, count_values, neighbour_sum

Array = NDArray[Any]
VARIABLE = "VOLKIT_CHAOS"
LOG, POISON, HOG = "blocks.log", "poison", "hog"
STAGES = ("sums", "counts", "ranks")
GRID = Grid(Box.from_shape((16, 16, 16)), (4, 4, 4))

_BLOCK_SECONDS = 0.02  # so that a run lasts long enough to be hit in the middle
_HOG_BYTES = 3 * 2**30


def make_input(folder: Path) -> None:
    """Store what the job reads."""
    values = np.random.default_rng(11).integers(0, 9, GRID.domain.shape)
    volume = create_volume(folder / "raw.zarr", shape=GRID.domain.shape, dtype=np.int64)
    volume.write(volume.domain, values)


def compute(engine: JobEngine, folder: Path) -> None:
    """Do the three stages: a map, a table, and a map that needs both."""
    raw = open_volume(folder / "raw.zarr")
    sums = engine.map(Op(_sums, dtype=np.int64, halo=(1, 1, 1)), raw, grid=GRID, name=STAGES[0])
    table = engine.reduce(Reduction(_counts, add_counts), sums, grid=GRID, name=STAGES[1])
    ranks = Op(_ranks, dtype=np.int64, halo=(0, 1, 1))
    engine.map(ranks, sums, grid=GRID, name=STAGES[2], shared=(table,))


def _sums(block: Block, values: Array) -> NDArray[np.int64]:
    _note(STAGES[0], block.number)
    return neighbour_sum(block, values)


def _counts(block: Block, values: Array) -> Columns:
    _note(STAGES[1], block.number)
    return count_values(block, values)


def _ranks(block: Block, values: Array, table: Columns) -> NDArray[np.int64]:
    _note(STAGES[2], block.number)
    return table["count"][np.searchsorted(table["value"], values)]


def _note(stage: str, number: int) -> None:
    """Write down that a block is computed, and fail where the trial says so."""
    folder = Path(os.environ[VARIABLE])
    line = f"{stage} {number} {time.time():.3f} {os.getpid()}\n"
    log = os.open(folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, line.encode())  # in one piece, though several write
    os.close(log)
    time.sleep(_BLOCK_SECONDS)
    if (folder / POISON).exists() and (folder / POISON).read_text() == f"{stage} {number}":
        raise RuntimeError("this block is poisoned")
    if (folder / HOG).exists():
        _take_memory(folder)


def _take_memory(folder: Path) -> None:
    """Take more memory than a worker may, once."""
    try:
        (folder / HOG).rename(folder / f"{HOG}.used")
    except FileNotFoundError:
        return  # another one did
    taken = np.ones(_HOG_BYTES, np.uint8)
    time.sleep(30)
    del taken
