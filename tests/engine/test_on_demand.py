"""Inputs on demand: both engines give what a halo would have given, and read what is asked for."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.engine.on_demand import OnDemand
from volkit.engine.op import Columns, Reduction
from volkit.engine.usage_note import read_usage
from volkit.geometry import Block, Box, Coord, Grid
from volkit.io.open import create_volume
from volkit.io.place import Place
from volkit.io.volume import Volume

START = (3, -2, 5)
VALUES = np.random.default_rng(7).integers(1, 200, (2, 12, 13, 14)).astype(np.uint16)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    made = create_volume(
        str(tmp_path / "values.zarr"),
        shape=VALUES.shape[1:],
        channels=2,
        dtype=VALUES.dtype,
        chunk_shape=(4, 5, 3),
        start=START,
        voxel_size_nm=(1.0, 1.0, 1.0),
    )
    made.write(made.domain, VALUES)
    return made


def sums(block: Block, given: Any) -> Columns:
    """Add up the block with its halo, which is asked for where it was not handed over."""
    seen = given
    if isinstance(given, OnDemand):
        box = block.read
        parts = given.beyond(np.array([box.start]), np.array([box.stop]))
        seen = np.stack([given.joined(box, parts, channel=n) for n in (0, 1)])
    return {"sum": seen.sum(axis=(1, 2, 3), dtype=np.int64)}


def own_sums(block: Block, given: OnDemand) -> Columns:
    """Add up the block alone, and ask for nothing."""
    inside = given.values[(..., *block.write.relative_to(given.held).slices)]
    return {"sum": inside.sum(axis=(1, 2, 3), dtype=np.int64)}


def added(tables: Any) -> Columns:
    return {"sum": np.sum([table["sum"] for table in tables], axis=0)}


HALO = (2, 1, 3)
WHOLE = Reduction(sums, added, halo=HALO)
ASKED = Reduction(sums, added, halo=HALO, on_demand=True)
ALONE = Reduction(own_sums, added, halo=HALO, on_demand=True)


@pytest.mark.parametrize("block_shape", [(4, 5, 3), (5, 6, 4), (12, 13, 5)])
def test_what_is_asked_for_is_the_halo(volume: Volume, tmp_path: Path, block_shape: Coord) -> None:
    grid = Grid(volume.domain, block_shape)
    expected = sum(
        VALUES[(..., *block.read.relative_to(volume.domain).slices)].sum(
            axis=(1, 2, 3), dtype=np.int64
        )
        for block in grid.with_halo(HALO)
    )
    lazy = LazyEngine()
    for number, reduction in enumerate((WHOLE, ASKED)):
        job = JobEngine(tmp_path / str(number)).reduce(reduction, volume, grid=grid, name="sums")
        np.testing.assert_array_equal(job["sum"], expected)
        told = lazy.reduce(reduction, volume, grid=grid, name="sums")
        np.testing.assert_array_equal(told.compute(scheduler="sync")["sum"], expected)


def test_a_dask_array_has_its_halo_at_hand() -> None:
    grid = Grid(Box.from_shape(VALUES.shape[1:]), (4, 5, 7))
    chunked = da.from_array(VALUES, chunks=(2, 4, 5, 7))
    lazy = LazyEngine()
    whole, asked = (
        lazy.reduce(each, chunked, grid=grid, name="sums").compute(scheduler="sync")["sum"]
        for each in (WHOLE, ASKED)
    )
    np.testing.assert_array_equal(asked, whole)
    assert (whole > VALUES.sum(axis=(1, 2, 3))).all()


def test_what_nobody_asks_for_is_not_read(volume: Volume, tmp_path: Path) -> None:
    grid = Grid(volume.domain, (4, 5, 6))
    counts = []
    for number, reduction in enumerate((ALONE, ASKED)):
        JobEngine(tmp_path / str(number)).reduce(reduction, volume, grid=grid, name="sums")
        counts.append(read_usage(Place.at(tmp_path / str(number) / "sums.ledger")).counts)
    for each in counts:
        assert each["bytes_least"] == VALUES.nbytes
    assert counts[0]["bytes_read"] == counts[0]["bytes_fetched"] == VALUES.nbytes
    assert counts[1]["bytes_fetched"] > VALUES.nbytes


def test_what_the_engine_says_of_its_reads_is_the_block() -> None:
    block = Grid(Box.from_shape((8, 8, 8)), (4, 4, 4), HALO)[0]
    assert ASKED.reads(block, 0) == block.write
    assert WHOLE.reads(block, 0) == block.read
