"""Components across blocks: one answer for every grid and engine (laws 3 and 4)."""

from functools import partial
from pathlib import Path
from shutil import rmtree

import cc3d
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from volkit.engine.columns import read_columns, write_columns
from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.engine.usage_note import read_usage
from volkit.errors import ContractError
from volkit.geometry import Box, Grid
from volkit.io.open import open_volume
from volkit.io.place import Place
from volkit.kernels.label import label_components
from volkit.kernels.label_runs import component_parts
from volkit.ops.components import components_of, connected_components, foreground
from volkit.ops.relabelling import relabel_consecutive

SHAPE = (7, 6, 9)
BLOCKS = st.tuples(st.integers(3, 8), st.integers(3, 7), st.integers(4, 10))
NOISE = np.random.default_rng(2).random((13, 15, 19)).astype(np.float32)


def components(values, *, block_shape, engine=None, domain=None, threshold=0.6, **options):
    volume = open_volume(values)
    grid = Grid(domain or volume.domain, block_shape)
    result = connected_components(
        volume, threshold=threshold, grid=grid, engine=engine or LazyEngine(), **options
    )
    return result.read() if engine else result.compute(scheduler="sync")


@given(
    values=arrays(np.float32, SHAPE, elements=st.sampled_from([0.0, 1.0])),
    block_shape=BLOCKS,
    connectivity=st.sampled_from([6, 18, 26]),
)
@settings(max_examples=15)
def test_any_grid_gives_the_components_of_cc3d(values, block_shape, connectivity) -> None:
    result = components(values, block_shape=block_shape, connectivity=connectivity)
    whole = cc3d.connected_components(values > 0.6, connectivity=connectivity)
    pairs = np.unique(np.stack([result.ravel(), whole.ravel().astype(np.uint64)]), axis=1)
    assert pairs.shape[1] == len(np.unique(result)) == len(np.unique(whole))
    np.testing.assert_array_equal(result, label_components(values > 0.6, connectivity=connectivity))


@pytest.mark.parametrize("block_shape", [(13, 15, 19), (5, 4, 6), (12, 14, 18), (1, 15, 7)])
def test_both_engines_agree_for_every_grid(block_shape, tmp_path: Path) -> None:
    expected = label_components(NOISE > 0.6, connectivity=6)
    options = {"block_shape": block_shape, "connectivity": 6}
    np.testing.assert_array_equal(components(NOISE, **options), expected)
    job = components(NOISE, **options, engine=JobEngine(tmp_path))
    np.testing.assert_array_equal(job, expected)


@pytest.mark.parametrize("lazy", [True, False])
def test_ids_count_from_the_start_of_the_domain(lazy: bool, tmp_path: Path) -> None:
    box = Box((2, 3, 4), (12, 14, 19))
    engine = None if lazy else JobEngine(tmp_path)
    result = components(NOISE, block_shape=(4, 5, 6), domain=box, engine=engine)
    np.testing.assert_array_equal(result, label_components(NOISE[box.slices] > 0.6))


def test_below_takes_the_other_side() -> None:
    result = components(NOISE, block_shape=(5, 5, 5), threshold=0.2, below=True)
    np.testing.assert_array_equal(result, label_components(NOISE < 0.2))


def test_a_channel_is_chosen() -> None:
    both = np.stack([np.zeros_like(NOISE), NOISE])
    result = components(both, block_shape=(5, 5, 5), channel=1)
    np.testing.assert_array_equal(result, label_components(NOISE > 0.6))


@pytest.mark.parametrize("lazy", [True, False])
def test_nothing_above_the_threshold_is_background(lazy: bool, tmp_path: Path) -> None:
    engine = None if lazy else JobEngine(tmp_path)
    assert not components(NOISE, block_shape=(5, 5, 5), threshold=2, engine=engine).any()


@pytest.mark.parametrize("lazy", [True, False])
def test_labels_of_32_bits_are_the_same_names(lazy: bool, tmp_path: Path) -> None:
    options = {"block_shape": (5, 4, 6), "dtype": np.uint32}
    result = components(NOISE, **options, engine=None if lazy else JobEngine(tmp_path))
    assert result.dtype == np.uint32
    np.testing.assert_array_equal(result, label_components(NOISE > 0.6))
    pieces = components_of(da.from_array(result, chunks=(5, 4, 6)), dtype="uint32")
    assert pieces.dtype == np.uint32
    np.testing.assert_array_equal(pieces.compute(scheduler="sync"), result)


@pytest.mark.parametrize("dtype", [np.int32, np.float64, np.uint32])
def test_a_type_without_a_name_for_every_voxel_is_refused(dtype) -> None:
    huge = da.zeros((2**11, 2**11, 2**11), chunks=512, dtype=np.uint8)
    said = rf"components of {2**33} voxels are to be {np.dtype(dtype)}; choose uint64, or uint32"
    with pytest.raises(ContractError, match=said):
        connected_components(huge, threshold=0.5, dtype=dtype)


def test_dask_and_xarray_come_back_as_they_came() -> None:
    array = da.from_array(NOISE, chunks=(5, 8, 10))
    expected = label_components(NOISE > 0.6)
    lazy = connected_components(array, threshold=0.6)
    assert isinstance(lazy, da.Array)
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), expected)
    named = xr.DataArray(array, dims=("z", "y", "x"), coords={"z": np.arange(13) * 8.0})
    result = connected_components(named, threshold=0.6)
    assert result.z.values[1] == 8.0
    np.testing.assert_array_equal(result.compute(scheduler="sync"), expected)


@pytest.mark.parametrize("block_shape", [(13, 15, 19), (5, 4, 6), (12, 14, 18)])
@pytest.mark.parametrize("lazy", [True, False])
def test_consecutive_names_keep_the_order(block_shape, lazy: bool, tmp_path: Path) -> None:
    labels = label_components(NOISE > 0.7, connectivity=6)
    expected = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    volume = open_volume(labels)
    result = relabel_consecutive(
        volume,
        grid=Grid(volume.domain, block_shape),
        engine=LazyEngine() if lazy else JobEngine(tmp_path),
    )
    result = result.compute(scheduler="sync") if lazy else result.read()
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connectivity": 8}, "connectivity is 8; choose 6"),
        ({"channel": 1}, "channel 1 of an array with 1; choose 0 to 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        components(NOISE, block_shape=(5, 5, 5), **options)


@given(
    values=arrays(np.uint8, (2, 3, 4)) | arrays(np.int16, (2, 3, 4)) | arrays(bool, (2, 3, 4)),
    threshold=st.floats(-300, 300) | st.integers(-300, 300) | st.sampled_from([np.inf, -np.inf]),
    below=st.booleans(),
)
def test_whole_numbers_are_compared_as_floats_would_be(values, threshold, below: bool) -> None:
    found = foreground(values, threshold=threshold, channel=0, below=below)
    as_float = values.astype(np.float64)
    np.testing.assert_array_equal(found, as_float < threshold if below else as_float > threshold)
    assert found.dtype == bool


def test_nan_is_refused_with_its_block() -> None:
    values = NOISE.copy()
    values[12, 0, 0] = np.nan
    with pytest.raises(ContractError, match="values are NaN") as caught:
        components(values, block_shape=(5, 15, 19))
    assert "block (2, 0, 0)" in caught.value.__notes__[0]


WAYS = {
    "map": partial(connected_components, threshold=0.6),
    "two channels": partial(connected_components, threshold=0.6, channel=1),
    "labels": components_of,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_job_reads_its_input_once(way: str, tmp_path: Path) -> None:
    values = {
        "map": NOISE,
        "two channels": np.stack([NOISE[::-1], NOISE]),
        "labels": (NOISE * 3).astype(np.uint8),
    }[way]
    volume = open_volume(values)
    grid = Grid(volume.domain, (5, 4, 6))
    found = WAYS[way](volume, connectivity=6, grid=grid, engine=JobEngine(tmp_path))
    whole = values if way == "labels" else NOISE > 0.6
    expected = component_parts(whole, connectivity=6).painted()
    np.testing.assert_array_equal(found.read(), expected)
    read = [
        read_usage(Place.at(tmp_path / f"components{stage}.ledger")).counts.get("bytes_read", 0)
        for stage in ("_links", "")
    ]
    assert read == [values.nbytes, 0]


@pytest.mark.parametrize("how", ["torn", "of another version"])
def test_runs_that_are_not_there_are_made_again(how: str, tmp_path: Path, caplog) -> None:
    options = {"block_shape": (5, 4, 6), "connectivity": 6}
    expected = components(NOISE, **options, engine=JobEngine(tmp_path))
    for stage in ("components.zarr", "components.ledger"):
        rmtree(tmp_path / stage)
    table = tmp_path / "components_links.parts" / "0" / "000000" / "000000007.npz"
    columns = read_columns(Place.at(table))
    if how == "torn":
        data = table.read_bytes()
        at = data.index(columns["own.first"].tobytes())
        table.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    else:
        old = {name: column for name, column in columns.items() if not name.startswith("own.")}
        write_columns(Place.at(table), old)
    again = components(NOISE, **options, engine=JobEngine(tmp_path))
    np.testing.assert_array_equal(again, expected)
    assert ("was torn, and is made again" in caplog.text) == (how == "torn")
