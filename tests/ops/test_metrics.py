"""Metrics over blocks: the same for every grid and both engines, from one table."""

import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.errors import GeometryError
from volkit.geometry import Box, Grid
from volkit.io.open import create_volume, open_volume
from volkit.kernels.contingency import contingency
from volkit.kernels.dice import dice_scores
from volkit.kernels.scores import rand_scores, voi_scores
from volkit.ops.metrics import contingency_table, dice, rand, segmentation_scores, voi

TRUE, PRED = np.random.default_rng(8).integers(0, 6, (2, 7, 8, 9)).astype(np.uint64)

labels = hnp.arrays(np.uint32, (4, 5, 6), elements=st.sampled_from([0, 1, 2, 2**32 - 1]))
block_shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6))


def grid_of(array, block_shape):
    return Grid(Box.from_shape(array.shape), block_shape)


def all_scores(true, pred, grid, engine):
    table = contingency_table(true, pred, grid=grid, engine=engine)
    scores = segmentation_scores(true, pred, true_zero="segment", grid=grid, engine=engine)
    if isinstance(engine, LazyEngine):
        table, scores = (x.compute(scheduler="sync") for x in (table, scores))
    return {name: column.tolist() for name, column in table.items()}, scores


@settings(max_examples=15)
@given(labels, labels, block_shapes)
def test_no_grid_and_no_engine_shows(tmp_path_factory, true, pred, block_shape) -> None:
    whole = contingency(true, pred)
    jobs = JobEngine(tmp_path_factory.mktemp("job"))
    for engine in (LazyEngine(), jobs):
        grid = grid_of(true, block_shape)
        table, scores = all_scores(open_volume(true), open_volume(pred), grid, engine)
        assert table == {name: column.tolist() for name, column in whole.items()}
        assert scores.rand == rand_scores(whole, true_zero="segment")
        assert scores.voi == voi_scores(whole, true_zero="segment")


@pytest.mark.parametrize("block_shape", [(7, 8, 9), (3, 3, 4), (1, 8, 2)])
def test_every_score_equals_its_kernel_on_the_whole(block_shape) -> None:
    grid, whole = grid_of(TRUE, block_shape), contingency(TRUE, PRED)
    options = {"true_zero": "segment", "pred_zero": "ignore"}
    assert rand(TRUE, PRED, form="pairs", grid=grid, **options).compute() == rand_scores(
        whole, form="pairs", **options
    )
    assert voi(TRUE, PRED, grid=grid, **options).compute() == voi_scores(whole, **options)
    assert dice(TRUE, PRED, grid=grid).compute() == dice_scores(whole)
    assert dice(TRUE, PRED, classes=(3,), grid=grid).compute() == {3: dice_scores(whole)[3]}


def test_takes_dask_arrays_and_data_arrays_on_their_own_chunks() -> None:
    true, pred = (da.from_array(x, chunks=(4, 4, 5)) for x in (TRUE, PRED))
    expected = rand_scores(contingency(TRUE, PRED))
    assert rand(true, pred).compute() == expected
    frames = [xr.DataArray(x, dims=("z", "y", "x")) for x in (true, pred)]
    assert rand(*frames).compute() == expected
    assert rand(
        frames[0].transpose("x", "z", "y"), frames[1].transpose("x", "z", "y")
    ).compute() == (expected)


def test_a_job_counts_once_for_all_scores(tmp_path) -> None:
    seen = []
    engine = JobEngine(tmp_path, on_progress=seen.append)
    volumes, grid = (open_volume(TRUE), open_volume(PRED)), grid_of(TRUE, (4, 4, 4))
    first = rand(*volumes, grid=grid, engine=engine)
    told = len(seen)
    assert told > 0
    assert segmentation_scores(*volumes, grid=grid, engine=engine).rand == first
    assert rand(*volumes, pred_zero="segment", grid=grid, engine=engine).pred_zero == "segment"
    assert len(seen) == told


def test_a_domain_may_begin_anywhere(tmp_path) -> None:
    volumes = []
    for name, values in (("true", TRUE), ("pred", PRED)):
        volume = create_volume(
            str(tmp_path / f"{name}.zarr"), shape=values.shape, dtype=values.dtype, start=(5, 6, 7)
        )
        volume.write(volume.domain, values)
        volumes.append(volume)
    scores = rand(*volumes, grid=Grid(volumes[0].domain, (4, 4, 4)), engine=JobEngine(tmp_path))
    assert scores == rand_scores(contingency(TRUE, PRED))


def test_the_table_of_scores_names_its_convention() -> None:
    halves, one = np.repeat([1, 2], 8).reshape(2, 2, 4), np.ones((2, 2, 4), int)
    rows = segmentation_scores(halves, one).compute().as_table()
    assert [row[:2] for row in rows] == [
        ("Rand F", "0.6667"),
        ("Rand split", "1.0000"),
        ("Rand merge", "0.5000"),
        ("adapted Rand error", "0.3333"),
        ("VOI split", "0.0000"),
        ("VOI merge", "1.0000"),
        ("true objects", "2"),
        ("segments", "1"),
        ("voxels", "16"),
        ("convention", "ignore / singletons / probabilities"),
    ]


def test_refuses_other_domains_and_names_both(tmp_path) -> None:
    moved = create_volume(
        str(tmp_path / "moved.zarr"), shape=PRED.shape, dtype=PRED.dtype, start=(1, 0, 0)
    )
    with pytest.raises(
        GeometryError, match=r"\[0:7, 0:8, 0:9\] and .*moved.zarr \[1:8, 0:8, 0:9\]"
    ):
        rand(open_volume(TRUE), moved)
    arrays = da.from_array(TRUE), da.from_array(PRED[:5])
    with pytest.raises(
        GeometryError, match=r"\(7, 8, 9\)\) and .*\(5, 8, 9\)\) are not of the same"
    ):
        voi(*arrays)


def test_refuses_what_is_no_label() -> None:
    with pytest.raises(GeometryError, match=r"predicted labels .* are float64; give integer ids"):
        rand(TRUE, PRED.astype(float))
    with pytest.raises(GeometryError, match="true labels .* are uint64 with channels"):
        dice(TRUE[None], PRED)
    negative = PRED.astype(np.int64) - 1
    with pytest.raises(GeometryError, match="predicted labels hold the negative id -1"):
        rand(TRUE, negative, grid=grid_of(TRUE, (4, 4, 4))).compute()


@pytest.mark.parametrize("block_shape", [(125, 250, 250), (64, 64, 64), (25, 125, 100)])
def test_flood_filling_result_on_fib25(shared_data, block_shape) -> None:
    with h5py.File(shared_data / "em" / "fib25" / "fib25_tr2_z000-124.h5") as file:
        true, pred = (
            da.from_array(file[name][:], block_shape) for name in ("gt_bodies", "ffn_seg")
        )
    scores = rand(true, pred).compute()
    assert scores.adapted_rand_error == pytest.approx(0.17197097452336, abs=1e-9)
