"""Blending weights (law 7)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.errors import GeometryError
from volkit.geometry import Box, Windows
from volkit.kernels.blend import (
    axis_weights,
    check_coverage,
    normalised_weights,
    plane_weights,
    weight_sums,
    window_weights,
)

WEIGHTINGS = ("gaussian", "linear", "hann", "constant", "pyramid")  # positive everywhere


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("extent", [1, 2, 7, 128])
def test_weights_are_positive_and_symmetric(weighting, extent) -> None:
    weights = axis_weights(extent, weighting)
    assert weights.min() > 0
    assert weights.max() <= 1
    np.testing.assert_allclose(weights, weights[::-1])


def test_corners_of_large_windows_keep_their_weight_in_float32() -> None:
    assert window_weights((64, 64, 64), "gaussian").min() > np.finfo(np.float32).tiny


@st.composite
def lattices(draw):
    window = draw(st.tuples(*[st.integers(1, 9)] * 3))
    stride = tuple(draw(st.integers(1, n)) for n in window)
    margin = draw(st.integers(0, 2))
    domain = Box.from_shape(
        draw(st.tuples(*[st.integers(1, 20)] * 3)), draw(st.tuples(*[st.integers(-5, 5)] * 3))
    )
    return Windows(domain, tuple(n + 2 * margin for n in window), stride, (margin,) * 3)


def added(windows, weights_of):
    """Visit every window, and add up what it weighs at every voxel of the domain."""
    total = np.zeros(windows.domain.shape)
    for index in np.ndindex(*windows.counts):
        trusted = windows.trusted_box(index)
        part = trusted.intersect(windows.domain)
        weight = weights_of(index)[part.relative_to(trusted).slices]
        total[part.relative_to(windows.domain).slices] += weight
    return total


@given(windows=lattices(), weighting=st.sampled_from((*WEIGHTINGS, "pyramid-published")))
@settings(max_examples=30)
def test_sums_are_those_of_all_windows(windows, weighting) -> None:
    weight = window_weights(windows.trusted, weighting)
    sums = weight_sums(windows, windows.domain, weighting)
    np.testing.assert_allclose(sums, added(windows, lambda index: weight), rtol=1e-5, atol=1e-12)


def covered(windows, weighting) -> bool:
    try:
        check_coverage(windows, weighting)
    except GeometryError:
        return False
    return True


@given(windows=lattices(), weighting=st.sampled_from((*WEIGHTINGS, "pyramid-published")))
@settings(max_examples=40)
def test_weights_of_a_voxel_sum_to_one_or_it_has_none(windows, weighting) -> None:
    """And a voxel without any is refused beforehand, whatever the size of the domain."""

    def weights_of(index):
        z, plane = normalised_weights(windows, index, weighting)
        return z[:, None, None] * plane

    total = added(windows, weights_of)
    has_some = added(windows, lambda index: window_weights(windows.trusted, weighting)) > 0
    np.testing.assert_allclose(total, has_some, rtol=1e-6, atol=1e-12)
    assert covered(windows, weighting) == has_some.all()
    assert has_some.all() or weighting == "pyramid-published"


def test_a_voxel_without_weight_is_named() -> None:
    windows = Windows(Box.from_shape((9, 30, 9), (5, 0, 0)), (4, 6, 4), (2, 6, 2))
    with pytest.raises(GeometryError, match=r"leave voxel 5 of axis z without any; choose weights"):
        check_coverage(windows, "pyramid-published")
    check_coverage(windows, "pyramid")


def test_the_pyramid_is_square_and_the_published_one_ends_in_zeros() -> None:
    assert plane_weights((5, 5), "pyramid").round(3).tolist() == [
        [0.333, 0.333, 0.333, 0.333, 0.333],
        [0.333, 0.667, 0.667, 0.667, 0.333],
        [0.333, 0.667, 1.0, 0.667, 0.333],
        [0.333, 0.667, 0.667, 0.667, 0.333],
        [0.333, 0.333, 0.333, 0.333, 0.333],
    ]
    assert axis_weights(5, "pyramid-published").tolist() == [0, 0.5, 1, 0.5, 0]
    np.testing.assert_array_equal(
        plane_weights((3, 5), "pyramid-published"), [[0] * 5, [0, 0.5, 1, 0.5, 0], [0] * 5]
    )


def test_hann_windows_at_half_their_extent_sum_to_one_by_themselves() -> None:
    weights = axis_weights(8, "hann")
    np.testing.assert_allclose(weights[:4] + weights[4:], 1)


@given(start=st.tuples(*[st.integers(0, 9)] * 3), shape=st.tuples(*[st.integers(1, 9)] * 3))
def test_sums_of_a_box_are_a_part_of_the_whole(start, shape) -> None:
    windows = Windows(Box.from_shape((18, 18, 18)), (6, 5, 4), (3, 2, 4))
    box = Box.from_shape(shape, start)
    whole = weight_sums(windows, windows.domain, "gaussian")
    np.testing.assert_array_equal(weight_sums(windows, box, "gaussian"), whole[box.slices])


def test_an_unknown_weighting_names_the_known() -> None:
    with pytest.raises(ValueError, match="gaussian"):
        axis_weights(3, "round")  # type: ignore[arg-type]
