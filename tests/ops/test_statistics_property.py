"""Every statistic of any label volume, in any grid, beside what others say of the whole of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from skimage.measure import euler_number, label, regionprops_table

from volkit.geometry import Box, Grid, VoxelScale
from volkit.kernels.class_statistics import section_features
from volkit.ops.statistics import Tables, table_of, tissue_tables
from volkit.ops.statistics_cells import class_components
from volkit.ops.statistics_dataset import grid_dataset
from volkit.ops.statistics_distances import with_distances
from volkit.ops.statistics_objects import object_frame
from volkit.ops.statistics_regions import Interval, region_frame
from volkit.ops.statistics_shapes import shape_frame

SIZE = (40.0, 10.0, 8.0)
CLASSES = {"vessel": 1, "cell": 2, "axon": 3}
BINS = (1, 5, 6)
CONNECTIVITY = {6: 1, 18: 2, 26: 3}


def random_volumes(seed: int, shape, share: float):
    """Voxels without any order, so that cells are thin, many, and of every form."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(4, shape, p=[1 - share, share / 4, share / 2, share / 4]).astype(np.uint8)
    regions = rng.integers(1, 4, (1, 1, shape[2])).astype(np.uint8)
    image = rng.integers(0, 2**16, shape).astype(np.uint16)
    return classes, np.broadcast_to(regions, shape).copy(), image


def gathered(classes, regions, image, *, block, connectivity):
    grid = Grid(Box.from_shape(classes.shape), block)
    cells = class_components(classes, [2], connectivity=connectivity, grid=grid)
    cells = cells.compute(scheduler="synchronous")
    volumes = {"classes": classes, "cells": cells, "regions": regions, "image": image}
    tables = Tables(BINS, shapes=(1, 2, 3), tile=BINS[1:])
    return tissue_tables(volumes, tables, grid=grid).compute(scheduler="synchronous"), cells


@settings(max_examples=12)
@given(
    st.integers(0, 2**16),
    st.tuples(st.integers(1, 5), st.integers(2, 13), st.integers(2, 15)),
    st.tuples(st.integers(1, 5), st.integers(1, 13), st.integers(1, 15)),
    st.sampled_from([6, 18, 26]),
    st.sampled_from([0.0, 0.1, 0.5]),
)
def test_every_statistic_is_that_of_the_whole(seed, shape, block, connectivity, share) -> None:
    classes, regions, image = random_volumes(seed, shape, share)
    columns, cells = gathered(classes, regions, image, block=block, connectivity=connectivity)
    whole = label(classes == 2, connectivity=CONNECTIVITY[connectivity])
    assert np.array_equal(cells > 0, whole > 0)
    assert len(np.unique(cells)) == len(np.unique(whole))
    frame = object_frame(
        table_of(columns, "objects"),
        domain=Box.from_shape(shape),
        scale=VoxelScale(SIZE),
        regions=table_of(columns, "overlap"),
    )
    frame = with_distances(frame, physical=True)
    check_objects(frame, whole, image, regions)
    check_regions(columns, frame, classes, regions)
    check_shapes(columns, classes)
    check_grid(columns, frame, classes)
    check_sections(columns, classes, whole)


def check_objects(frame, whole, image, regions) -> None:
    """One row for each cell: both sides sort cells by their first voxel."""
    assert len(frame) == whole.max()
    if not len(frame):
        return
    names = ("area", "bbox", "centroid", "intensity_mean", "intensity_min", "intensity_max")
    known = regionprops_table(whole, image, properties=names)
    assert frame["voxels"].tolist() == known["area"].tolist()
    for k, name in enumerate(("z_start", "y_start", "x_start", "z_stop", "y_stop", "x_stop")):
        assert frame[name].tolist() == known[f"bbox-{k}"].tolist()
    centres = np.stack([known[f"centroid-{k}"] for k in range(3)], axis=1)
    np.testing.assert_allclose(frame[list("zyx")], centres, atol=1e-9)
    np.testing.assert_allclose(frame[["z_nm", "y_nm", "x_nm"]], centres * SIZE, atol=1e-7)
    np.testing.assert_allclose(frame["volume_nm3"], known["area"] * np.prod(SIZE))
    for ours, theirs in (("mean", "mean"), ("lowest", "min"), ("highest", "max")):
        np.testing.assert_allclose(frame[f"intensity_{ours}"], known[f"intensity_{theirs}"])
    limit = np.array(whole.shape)
    for n in range(len(frame)):
        places = np.argwhere(whole == n + 1)
        assert frame["at_border"][n] == bool(((places == 0) | (places == limit - 1)).any())
        np.testing.assert_allclose(
            frame["intensity_deviation"][n], image[whole == n + 1].std(), atol=1e-6
        )
        ids, times = np.unique(regions[whole == n + 1], return_counts=True)
        assert frame["region"][n] == ids[times.argmax()]
        # A solid ellipsoid of semi-axis a has the variance a^2 / 5 along it.
        spread = np.linalg.eigvalsh(np.cov(places.T * np.array(SIZE)[:, None], bias=True))[::-1]
        axes = frame.loc[n, ["long_axis_nm", "middle_axis_nm", "short_axis_nm"]].to_numpy(float)
        np.testing.assert_allclose(axes, 2 * np.sqrt(5 * spread.clip(0)), atol=1e-3)
    near = np.full((len(frame), 3), np.nan)
    found = cKDTree(centres * SIZE).query(centres * SIZE, k=min(4, len(frame)))[0]
    if len(frame) > 1:
        near[:, : found.shape[1] - 1] = found[:, 1:]
    np.testing.assert_allclose(frame[[f"distance_{k}_nm" for k in (1, 2, 3)]], near, atol=1e-6)


def check_regions(columns, frame, classes, regions) -> None:
    found = region_frame(
        table_of(columns, "counts"),
        frame,
        classes=CLASSES,
        voxel_size_nm=SIZE,
        interval=Interval(level=0),
        names={"none": 9},
    )
    assert found["region"].tolist() == [*np.unique(regions).tolist(), 9]
    for row in found.itertuples():
        mine = regions == row.region
        assert row.voxels == mine.sum()
        own = frame[frame["region"] == row.region]
        assert (row.cells, row.cells_at_border) == (len(own), own["at_border"].sum())
        if not mine.any():
            assert np.isnan([row.vessel_fraction, row.cell_voxels, row.cells_per_mm3]).all()
            continue
        for name, number in CLASSES.items():
            assert getattr(row, f"{name}_fraction") == (classes[mine] == number).mean()
        volume = mine.sum() * np.prod(SIZE) / 1e18  # cubic millimetres
        assert row.cells_per_mm3 == pytest.approx(len(own) / volume)
        for ours, theirs in (("cell_voxels", "voxels"), ("distance_1_nm", "distance_1_nm")):
            np.testing.assert_allclose(getattr(row, ours), own[theirs].mean())
            np.testing.assert_allclose(getattr(row, f"{ours}_sd"), own[theirs].std(), rtol=1e-9)


def check_shapes(columns, classes) -> None:
    found = shape_frame(
        table_of(columns, "shapes"),
        table_of(columns, "counts"),
        classes=CLASSES,
        voxel_size_nm=SIZE,
    ).set_index("class")
    a, b, c = (s / 1000 for s in SIZE)
    for name, number in CLASSES.items():
        mask = classes == number
        steps = [np.abs(np.diff(mask.astype(int), axis=k)).sum() for k in range(3)]
        area = 2 / 3 * (steps[0] * b * c + steps[1] * a * c + steps[2] * a * b)
        planes = [
            sum(euler_number(np.take(mask, i, axis=k), 1) for i in range(mask.shape[k]))
            for k in range(3)
        ]
        row = found.loc[name]
        assert row["surface_um2"] == pytest.approx(area)
        assert row["surface_per_volume"] == pytest.approx(area / (mask.size * a * b * c))
        assert row["length_um"] == pytest.approx(2 / 3 * np.dot(planes, (a, b, c)))
        assert row["euler"] == euler_number(mask, connectivity=1)


def check_grid(columns, frame, classes) -> None:
    domain = Box.from_shape(classes.shape)
    found = grid_dataset(
        {name: table_of(columns, name) for name in ("counts", "shapes")},
        classes=CLASSES,
        bins=BINS,
        domain=domain,
        scale=VoxelScale(SIZE),
        cells=frame,
    )
    count = np.zeros(found["voxels"].shape, int)
    for point in np.floor(frame[list("zyx")].to_numpy() + 0.5).astype(int):
        count[tuple(point // np.array(BINS))] += 1
    assert np.array_equal(found["cells"], count)
    for z, y, x in np.ndindex(found["voxels"].shape):
        part = classes[z, y * 5 : y * 5 + 5, x * 6 : x * 6 + 6]
        assert found["voxels"][z, y, x] == part.size
        for name, number in CLASSES.items():
            assert found[f"{name}_fraction"][z, y, x] == (part == number).mean()


def check_sections(columns, classes, whole) -> None:
    counts, cells = table_of(columns, "counts"), table_of(columns, "sections")
    modes = {
        mode: section_features(
            counts, cells, classes=CLASSES, tile=BINS[1:], mode=mode, pixel_size=SIZE[1:]
        )
        for mode in ("published", "corrected")
    }
    tiles = modes["corrected"]
    for n, (z, y, x) in enumerate(zip(*(tiles[k] for k in ("z", "y_bin", "x_bin")), strict=True)):
        part = np.s_[z, y * 5 : y * 5 + 5, x * 6 : x * 6 + 6]
        ids, sizes = np.unique(whole[part][whole[part] > 0], return_counts=True)
        centres = np.array([np.argwhere(whole[part] == i).mean(0) for i in ids]).reshape(-1, 2)
        share = 100 * (classes[part] == 1).sum()
        assert tiles["vessel_percent"][n] == share / classes[part].size
        old = modes["published"]
        assert [m["cells"][n] for m in modes.values()] == [len(ids)] * 2
        np.testing.assert_equal(old["vessel_percent"][n], share / 30 if share else np.nan)
        size = sizes.mean() if len(ids) else np.nan
        np.testing.assert_allclose(tiles["cell_size"][n], size)
        assert old["cell_size"][n] == pytest.approx(size if len(ids) > 1 else 0)
        near = np.full(3, np.nan)
        if len(ids) > 1:
            found = cKDTree(centres * SIZE[1:]).query(centres * SIZE[1:], k=min(4, len(ids)))[0]
            near[: found.shape[1] - 1] = found[:, 1:].mean(axis=0)
            half = cKDTree(centres).query(centres, k=2)[0].mean()
        expected = (half, half) if len(ids) > 1 else (64.0, 0.0)
        assert (old["distance_1"][n], old["distance_3"][n]) == pytest.approx(expected)
        np.testing.assert_allclose([tiles[f"distance_{k}"][n] for k in (1, 2, 3)], near)
