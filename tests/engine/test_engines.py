"""Both engines: one answer, whatever the grid (laws 3, 4 and 8)."""

from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.engine.op import Op, Reduction
from volkit.errors import GeometryError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.testing.blocks import COUNTS, NEIGHBOUR_SUM, add_counts, count_values

RAW = np.random.default_rng(5).integers(0, 9, (13, 11, 17), np.uint8)
BLOCKS = st.tuples(st.integers(2, 14), st.integers(2, 14), st.integers(2, 18))


def expected_sum() -> np.ndarray:
    padded = np.pad(RAW.astype(np.int64), 1)
    z, y, x = RAW.shape
    return sum(
        padded[i : i + z, j : j + y, k : k + x]
        for i in range(3)
        for j in range(3)
        for k in range(3)
    )


@given(block_shape=BLOCKS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_map_is_the_same_for_every_grid_and_engine(tmp_path_factory, block_shape) -> None:
    volume = open_volume(RAW)
    grid = Grid(volume.domain, block_shape)
    lazy = LazyEngine().map(NEIGHBOUR_SUM, volume, grid=grid, name="sum")
    job = JobEngine(tmp_path_factory.mktemp("run")).map(
        NEIGHBOUR_SUM, volume, grid=grid, name="sum"
    )
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), expected_sum())
    np.testing.assert_array_equal(job.read(), expected_sum())


@given(block_shape=BLOCKS)
@settings(max_examples=15)
def test_reduce_is_the_same_for_every_grid_and_engine(tmp_path_factory, block_shape) -> None:
    volume = open_volume(RAW)
    grid = Grid(volume.domain, block_shape)
    lazy = LazyEngine().reduce(COUNTS, volume, grid=grid, name="counts").compute(scheduler="sync")
    job = JobEngine(tmp_path_factory.mktemp("run")).reduce(COUNTS, volume, grid=grid, name="counts")
    for table in (lazy, job):
        assert table["value"].tolist() == list(range(9))
        assert table["count"].tolist() == np.bincount(RAW.ravel()).tolist()


@pytest.mark.parametrize("block_shape", [(5, 4, 6), (13, 11, 17), (12, 10, 16)])
def test_dask_arrays_exchange_their_halo(block_shape) -> None:
    grid = Grid(Box.from_shape(RAW.shape), block_shape)
    array = da.from_array(RAW, chunks=block_shape)
    result = LazyEngine().map(NEIGHBOUR_SUM, array, grid=grid, name="sum")
    np.testing.assert_array_equal(result.compute(scheduler="sync"), expected_sum())


def test_channels_come_and_go() -> None:
    grid = Grid(Box.from_shape(RAW.shape), (5, 6, 9))
    double = Op(lambda block, v: np.stack([v, v + 1]), dtype=np.uint8, channels=2)
    array = da.from_array(RAW, chunks=grid.block_shape)
    two = LazyEngine().map(double, array, grid=grid, name="two")
    assert two.shape == (2, *RAW.shape)
    add = Op(lambda block, v: v.sum(0, dtype=np.uint8), dtype=np.uint8, halo=(1, 1, 1))
    one = LazyEngine().map(add, two, grid=grid, name="one")
    np.testing.assert_array_equal(one.compute(scheduler="sync"), 2 * RAW + 1)
    volume_two = LazyEngine().map(double, open_volume(RAW), grid=grid, name="two")
    np.testing.assert_array_equal(volume_two.compute(scheduler="sync")[1], RAW + 1)
    counts = LazyEngine().reduce(COUNTS, two, grid=grid, name="counts").compute(scheduler="sync")
    assert counts["count"].sum() == 2 * RAW.size


def test_mixed_inputs_and_lazy_shared_values() -> None:
    grid = Grid(Box.from_shape(RAW.shape), (5, 6, 9))
    shift = Op(lambda block, a, b, s: a.astype(int) + b + s["count"][0], dtype=np.int64)
    table = LazyEngine().reduce(COUNTS, open_volume(RAW), grid=grid, name="counts")
    array = da.from_array(RAW, chunks=grid.block_shape)
    result = LazyEngine().map(
        shift, array, open_volume(RAW), grid=grid, name="shift", shared=(table,)
    )
    expected = 2 * RAW.astype(int) + (RAW == 0).sum()
    np.testing.assert_array_equal(result.compute(scheduler="sync"), expected)


def test_a_volume_costs_one_task_per_block() -> None:
    grid = Grid(Box.from_shape(RAW.shape), (5, 6, 9))
    result = LazyEngine().map(NEIGHBOUR_SUM, open_volume(RAW), grid=grid, name="sum")
    (optimized,) = dask.optimize(result)
    assert len(dict(optimized.__dask_graph__())) == len(grid)


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("something computed")

    grid = Grid(Box.from_shape(RAW.shape), (5, 6, 9))
    with dask.config.set(scheduler=refuse):
        LazyEngine().map(NEIGHBOUR_SUM, open_volume(RAW), grid=grid, name="sum")
        LazyEngine().reduce(COUNTS, open_volume(RAW), grid=grid, name="counts")


def test_thin_blocks_are_refused() -> None:
    grid = Grid(Box.from_shape((9, 8, 8)), (8, 8, 8))
    op = Op(lambda block, v: v, dtype=np.uint8, halo=(2, 0, 0))
    array = da.zeros((9, 8, 8), chunks=8, dtype=np.uint8)
    with pytest.raises(GeometryError, match="blocks of 1 voxels on axis z are thinner"):
        LazyEngine().map(op, array, grid=grid, name="x")


def test_an_axis_of_one_thin_block_needs_no_halo() -> None:
    grid = Grid(Box.from_shape((1, 8, 8)), (1, 4, 4))
    op = Op(lambda block, v: v, dtype=np.uint8, halo=(3, 2, 2))
    array = da.ones((1, 8, 8), chunks=(1, 4, 4), dtype=np.uint8)
    assert LazyEngine().map(op, array, grid=grid, name="x").compute(scheduler="sync").all()


def test_chunks_that_are_not_blocks_are_refused() -> None:
    grid = Grid(Box.from_shape((8, 8, 8)), (4, 4, 4))
    with pytest.raises(GeometryError, match="rechunk the array"):
        LazyEngine().map(NEIGHBOUR_SUM, da.zeros((8, 8, 8), chunks=8), grid=grid, name="x")


def test_a_domain_outside_the_volume_is_refused(tmp_path: Path) -> None:
    grid = Grid(Box((0, 0, 0), (99, 4, 4)), (4, 4, 4))
    for engine in (LazyEngine(), JobEngine(tmp_path)):
        with pytest.raises(GeometryError, match=r"domain \[0:99.*choose a box within"):
            engine.map(NEIGHBOUR_SUM, open_volume(RAW), grid=grid, name="x")


def test_a_part_of_the_domain_keeps_its_place(tmp_path: Path) -> None:
    domain = Box((2, 3, 4), (9, 9, 9))
    grid = Grid(domain, (4, 4, 4))
    copy = Op(lambda block, v: v, dtype=np.uint8)
    stored = JobEngine(tmp_path).map(copy, open_volume(RAW), grid=grid, name="part")
    assert stored.domain == domain
    np.testing.assert_array_equal(stored.read(), RAW[domain.slices])
    lazy = LazyEngine().map(copy, open_volume(RAW), grid=grid, name="part")
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), RAW[domain.slices])


def test_a_reduction_with_a_finalizer(tmp_path: Path) -> None:
    most = Reduction(count_values, add_counts, finalize=lambda t: int(t["value"].max()))
    grid = Grid(Box.from_shape(RAW.shape), (4, 4, 4))
    assert JobEngine(tmp_path).reduce(most, open_volume(RAW), grid=grid, name="most") == 8
    lazy = LazyEngine().reduce(most, open_volume(RAW), grid=grid, name="most")
    assert lazy.compute(scheduler="sync") == 8
