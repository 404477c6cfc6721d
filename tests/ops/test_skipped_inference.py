"""Inference that skips: the bytes of the whole where voxels are wanted, and the fill elsewhere."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.engine.job import JobEngine
from volkit.engine.usage_note import read_usage
from volkit.errors import BlockFailedError, ConfigError, MissingChunkError, StaleLedgerError
from volkit.geometry import Box, Grid, Windows
from volkit.io.open import create_volume, open_volume
from volkit.io.place import Place
from volkit.ops.inference import InferenceOptions, infer
from volkit.ops.network import Network
from volkit.ops.skip_options import EmptyOptions, SkipOptions
from volkit.testing import strategies as vst

SHAPE = (9, 13, 17)
RAW = np.random.default_rng(3).random(SHAPE).astype(np.float32)
DOMAIN = Box.from_shape(SHAPE)
ONE_VOXEL = Box((0, 0, 0), (1, 1, 1))
SEEN: list[int] = []


def ramp(batch):
    """A network whose answer depends on the position inside the window."""
    SEEN.append(len(batch))
    position = np.indices(batch.shape[2:]).sum(0)
    return np.concatenate([batch[:, :1] + position, np.ones_like(batch[:, :1])], axis=1)


NETWORK = Network(ramp, (6, 6, 6), (1, 1, 1), 2)


def run(raw=RAW, *, block_shape=(5, 6, 7), folder=None, mask=None, **options):
    SEEN.clear()
    image = raw if hasattr(raw, "domain") or isinstance(raw, da.Array) else open_volume(raw)
    engine = None if folder is None else JobEngine(folder)
    grid = Grid(DOMAIN, block_shape)
    mask = None if mask is None else open_volume(mask)
    result = infer(
        image, NETWORK, options=InferenceOptions(**options), grid=grid, engine=engine, mask=mask
    )
    return result.compute(scheduler="sync") if folder is None else result.read()


def blobs(seed):
    """Make wanted voxels that are few, in lumps."""
    rng = np.random.default_rng(seed)
    marks = np.zeros(SHAPE, bool)
    for _ in range(rng.integers(1, 4)):
        start = rng.integers(0, SHAPE)
        marks[tuple(slice(a, a + n) for a, n in zip(start, rng.integers(1, 6, 3), strict=True))] = 1
    return marks


def windows_needed(marks, stride):
    windows = Windows(DOMAIN, NETWORK.window, stride, NETWORK.margin)
    return sum(
        bool(marks[windows.trusted_box(index).intersect(DOMAIN).slices].any())
        for index in windows.touching(DOMAIN)
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    block_shape=st.tuples(st.integers(4, 10), st.integers(4, 14), st.integers(4, 18)),
    stride=vst.shapes(smallest=1, largest=4),
    seams=st.sampled_from(["exchange", "recompute"]),
    padding=st.sampled_from(["reflect", "none"]),
)
@settings(max_examples=15)
def test_wanted_voxels_get_the_same_bytes(seed, block_shape, stride, seams, padding) -> None:
    marks = blobs(seed)
    laid = {"stride": stride, "padding": padding}
    whole = run(block_shape=SHAPE, **laid)
    options = {"seams": seams, "skip": SkipOptions(fill=-2.5), **laid}
    got = run(block_shape=block_shape, mask=marks, **options)
    assert got[:, marks].tobytes() == whole[:, marks].tobytes()
    assert (got[:, ~marks] == -2.5).all()
    if seams == "exchange":
        assert sum(SEEN) == windows_needed(marks, stride)


@pytest.mark.parametrize("seams", ["exchange", "recompute"])
def test_engines_agree_and_skip_empty_cells(tmp_path, seams) -> None:
    cell = (3, 4, 4)
    raw = RAW.copy()
    raw[:, 4:, :9] = 0.25  # whole cells from 4 to 8 on x; the cells that reach beyond are full
    marks = np.ones(SHAPE, bool)
    marks[:, 4:, :8] = False
    skip = SkipOptions(empty=EmptyOptions(cell_shape=cell))
    options = {"seams": seams, "skip": skip, "block_shape": (5, 7, 9)}
    whole = run(raw, block_shape=SHAPE)
    job = run(raw, folder=tmp_path, **options)
    assert sum(SEEN) < windows_needed(np.ones(SHAPE, bool), (2, 2, 2)) or seams == "recompute"
    if seams == "exchange":
        assert sum(SEEN) == windows_needed(marks, (2, 2, 2))
    assert job[:, marks].tobytes() == whole[:, marks].tobytes()
    assert not job[:, ~marks].any()
    assert open_volume(tmp_path / "wanted.zarr").read().tolist() == marks[::3, ::4, ::4].tolist()
    np.testing.assert_array_equal(run(raw, **options), job)
    chunked = da.from_array(raw, chunks=(5, 7, 9))
    np.testing.assert_array_equal(run(chunked, **options), job)


@pytest.mark.parametrize("seams", ["exchange", "recompute"])
@pytest.mark.parametrize("lazy", [True, False])
def test_blocks_that_nobody_wants_read_nothing(tmp_path, seams, lazy) -> None:
    block = (9, 13, 6)
    image = create_volume(tmp_path / "raw.zarr", shape=SHAPE, dtype=np.float32, chunk_shape=block)
    for start in (0, 6):  # the third chunk is not there, and the second within the halo
        part = Box.from_shape(block, (0, 0, start))
        if start == 0 or seams == "recompute":
            image.write(part, RAW[part.slices])
    wanted = SkipOptions(boxes=(Box((0, 0, 0), (9, 13, 2)),))
    options = {"seams": seams, "block_shape": block, "folder": None if lazy else tmp_path / "run"}
    got = run(image, skip=wanted, **options)
    assert got[1, ..., :2] == pytest.approx(1)
    assert not got[..., 2:].any()
    with pytest.raises((MissingChunkError, BlockFailedError), match="not stored|missing|failed"):
        run(image, **{**options, "folder": None if lazy else tmp_path / "other"})


def test_a_block_of_nan_that_nobody_wants_is_no_matter() -> None:
    raw = RAW.copy()
    raw[..., 14:] = np.nan
    skip = SkipOptions(without=(Box((0, 0, 7), SHAPE),))
    got = run(raw, block_shape=(9, 13, 7), seams="recompute", skip=skip)
    assert np.isfinite(got).all()


def test_a_resumed_run_asks_the_network_nothing_and_another_fill_is_another_run(tmp_path) -> None:
    marks = blobs(5)
    first = run(folder=tmp_path, mask=marks, skip=SkipOptions(fill=1))
    np.testing.assert_array_equal(run(folder=tmp_path, mask=marks, skip=SkipOptions(fill=1)), first)
    assert not SEEN
    with pytest.raises(StaleLedgerError, match="fill"):
        run(folder=tmp_path, mask=marks, skip=SkipOptions(fill=2))
    with pytest.raises(StaleLedgerError, match="identity"):
        run(folder=tmp_path, mask=~marks, skip=SkipOptions(fill=1))


def test_skipped_windows_are_counted(tmp_path) -> None:
    marks = blobs(2)
    run(folder=tmp_path, mask=marks, seams="exchange")
    counts = read_usage(Place.at(tmp_path / "prob.ledger")).counts
    windows = Windows(DOMAIN, NETWORK.window, (2, 2, 2), NETWORK.margin)
    assert counts["windows"] == windows_needed(marks, (2, 2, 2))
    assert counts["windows"] + counts["skipped_windows"] == len(windows)


def test_the_fill_is_stored_as_it_is(tmp_path) -> None:
    net = Network(lambda batch: batch * 0 + 0.5, (6, 6, 6), (0, 0, 0), 1)
    marks = blobs(9)
    options = InferenceOptions(dtype="float16", skip=SkipOptions(fill=-1))
    got = infer(open_volume(RAW), net, options=options, mask=open_volume(marks))
    values = got.compute(scheduler="sync")[0]
    assert values.dtype == np.float16
    assert set(values[~marks].tolist()) == {-1.0}
    assert set(values[marks].tolist()) == {0.5}


def test_a_fill_beyond_the_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="fill 1e\\+06 does not fit into float16"):
        run(dtype="float16", skip=SkipOptions(fill=1e6, boxes=(DOMAIN,)))


def test_blocks_without_windows_hand_over_no_more_than_a_shape(tmp_path) -> None:
    few = run(folder=tmp_path / "few", seams="exchange", skip=SkipOptions(boxes=(ONE_VOXEL,)))
    run(folder=tmp_path / "all", seams="exchange")
    spilled = [
        read_usage(Place.at(tmp_path / name / "prob.ledger")).counts["bytes_spilled"]
        for name in ("few", "all")
    ]
    assert spilled[0] < spilled[1] / 3
    assert np.count_nonzero(few[1]) == 1


def test_a_mask_is_a_volume() -> None:
    for mask in (np.ones(SHAPE, bool), da.ones(SHAPE, dtype=bool)):
        with pytest.raises(
            ConfigError, match=r"expected a Volume; wrap an array with volkit\.open"
        ):
            infer(open_volume(RAW), NETWORK, mask=mask)
