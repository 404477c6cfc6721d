"""Peaks: by hand, against the definition written out, against scikit-image, and in blocks."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from volkit.errors import GeometryError
from volkit.geometry import Box, Grid
from volkit.kernels.peaks import peaks


def slow(values, radius, threshold):
    """Say the definition aloud: larger than the threshold, and first among the largest around."""
    found = []
    for point in product(*(range(n) for n in values.shape)):
        window = tuple(slice(max(0, p - r), p + r + 1) for p, r in zip(point, radius, strict=True))
        start = [s.start for s in window]
        largest = np.unravel_index(np.argmax(values[window]), values[window].shape)
        first = tuple(int(a + b) for a, b in zip(start, largest, strict=True))
        if values[point] > threshold and first == point:
            found.append(point)
    return found


def points_of(*args, **options):
    return [tuple(p) for p in peaks(*args, **options)[0].tolist()]


small = hnp.arrays(
    np.int16, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7), elements=st.integers(0, 4)
)
radii = st.tuples(*[st.integers(0, 3)] * 3)


def test_by_hand() -> None:
    values = np.zeros((3, 3, 3), np.float32)
    values[1, 1, 1] = 2
    values[0, 0, 0] = 1
    points, scores = peaks(values, radius=1, threshold=0.5)
    assert points.tolist() == [[1, 1, 1]]
    assert scores.tolist() == [2]
    assert scores.dtype == np.float32
    assert points_of(values, radius=0, threshold=0.5) == [(0, 0, 0), (1, 1, 1)]


def test_the_first_voxel_of_a_plateau_wins() -> None:
    values = np.zeros((4, 4, 4), np.uint8)
    values[1:3, 1:3, 1:3] = 9
    assert points_of(values, radius=1, threshold=0) == [(1, 1, 1)]
    assert points_of(np.ones((2, 2, 5)), radius=1, threshold=0) == [(0, 0, 0)]


def test_the_threshold_itself_is_no_peak() -> None:
    assert points_of(np.full((1, 1, 1), 3), radius=1, threshold=3) == []


@given(small, radii, st.integers(-1, 3))
def test_equals_the_definition(values, radius, threshold) -> None:
    assert points_of(values, radius=radius, threshold=threshold) == slow(values, radius, threshold)


@given(small, radii, st.tuples(*[st.integers(1, 7)] * 3))
def test_blocks_with_a_halo_of_the_radius_find_the_same(values, radius, block_shape) -> None:
    found = []
    for block in Grid(Box.from_shape(values.shape), block_shape, halo=radius):
        points, _ = peaks(values[block.read.slices], radius=radius, threshold=0)
        found += [
            tuple(point)
            for point in (points + block.read.start).tolist()
            if block.write.contains(Box.from_shape((1, 1, 1), point))
        ]
    assert sorted(found) == points_of(values, radius=radius, threshold=0)


def test_equals_scikit_image_where_no_values_are_equal() -> None:
    feature = pytest.importorskip("skimage.feature")
    values = np.random.default_rng(5).random((12, 14, 16))
    theirs = feature.peak_local_max(values, min_distance=2, threshold_abs=0.5, exclude_border=False)
    assert points_of(values, radius=2, threshold=0.5) == sorted(map(tuple, theirs.tolist()))


def test_nan_is_no_peak_and_hides_none() -> None:
    values = np.full((1, 1, 5), np.nan)
    values[0, 0, 2] = 1
    assert points_of(values, radius=2, threshold=0) == [(0, 0, 2)]


def test_any_memory_layout_and_byte_order() -> None:
    values = np.random.default_rng(6).random((5, 6, 7))
    expected = points_of(values, radius=1, threshold=0)
    assert points_of(np.asfortranarray(values), radius=1, threshold=0) == expected
    assert points_of(values.astype(">f8"), radius=1, threshold=0) == expected


def test_refuses_planes_and_negative_radii() -> None:
    with pytest.raises(GeometryError, match=r"array of shape \(3, 3\) with a radius"):
        peaks(np.zeros((3, 3)), radius=1, threshold=0)
    with pytest.raises(GeometryError, match="radius of 0 or more"):
        peaks(np.zeros((3, 3, 3)), radius=-1, threshold=0)
