"""Peaks: by hand, against the definition written out, against scikit-image, and in blocks."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from volkit.errors import GeometryError
from volkit.geometry import Box, Grid
from volkit.kernels.peaks import are_peaks, peaks, peaks_and_nans


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


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_nan_is_counted_on_the_way(dtype) -> None:
    rng = np.random.default_rng(8)
    values = rng.random((4, 5, 150)).astype(dtype)
    values[rng.random(values.shape) < 0.1] = np.nan
    box = Box((1, 0, 3), (4, 4, 141))
    expected = np.isnan(values[box.slices]).sum()
    assert expected > 100
    for threshold in (-1.0, 0.5, 2.0, 1e300):  # above which is everything, some, nothing
        _, _, nans = peaks_and_nans(values, radius=2, threshold=threshold, within=box)
        assert nans == expected
    assert peaks_and_nans(np.ones((2, 2, 90), np.uint8), radius=1, threshold=2)[2] == 0


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


@given(small, radii, st.data())
def test_within_a_box_only(values, radius, data) -> None:
    start = data.draw(st.tuples(*[st.integers(0, n - 1) for n in values.shape]))
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, values.shape, strict=True))
    box = Box(start, stop)
    inside = [
        p
        for p in points_of(values, radius=radius, threshold=0)
        if all(a <= i < b for a, i, b in zip(start, p, stop, strict=True))
    ]
    assert points_of(values, radius=radius, threshold=0, within=box) == inside


@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", "u8", "f2", "f4", "f8"])
def test_thresholds_are_exact_in_every_type(dtype) -> None:
    values = np.array([[[0, 1, 0]]], dtype)
    for threshold, found in ((0.999, 1), (1.0, 0), (1e300, 0), (np.inf, 0), (np.nan, 0), (-1, 1)):
        assert len(points_of(values, radius=1, threshold=threshold)) == found
    tenth = np.array([[[0.1]]], "f4")  # a little more than 0.1
    assert points_of(tenth, radius=0, threshold=0.1) == [(0, 0, 0)]
    assert points_of(tenth, radius=0, threshold=float(np.float32(0.1))) == []
    lowest = np.array([[[np.iinfo(np.int16).min]]], np.int16)
    assert points_of(lowest, radius=0, threshold=-np.inf) == [(0, 0, 0)]


def test_long_rows_are_searched_to_their_end() -> None:
    values = np.zeros((1, 2, 200), np.float32)
    values[0, 1, [0, 63, 66, 127, 131, 199]] = [3, 1, 2, 5, 4, 1]
    assert [x for _, _, x in points_of(values, radius=3, threshold=0)] == [0, 66, 127, 131, 199]


def test_refuses_a_box_outside() -> None:
    with pytest.raises(GeometryError, match="choose a box inside it"):
        peaks(np.zeros((2, 2, 2)), radius=1, threshold=0, within=Box((0, 0, 0), (2, 2, 3)))


@given(small, radii)
def test_each_voxel_asked_for_alone(values, radius) -> None:
    voxels = np.argwhere(np.ones(values.shape, bool))
    found = voxels[are_peaks(values, voxels, radius=radius)]
    assert [tuple(p) for p in found.tolist()] == points_of(values, radius=radius, threshold=-1)
