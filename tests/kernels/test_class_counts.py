"""Counts of classes, their shapes, and what sections show of cells: brute force, for any grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import euler_number

from volkit.errors import ContractError
from volkit.geometry import Box, Grid
from volkit.kernels.class_counts import add_class_counts, class_counts
from volkit.kernels.class_shapes import (
    add_class_shapes,
    class_shapes,
    length_of,
    surface_of,
)
from volkit.kernels.section_cells import add_section_cells, section_cells

SHAPE = (7, 13, 70)
BLOCKS = st.tuples(st.integers(2, 8), st.integers(4, 14), st.integers(9, 71))
BINS = st.tuples(st.integers(1, 4), st.integers(3, 14), st.integers(7, 71))


def tissue(seed: int):
    field = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(SHAPE), 1)
    classes = np.digitize(field, np.quantile(field, [0.5, 0.7, 0.9])).astype(np.uint8)
    regions = (np.arange(SHAPE[2]) // 23 + 10 * (np.arange(SHAPE[1])[:, None] // 5))[None]
    return classes, np.broadcast_to(regions, SHAPE).astype(np.uint16)


def same(a, b) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


@settings(max_examples=20)
@given(st.integers(0, 9), BLOCKS, BINS, st.sampled_from([1, 2, 300]), st.booleans())
def test_counts_are_those_of_brute_force_for_any_grid(seed, block, bins, factor, by_region) -> None:
    classes, regions = tissue(seed)
    labels = classes.astype(np.uint32) * factor
    origin = (3, 4, 5)
    parts = [
        class_counts(
            labels[b.write.slices],
            bins,
            regions=regions[b.write.slices] if by_region else None,
            start=b.write.shift(origin).start,
            origin=origin,
        )
        for b in Grid(Box.from_shape(SHAPE), block)
    ]
    table = add_class_counts(parts)
    places = np.indices(SHAPE) // np.array(bins)[:, None, None, None]
    areas = regions if by_region else np.zeros_like(regions)
    rows, counts = np.unique(
        np.stack([*places, areas, labels]).reshape(5, -1).T, axis=0, return_counts=True
    )
    names = ("z_bin", "y_bin", "x_bin", "region", "label")
    assert np.array_equal(np.stack([table[name] for name in names], axis=1), rows)
    assert np.array_equal(table["voxels"], counts)


@settings(max_examples=20)
@given(st.integers(0, 9), BLOCKS, BINS)
def test_shapes_add_up_for_any_grid(seed, block, bins) -> None:
    classes, _ = tissue(seed)
    grid = Grid(Box.from_shape(SHAPE), block, halo=(1, 1, 1))
    parts = [
        class_shapes(
            classes[b.read.slices],
            b.write.relative_to(b.read),
            labels=[1, 3],
            bins=bins,
            start=b.write.start,
        )
        for b in grid
    ]
    whole = class_shapes(classes, Box.from_shape(SHAPE), labels=[1, 3], bins=bins)
    assert same(add_class_shapes(parts), whole)


@pytest.mark.parametrize("seed", range(3))
def test_shapes_are_those_of_scikit_image(seed) -> None:
    classes, _ = tissue(seed)
    table = class_shapes(classes, Box.from_shape(SHAPE), labels=[1, 2, 3], bins=SHAPE)
    for row, label in enumerate(table["label"]):
        mask = classes == label
        assert table["euler"][row] == euler_number(mask, connectivity=1)
        for axis, name in enumerate("zyx"):
            steps = np.abs(np.diff(mask.astype(int), axis=axis)).sum()
            planes = [np.take(mask, i, axis=axis) for i in range(SHAPE[axis])]
            assert table[f"crossings_{name}"][row] == steps
            assert table[f"profiles_{name}"][row] == sum(euler_number(p, 1) for p in planes)


def test_a_ball_and_tubes_have_the_surface_and_length_of_geometry() -> None:
    z, y, x = np.ogrid[-12:13, -24:25, -24:25]
    ball = (2 * z) ** 2 + y**2 + x**2 < 20.3**2
    table = class_shapes(ball, Box.from_shape(ball.shape), labels=[1], bins=ball.shape)
    assert surface_of(table, (2, 1, 1))[0] == pytest.approx(4 * np.pi * 20.3**2, rel=0.01)
    assert surface_of(table, (200, 100, 100))[0] == pytest.approx(
        1e4 * surface_of(table, (2, 1, 1))
    )
    # Three straight tubes, one along each axis, are as isotropic as three can be.
    tubes = np.zeros((60, 60, 60), bool)
    tubes[:, 10, 10] = tubes[30, :, 30] = tubes[50, 50, :] = True
    table = class_shapes(tubes, Box.from_shape(tubes.shape), labels=[1], bins=tubes.shape)
    # A tube is one profile in each of the 60 planes across it, and one in a plane along each side.
    assert length_of(table, (1, 1, 1))[0] == pytest.approx((180 + 6) * 2 / 3)


@settings(max_examples=20)
@given(st.integers(0, 9), BLOCKS, st.tuples(st.integers(3, 14), st.integers(5, 71)))
def test_section_cells_are_those_of_brute_force_for_any_grid(seed, block, tile) -> None:
    classes, _ = tissue(seed)
    cells, _ = ndimage.label(classes == 3)
    parts = [
        section_cells(cells[b.write.slices], tile, start=b.write.start)
        for b in Grid(Box.from_shape(SHAPE), block)
    ]
    table = add_section_cells(parts)
    z, y, x = np.nonzero(cells)
    keys = np.stack([z, y // tile[0], x // tile[1], cells[z, y, x]], axis=1)
    rows, inverse = np.unique(keys, axis=0, return_inverse=True)
    names = ("z", "y_bin", "x_bin", "id")
    assert np.array_equal(np.stack([table[name] for name in names], axis=1), rows)
    assert np.array_equal(table["pixels"], np.bincount(inverse.ravel(), minlength=len(rows)))
    assert np.array_equal(table["sum_y"], np.bincount(inverse.ravel(), y, len(rows)))
    assert np.array_equal(table["sum_x"], np.bincount(inverse.ravel(), x, len(rows)))


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(ContractError, match="class labels are float64, which are not ids"):
        class_counts(np.zeros((1, 1, 1)), (1, 1, 1))
    with pytest.raises(ContractError, match="class labels are float64, which are not ids"):
        class_shapes(np.zeros((1, 1, 1)), Box.from_shape((1, 1, 1)), labels=[1], bins=(1, 1, 1))
    with pytest.raises(ContractError, match="5,000 labels in one block: these look like objects"):
        class_counts(np.arange(5000).reshape(1, 1, -1), (1, 1, 5000))
    with pytest.raises(ContractError, match="bins of \\(0, 1, 1\\)"):
        class_counts(np.zeros((1, 1, 1), np.uint8), (0, 1, 1))
