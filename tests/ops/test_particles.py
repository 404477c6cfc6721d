"""Particles: the same table for every grid and both engines, and that of a plain computation."""

from dataclasses import replace
from itertools import product

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import tensorstore
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from volkit.engine.job import JobEngine
from volkit.engine.lazy import LazyEngine
from volkit.errors import ConfigError, ContractError, GeometryError
from volkit.geometry import Box, Grid, VoxelScale
from volkit.io.open import create_volume, open_volume
from volkit.io.points.table import POINTS
from volkit.io.volume import Volume
from volkit.ops.particle_options import PickOptions
from volkit.ops.particles import pick

SCALE = VoxelScale((2.0, 1.0, 0.5), (5.0, 0.0, -3.0))
TWO = ("ribosome", "apo-ferritin")
# Few values, so that there are ties and plateaus everywhere, over faces too.
heats = hnp.arrays(np.float32, (2, 7, 8, 9), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75]))
# From blocks that are smaller than a neighbourhood to the whole.
block_shapes = st.tuples(st.integers(1, 7), st.integers(2, 8), st.integers(2, 9))
fewer_blocks = st.tuples(st.integers(2, 7), st.integers(3, 8), st.integers(4, 9))


def plain(heat, options, scale=SCALE):
    """Say it aloud on the whole array: pooling, the first of equals, greedy suppression."""
    found = []
    for number, (values, threshold) in enumerate(zip(heat, options.thresholds, strict=True)):
        pooled = ndimage.maximum_filter(values, options.kernel, mode="constant", cval=-np.inf)
        for voxel in np.argwhere((values == pooled) & (values > threshold)):
            low = np.maximum(voxel - options.reach, 0)
            box = values[tuple(map(slice, low, voxel + options.reach + np.ones(3, int)))]
            first = low + np.unravel_index(np.argmax(box), box.shape)
            if (first == voxel).all():
                found.append((tuple(voxel.tolist()), number, float(values[tuple(voxel)])))
    kept = []
    for voxel, number, score in sorted(found, key=lambda f: (-f[2], f[0], f[1])):
        centre = np.array(scale.to_nm(voxel))
        if options.exclusions_nm is None or all(
            ((centre - other) ** 2).sum() > options.exclusions_nm[n] ** 2
            for other, n, _ in kept
            if options.across_classes or n == number
        ):
            kept.append((centre, number, score))
    rows = [(*c.tolist(), s, options.classes[n]) for c, n, s in sorted(kept, key=lambda k: k[1])]
    return [tuple(row) for row in rows]


def rows_of(table):
    return [tuple(row) for row in table.itertuples(index=False)]


def picked(heat, options, block_shape, engine, name="picks"):
    grid = Grid(Box.from_shape(heat.shape[1:]), block_shape)
    found = pick(open_volume(heat), options, scale=SCALE, grid=grid, engine=engine, name=name)
    return found.compute(scheduler="sync") if isinstance(engine, LazyEngine) else found


@settings(max_examples=20)
@given(
    heats,
    block_shapes,
    st.tuples(*[st.sampled_from([1, 3, 5, 7, 11])] * 3),
    st.sampled_from([None, 1.0, {"ribosome": 2.5, "apo-ferritin": 1.0}]),
    st.booleans(),
)
def test_no_grid_shows(heat, block_shape, kernel, exclusion, across) -> None:
    options = PickOptions(
        TWO,
        threshold={"ribosome": 0.0, "apo-ferritin": 0.3},
        kernel=kernel,
        exclusion_nm=exclusion,
        across_classes=across and exclusion is not None,
    )
    expected = plain(heat, options)
    assert rows_of(picked(heat, options, block_shape, LazyEngine())) == expected
    assert rows_of(picked(heat, options, heat.shape[1:], LazyEngine())) == expected


@settings(max_examples=5)
@given(heats, fewer_blocks, st.sampled_from([1, 3, 5]), st.booleans())
def test_jobs_are_the_plain_computation_and_engines_agree_refined(
    tmp_path_factory, heat, block_shape, kernel, across
) -> None:
    options = PickOptions(TWO, 0.1, kernel=(1, kernel, 3), exclusion_nm=1.0, across_classes=across)
    engine = JobEngine(tmp_path_factory.mktemp("job"))
    whole = picked(heat, options, block_shape, engine)
    assert rows_of(whole) == plain(heat, options)
    POINTS.check(whole)
    refined = replace(options, refine=True)
    once = picked(heat, refined, heat.shape[1:], LazyEngine())
    for engine in (LazyEngine(), JobEngine(tmp_path_factory.mktemp("refined"))):
        pd.testing.assert_frame_equal(picked(heat, refined, block_shape, engine), once)


def stored(place, heat, chunk_shape, start=(0, 0, 0)):
    volume = create_volume(
        str(place),
        shape=heat.shape[-3:],
        channels=len(heat) if heat.ndim == 4 else None,
        dtype=heat.dtype,
        chunk_shape=chunk_shape,
        start=start,
        voxel_size_nm=SCALE.voxel_size_nm,
    )
    volume.write(volume.domain, heat)
    return volume


@settings(max_examples=10)
@given(
    heats,
    fewer_blocks,
    st.tuples(*[st.integers(1, 9)] * 3),
    st.tuples(*[st.integers(-5, 5)] * 3),
    st.booleans(),
)
def test_nor_do_chunks_that_are_no_blocks(
    tmp_path_factory, heat, block_shape, chunk_shape, start, refine
) -> None:
    volume = stored(tmp_path_factory.mktemp("heat") / "heat.zarr", heat, chunk_shape, start)
    options = PickOptions(TWO, 0.1, kernel=(3, 7, 5), refine=refine)
    grid = Grid(volume.domain, block_shape)
    found = pick(volume, options, grid=grid).compute(scheduler="sync")
    once = pick(volume, options, grid=Grid(volume.domain, heat.shape[1:]))
    pd.testing.assert_frame_equal(found, once.compute(scheduler="sync"))
    if not refine:
        corner = volume.scale.to_nm(start)
        scale = VoxelScale(SCALE.voxel_size_nm, corner)
        assert rows_of(found) == plain(heat, options, scale)


def chunks_decoded():
    """Ask the library that decodes them, which begins to count with the first one."""
    name = "/tensorstore/cache/chunk_cache/reads"
    found = tensorstore.experimental_collect_matching_metrics(name)
    return sum(each["value"] for metric in found for each in metric["values"])


def decoded_while_picking(volume, engine):
    before = chunks_decoded()
    options = PickOptions(("a",), 0.1, refine=True)
    found = pick(volume, options, grid=Grid(volume.domain, (16, 32, 32)), engine=engine)
    found = found if isinstance(found, pd.DataFrame) else found.compute(scheduler="sync")
    return len(found), chunks_decoded() - before


@pytest.mark.parametrize("jobs", [False, True])
def test_a_chunk_is_decoded_once_unless_a_peak_hangs_on_it(tmp_path, jobs) -> None:
    def found_and_decoded(name):
        volume = stored(tmp_path / f"{name}.zarr", heat, (8, 16, 16))
        return decoded_while_picking(volume, JobEngine(tmp_path / name) if jobs else LazyEngine())

    heat = np.zeros((32, 64, 64), np.float32)  # eight blocks of eight chunks
    heat[np.ix_([10, 20], [15, 47], [15, 47])] = 0.5
    assert found_and_decoded("inside") == (8, 64)
    heat[15, 8, 8] = 0.4  # one more chunk decides about it
    assert found_and_decoded("face") == (9, 65)
    heat[15, 31, 31] = 0.9  # and seven about this one, of the seven other blocks
    assert found_and_decoded("corner") == (10, 72)


def test_at_worst_a_block_decodes_its_halo_too(tmp_path) -> None:
    heat = np.random.default_rng(4).random((32, 64, 64), np.float32)
    _, decoded = decoded_while_picking(stored(tmp_path / "heat.zarr", heat, (8, 16, 16)), None)
    assert 64 < decoded <= 8 * 3**3


@pytest.mark.parametrize("block_shape", [(4, 4, 4), (2, 8, 4), (4, 1, 8)])
def test_points_on_faces_edges_and_corners_of_blocks_are_found_once(tmp_path, block_shape) -> None:
    """Equal peaks on both sides of every face: one of those in reach of each other stays."""
    heat = np.zeros((2, 8, 8, 8), np.float32)
    for voxel in product((0, 3, 4, 7), repeat=3):
        heat[(slice(None), *voxel)] = 0.9
    options = PickOptions(TWO, kernel=3)
    expected = plain(heat, options)
    assert len(expected) == 2 * 27  # 0, 3 and 7 on each axis: 4 lies beside 3
    assert rows_of(picked(heat, options, block_shape, LazyEngine())) == expected
    assert rows_of(picked(heat, options, block_shape, JobEngine(tmp_path))) == expected


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plateau_over_a_face_is_one_point(axis) -> None:
    heat = np.zeros((1, 8, 8, 8), np.float32)
    place = [slice(3, 5)] * 3
    place[axis] = slice(2, 6)
    heat[(0, *place)] = 0.9
    options = PickOptions(("a",), kernel=7)
    for block_shape in ((4, 4, 4), (3, 8, 2), (8, 8, 8)):
        found = picked(heat, options, block_shape, LazyEngine())
        first = [3, 3, 3]
        first[axis] = 2
        assert rows_of(found) == [(*SCALE.to_nm(tuple(first)), pytest.approx(0.9), "a")]


def test_a_halo_shorter_than_the_kernel_would_double_points() -> None:
    # The larger of two maxima lies 3 voxels beyond a face: what a halo of 2 cannot see.
    heat = np.zeros((1, 1, 1, 12), np.float32)
    heat[0, 0, 0, [5, 8]] = 0.8, 0.9
    found = picked(heat, PickOptions(("a",), kernel=7), (1, 1, 6), LazyEngine())
    assert found["score"].tolist() == [pytest.approx(0.9)]


def test_dask_arrays_on_their_own_chunks_and_one_class_without_a_channel_axis() -> None:
    heat = np.random.default_rng(3).random((12, 12, 12)).astype(np.float32)
    options = PickOptions(("a",), threshold=0.6, kernel=5, exclusion_nm=2.0)
    chunked = da.from_array(heat, chunks=(6, 4, 6))
    found = pick(chunked, options, scale=SCALE).compute(scheduler="sync")
    assert rows_of(found) == plain(heat[None], options)
    assert len(found) > 10


def test_volume_coordinates_and_the_scale_of_the_volume(tmp_path) -> None:
    heat = np.zeros((4, 8, 8), np.float32)
    heat[2, 3, 6], heat[1, 1, 1] = 0.8, 0.7
    volume = create_volume(
        tmp_path / "heat.zarr",
        shape=heat.shape,
        dtype=heat.dtype,
        chunk_shape=(4, 4, 4),
        voxel_size_nm=(1.0, 1.0, 1.0),
        origin_nm=(10.0, 20.0, 30.0),
    )
    volume.write(volume.domain, heat)
    options = PickOptions(("a",), kernel=3)
    found = pick(volume, options).compute(scheduler="sync")
    assert rows_of(found)[0][:3] == (12.0, 23.0, 36.0)
    part = volume.cutout(Box((2, 2, 2), (4, 8, 8)))
    found = pick(part, options).compute(scheduler="sync")
    assert [row[:3] for row in rows_of(found)] == [(12.0, 23.0, 36.0)]
    published = PickOptions(("a",), kernel=3, target_offset=1.0)
    found = pick(volume, published).compute(scheduler="sync")
    assert rows_of(found)[0][:3] == (11.5, 22.5, 35.5)


def test_uint8_stands_for_zero_to_one() -> None:
    heat = np.zeros((1, 1, 1, 9), np.uint8)
    heat[0, 0, 0, [1, 5]] = 51, 128
    found = pick(heat, PickOptions(("a",), threshold=0.2, kernel=3), scale=SCALE)
    assert found.compute(scheduler="sync")["score"].tolist() == [128 / 255]
    found = pick(heat, PickOptions(("a",), threshold=0.19, kernel=3), scale=SCALE)
    assert found.compute(scheduler="sync")["score"].tolist() == [128 / 255, 0.2]


def test_refinement_finds_the_top_of_a_gaussian() -> None:
    z, y, x = np.indices((16, 16, 16))
    centre = np.array([7.3, 8.4, 6.8])
    squared = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2
    heat = np.exp(-squared / (2 * 3.0**2)).astype(np.float32)
    unit = VoxelScale((1.0, 1.0, 1.0))
    options = PickOptions(("a",), refine=True)
    found = pick(heat, options, scale=unit).compute(scheduler="sync")
    np.testing.assert_allclose(found.iloc[0, :3].to_numpy(float), centre, atol=0.01)


def test_a_job_reuses_its_peaks_for_another_distance(tmp_path) -> None:
    heat = np.random.default_rng(9).random((2, 8, 8, 8)).astype(np.float32)
    seen: list = []
    engine = JobEngine(tmp_path, on_progress=seen.append)
    first = picked(heat, PickOptions(TWO, kernel=3, exclusion_nm=1.0), (4, 4, 4), engine)
    seen.clear()
    second = picked(heat, PickOptions(TWO, kernel=3, exclusion_nm=4.0), (4, 4, 4), engine)
    assert len(second) < len(first)
    assert seen == []


def test_refuses_what_would_be_wrong() -> None:
    heat = np.zeros((2, 4, 4, 4), np.float32)
    with pytest.raises(GeometryError, match=r"has 2 channel\(s\), classes are a; name each"):
        pick(heat, PickOptions(("a",)), scale=SCALE)
    with pytest.raises(GeometryError, match="does not say how large its voxels are"):
        pick(heat, PickOptions(TWO))
    with pytest.raises(GeometryError, match="does not say how large its voxels are"):
        pick(da.zeros((2, 4, 4, 4), dtype=np.float32), PickOptions(TWO))
    with pytest.raises(ContractError, match="heat map is int64; give floats"):
        pick(heat.astype(np.int64), PickOptions(TWO), scale=SCALE)
    heat[1, 2, 2, 2] = np.nan
    with pytest.raises(ContractError, match="heat map of class 1 is NaN in places"):
        pick(heat, PickOptions(TWO), scale=SCALE).compute(scheduler="sync")


def test_a_voxel_of_one_nanometre_counts_where_it_is_stated() -> None:
    heat = open_volume(np.zeros((1, 2, 2, 2), np.float32), voxel_size_nm=(1.0, 1.0, 1.0))
    assert isinstance(heat, Volume)
    assert len(pick(heat, PickOptions(("a",))).compute(scheduler="sync")) == 0


def test_options_refuse() -> None:
    with pytest.raises(ConfigError, match="classes are a, a; name each channel"):
        PickOptions(("a", "a"))
    with pytest.raises(ConfigError, match="threshold is given for c, the classes are a, b"):
        PickOptions(("a", "b"), threshold={"c": 0.2})
    with pytest.raises(ConfigError, match=r"kernel is \(4, 4, 4\); give odd"):
        PickOptions(("a",), kernel=4)
    with pytest.raises(ConfigError, match="distances of 0 or more"):
        PickOptions(("a",), exclusion_nm=-1.0)
    with pytest.raises(ConfigError, match="across_classes needs exclusion_nm"):
        PickOptions(("a",), across_classes=True)
    with pytest.raises(ConfigError, match="threshold is nan; give finite"):
        PickOptions(("a",), threshold=float("nan"))
    with pytest.raises(ConfigError, match="target_offset is inf"):
        PickOptions(("a",), target_offset=float("inf"))


def test_a_map_whose_header_states_no_voxel_size(tmp_path) -> None:
    mrcfile = pytest.importorskip("mrcfile")
    heat = np.zeros((4, 4, 4), np.float32)
    heat[1, 2, 3] = 0.9
    with mrcfile.new(tmp_path / "heat.mrc") as file:
        file.set_data(heat)
    with pytest.raises(GeometryError, match="heat.mrc does not say how large its voxels are; open"):
        pick(open_volume(tmp_path / "heat.mrc"), PickOptions(("a",)))
    stated = open_volume(tmp_path / "heat.mrc", voxel_size_nm=(2.0, 1.0, 1.0))
    found = pick(stated, PickOptions(("a",))).compute(scheduler="sync")
    assert found.iloc[0, :3].tolist() == [2.0, 2.0, 3.0]
