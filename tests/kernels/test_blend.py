"""Blending weights (law 7)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.geometry import Box, Windows
from volkit.kernels.blend import axis_weights, weight_sums, window_weights

WEIGHTINGS = ("gaussian", "linear", "constant")


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("extent", [1, 2, 7, 128])
def test_weights_are_positive_and_symmetric(weighting, extent) -> None:
    weights = axis_weights(extent, weighting)
    assert weights.min() > 0
    assert weights.max() <= 1
    np.testing.assert_allclose(weights, weights[::-1])


def test_corners_of_large_windows_keep_their_weight_in_float32() -> None:
    assert window_weights((64, 64, 64), "gaussian").min() > np.finfo(np.float32).tiny


@given(
    shape=st.tuples(*[st.integers(1, 20)] * 3),
    window=st.tuples(*[st.integers(1, 9)] * 3),
    margin=st.integers(0, 2),
    start=st.tuples(*[st.integers(-5, 5)] * 3),
    data=st.data(),
)
def test_weights_of_a_voxel_sum_to_one(shape, window, margin, start, data) -> None:
    stride = tuple(data.draw(st.integers(1, n)) for n in window)
    weighting = data.draw(st.sampled_from(WEIGHTINGS))
    whole = tuple(n + 2 * margin for n in window)
    windows = Windows(Box.from_shape(shape, start), whole, stride, (margin,) * 3)
    weight = window_weights(windows.trusted, weighting)
    total = np.zeros(shape)
    for index in windows.touching(windows.domain):
        trusted = windows.trusted_box(index)
        part = trusted.intersect(windows.domain)
        total[part.relative_to(windows.domain).slices] += weight[part.relative_to(trusted).slices]
    sums = weight_sums(windows, windows.domain, weighting)
    np.testing.assert_allclose(total / sums, 1, rtol=1e-5)


@given(start=st.tuples(*[st.integers(0, 9)] * 3), shape=st.tuples(*[st.integers(1, 9)] * 3))
def test_sums_of_a_box_are_a_part_of_the_whole(start, shape) -> None:
    windows = Windows(Box.from_shape((18, 18, 18)), (6, 5, 4), (3, 2, 4))
    box = Box.from_shape(shape, start)
    whole = weight_sums(windows, windows.domain, "gaussian")
    np.testing.assert_array_equal(weight_sums(windows, box, "gaussian"), whole[box.slices])


def test_an_unknown_weighting_names_the_known() -> None:
    with pytest.raises(ValueError, match="gaussian"):
        axis_weights(3, "round")  # type: ignore[arg-type]
