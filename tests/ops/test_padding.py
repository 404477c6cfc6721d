"""Padding: what windows see beyond a domain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.geometry import Box, Windows
from volkit.ops.padding import cut_window, padding_advice

coords = st.tuples(*[st.integers(1, 6)] * 3)


@given(shape=coords, window=coords, start=st.tuples(*[st.integers(-4, 4)] * 3), data=st.data())
def test_a_window_is_cut_out_of_the_padded_domain(shape, window, start, data) -> None:
    """Whatever else was read, and as `numpy.pad` of the domain within what reflects once."""
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    domain, box = Box.from_shape(shape), Box.from_shape(window, start)
    if not box.intersect(domain).size:
        return
    padding = data.draw(st.sampled_from(["edge", "constant"]))
    seen = cut_window(image, domain, box, domain=domain, padding=padding)
    padded = np.pad(image, 10, mode=padding)
    np.testing.assert_array_equal(seen[0], padded[box.shift((10, 10, 10)).slices])
    inside = box.intersect(domain)
    less = cut_window(image[inside.slices], inside, box, domain=domain, padding=padding)
    np.testing.assert_array_equal(less, seen)


def test_a_window_larger_than_the_domain_is_said_to_be_padded() -> None:
    domain = Box.from_shape((4, 9, 3))
    (text,) = padding_advice(Windows(domain, (8, 8, 8), (4, 4, 4)), "edge")
    assert text.startswith("infer.window [8, 8, 8] is larger than the domain on axis z (4 voxels)")
    assert "x (3 voxels): what is missing is padded (infer.padding: edge)" in text
    (text,) = padding_advice(Windows(domain, (8, 8, 8), (4, 4, 4)), "none")
    assert "is cut off" in text
    assert not list(padding_advice(Windows(domain, (4, 8, 3), (2, 4, 3)), "edge"))


@pytest.mark.parametrize("padding", ["reflect", "edge", "constant"])
def test_channels_stay(padding) -> None:
    image = np.zeros((2, 3, 3, 3), np.uint8)
    domain = Box.from_shape((3, 3, 3))
    seen = cut_window(image, domain, Box((-1, 0, 0), (3, 4, 9)), domain=domain, padding=padding)
    assert seen.shape == (2, 4, 4, 9)
