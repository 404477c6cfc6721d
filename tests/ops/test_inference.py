"""Blended inference: one answer, whatever the blocks (laws 3, 4 and 7)."""

from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.errors import ConfigError, GeometryError, ModelError
from volkit.geometry import Box, Grid, Windows
from volkit.io.open import open_volume
from volkit.ops.inference import InferenceOptions, infer, window_halo
from volkit.ops.network import Network

RAW = np.random.default_rng(7).random((13, 15, 19)).astype(np.float32)


def ramp(batch):
    """A network whose answer depends on the position inside the window, so wrong blending shows."""
    position = np.indices(batch.shape[2:]).sum(0)
    return np.concatenate([batch[:, :1] + position, np.ones_like(batch[:, :1])], axis=1)


def network(window=(6, 8, 6), margin=(0, 0, 0), model=ramp, channels=2) -> Network:
    return Network(model, window, margin, channels)


def run(raw, *, block_shape, engine=None, domain=None, net=None, **options):
    volume = open_volume(raw)
    grid = Grid(domain or volume.domain, block_shape)
    result = infer(
        volume, net or network(), options=InferenceOptions(**options), grid=grid, engine=engine
    )
    return result.read() if engine else result.compute(scheduler="sync")


def brute_force(raw, net, stride, weights, mode):
    """Visit every window once over the whole volume, adding and dividing in float64."""
    from volkit.kernels.blend import window_weights

    windows = Windows(Box.from_shape(raw.shape), net.window, stride, net.margin)
    room = max(net.window)
    padded = np.pad(raw, room, mode=mode)
    total = np.zeros((net.channels, *padded.shape))
    sums = np.zeros(padded.shape)
    weight = window_weights(windows.trusted, weights).astype(float)
    inner = tuple(slice(m, m + t) for m, t in zip(net.margin, windows.trusted, strict=True))
    for index in np.ndindex(*windows.counts):
        box = windows.window(index).shift((room,) * 3)
        # np.pad reflects the whole volume, a window only what it sees: the same within a window.
        answer = net.model(padded[box.slices][None, None])[0]
        place = windows.trusted_box(index).shift((room,) * 3).slices
        total[(..., *place)] += answer[(..., *inner)] * weight
        sums[place] += weight
    core = tuple(slice(room, room + n) for n in raw.shape)
    return total[(..., *core)] / sums[core]


@pytest.mark.parametrize("weights", ["gaussian", "linear", "constant"])
@pytest.mark.parametrize("padding", ["reflect", "edge", "constant"])
@pytest.mark.parametrize("margin", [(0, 0, 0), (1, 2, 1)])
def test_equal_to_brute_force_over_the_whole(weights, padding, margin) -> None:
    net = network(margin=margin)
    got = run(
        RAW, block_shape=(5, 7, 9), net=net, stride=(3, 4, 2), weights=weights, padding=padding
    )
    expected = brute_force(RAW, net, (3, 4, 2), weights, padding)
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-6)


@given(
    block_shape=st.tuples(st.integers(3, 14), st.integers(3, 16), st.integers(3, 20)),
    stride=st.tuples(st.integers(2, 6), st.integers(3, 8), st.integers(2, 6)),
    weights=st.sampled_from(["gaussian", "linear", "constant"]),
    padding=st.sampled_from(["reflect", "edge", "constant"]),
    batch=st.integers(1, 5),
)
@settings(max_examples=20)
def test_result_does_not_depend_on_blocks(block_shape, stride, weights, padding, batch) -> None:
    options = {"stride": stride, "weights": weights, "padding": padding}
    whole = run(RAW, block_shape=RAW.shape, **options)
    cut = run(RAW, block_shape=block_shape, batch=batch, **options)
    np.testing.assert_array_equal(cut, whole)
    np.testing.assert_allclose(whole[1], 1, rtol=1e-6)  # weights of every voxel sum to one


def test_engines_agree(tmp_path: Path) -> None:
    lazy = run(RAW, block_shape=(6, 8, 10))
    job = run(RAW, block_shape=(6, 8, 10), engine=JobEngine(tmp_path))
    np.testing.assert_array_equal(lazy, job)


def test_a_dask_array_gives_what_a_volume_gives() -> None:
    options = InferenceOptions(stride=(3, 4, 3))
    array = da.from_array(RAW, chunks=(8, 8, 10))
    lazy = infer(array, network(), options=options)
    assert isinstance(lazy, da.Array)
    np.testing.assert_allclose(
        lazy.compute(scheduler="sync"),
        run(RAW, block_shape=(13, 15, 19), stride=(3, 4, 3)),
        rtol=1e-6,
    )


def test_a_data_array_keeps_its_coordinates() -> None:
    z = np.arange(13) * 40.0
    array = xr.DataArray(
        da.from_array(RAW, chunks=(8, 8, 10)), dims=("z", "y", "x"), coords={"z": z}
    )
    result = infer(array, network())
    assert isinstance(result, xr.DataArray)
    assert result.dims == ("c", "z", "y", "x")
    np.testing.assert_array_equal(result.z, z)


def test_a_domain_inside_the_volume_sees_no_further() -> None:
    domain = Box((2, 3, 4), (12, 14, 17))
    part = run(RAW, block_shape=(4, 5, 6), domain=domain)
    alone = run(np.ascontiguousarray(RAW[domain.slices]), block_shape=(20, 20, 20))
    np.testing.assert_allclose(part, alone, rtol=1e-6)


def mean27(batch):
    """A small convolution with zeros beyond the faces: wrong at a window's faces."""
    from scipy import ndimage

    return ndimage.uniform_filter(batch, (0, 0, 3, 3, 3), mode="constant")


def test_a_margin_makes_windows_equal_to_the_whole() -> None:
    net = Network(mean27, (8, 8, 8), (1, 1, 1), 1)
    got = run(
        RAW, block_shape=(5, 9, 7), net=net, padding="none", weights="constant", stride=(6, 6, 6)
    )
    np.testing.assert_allclose(got[0], mean27(RAW[None, None])[0, 0], rtol=1e-5)


def test_windows_larger_than_the_domain_are_padded() -> None:
    small = RAW[:3, :4, :5]
    got = run(small, block_shape=(2, 2, 2), padding="edge")
    assert got.shape == (2, 3, 4, 5)
    np.testing.assert_allclose(got[1], 1, rtol=1e-6)


def test_every_block_evaluates_just_the_windows_that_touch_it() -> None:
    seen = []

    def count(batch):
        seen.append(len(batch))
        return batch

    net = Network(count, (6, 6, 6), (0, 0, 0), 1)
    grid = Grid(Box.from_shape(RAW.shape), (6, 6, 6))
    options = InferenceOptions(stride=(3, 3, 3), seams="recompute")
    infer(open_volume(RAW), net, options=options, grid=grid).compute(scheduler="sync")
    windows = Windows(grid.domain, (6, 6, 6), (3, 3, 3))
    assert sum(seen) == sum(windows.count_touching(block.write) for block in grid)


@given(
    block_shape=st.tuples(*[st.integers(3, 12)] * 3),
    stride=st.tuples(*[st.integers(1, 6)] * 3),
    margin=st.integers(0, 2),
)
def test_the_halo_holds_every_window_of_a_block(block_shape, stride, margin) -> None:
    windows = Windows(
        Box.from_shape((21, 19, 23), (3, 0, 1)), (6 + 2 * margin,) * 3, stride, (margin,) * 3
    )
    grid = Grid(windows.domain, block_shape, window_halo(windows, block_shape))
    assert all(block.read.contains(windows.reach(block.write)) for block in grid)


def test_nan_in_the_input_is_refused_with_its_block() -> None:
    raw = RAW.copy()
    raw[12, 14, 18] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite") as caught:
        run(raw, block_shape=(13, 15, 19))
    assert any("[0:13, 0:15, 0:19]" in note for note in caught.value.__notes__)


def test_nan_from_the_network_is_refused() -> None:
    with pytest.raises(ModelError, match="float32"):
        run(RAW, block_shape=(13, 15, 19), net=network(model=lambda b: b * np.nan, channels=1))


def test_wrong_channels_are_refused_with_both_numbers() -> None:
    with pytest.raises(ModelError, match="answered 1 channels, 2 were announced"):
        run(RAW, block_shape=(13, 15, 19), net=network(model=lambda b: b))


def test_a_stride_beyond_the_window_is_refused() -> None:
    with pytest.raises(GeometryError, match="leave gaps"):
        run(RAW, block_shape=(13, 15, 19), stride=(7, 8, 6))


@pytest.mark.parametrize("wrong", [{"weights": "round"}, {"padding": "wrap"}, {"batch": 0}])
def test_wrong_options_are_refused(wrong) -> None:
    with pytest.raises(ConfigError, match="batch|unknown"):
        InferenceOptions(**wrong)


def test_a_callable_needs_its_window() -> None:
    with pytest.raises(ConfigError, match="give its window"):
        infer(open_volume(RAW), ramp, engine=LazyEngine())


def bright_is_nan(batch):
    """A network that fails where its window holds a bright voxel."""
    bright = batch.max(axis=(1, 2, 3, 4), keepdims=True) > 1
    return np.where(bright, np.nan, batch)


@pytest.mark.parametrize("seams", ["exchange", "recompute"])
def test_marked_windows_become_nan_and_nothing_else_changes(tmp_path: Path, seams) -> None:
    raw = RAW.copy()
    raw[6, 7, 9] = 2
    net = replace(network((4, 4, 4), model=bright_is_nan, channels=1), nonfinite="mark")
    options = {"stride": (2, 2, 2), "seams": seams, "padding": "edge"}
    got = run(raw, block_shape=(5, 6, 7), net=net, engine=JobEngine(tmp_path / "a"), **options)
    sound = run(RAW, block_shape=(20, 20, 20), net=net, **options)
    windows = Windows(Box.from_shape(RAW.shape), (4, 4, 4), (2, 2, 2))
    marked = np.zeros(RAW.shape, bool)
    for index in np.ndindex(*windows.counts):
        box = windows.window(index).intersect(windows.domain)
        marked[box.slices] |= bool((raw[box.slices] > 1).any())
    np.testing.assert_array_equal(np.isnan(got[0]), marked)
    np.testing.assert_array_equal(got[0][~marked], sound[0][~marked])


def test_a_window_that_is_answered_by_nan_is_named() -> None:
    raw = RAW.copy()
    raw[12, 14, 18] = 2
    net = network((4, 4, 4), model=bright_is_nan, channels=1)
    with pytest.raises(ModelError, match="NaN") as caught:
        run(raw, block_shape=(13, 15, 19), net=net, stride=(4, 4, 4), padding="edge")
    assert any("[12:16, 12:16, 16:20]" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_what_is_stored(dtype, tmp_path: Path) -> None:
    net = Network(sigmoid_of, (6, 6, 6))
    got = run(RAW, block_shape=(6, 8, 10), net=net, engine=JobEngine(tmp_path), dtype=dtype)
    exact = run(RAW, block_shape=(6, 8, 10), net=net)
    assert got.dtype == dtype
    step = {"float32": 0, "float16": 2**-11, "uint8": 0.5 / 255 + 1e-6}[dtype]
    scale = 255 if dtype == "uint8" else 1
    np.testing.assert_allclose(got.astype(float) / scale, exact, atol=step, rtol=0)


def sigmoid_of(batch):
    return 1 / (1 + np.exp(-batch))


sigmoid_of.bounded = True  # type: ignore[attr-defined]


def test_values_that_the_output_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="uint8 holds probabilities"):
        run(RAW, block_shape=(6, 8, 10), engine=JobEngine(tmp_path), dtype="uint8")
    large = network(model=lambda batch: batch + 1e5, channels=1)
    with pytest.raises(ValueError, match="float16 holds up to 65504"):
        run(RAW, block_shape=(20, 20, 20), net=large, dtype="float16")


def test_the_published_weights_dim_what_few_windows_cover(tmp_path: Path) -> None:
    """Sums of weights below the floor are not made up for, as in the published code."""
    from volkit.kernels.blend import weight_sums

    net = Network(np.ones_like, (6, 8, 8))
    options = {"stride": (3, 3, 3), "weights": "pyramid-published"}
    got = run(RAW, block_shape=(6, 8, 10), net=net, engine=JobEngine(tmp_path), **options)
    windows = Windows(Box.from_shape(RAW.shape), (6, 8, 8), (3, 3, 3))
    sums = weight_sums(windows, windows.domain, "pyramid-published")
    np.testing.assert_allclose(got[0], np.minimum(sums, 1), atol=1e-6)
    assert sums.min() == 0
    assert sums.max() > 1
    with pytest.raises(GeometryError, match="leave voxel 0 of axis z without any"):
        run(RAW, block_shape=(6, 8, 10), net=net, weight_floor=0.0, **options)
