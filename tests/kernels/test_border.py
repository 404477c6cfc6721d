"""Borders: by brute force, and for sections that have none."""

import numpy as np
from hypothesis import given, settings

from volkit.kernels.border import near_border, section_components, thinned
from volkit.kernels.boundary import label_edges
from volkit.testing.strategies import label_volumes


@settings(max_examples=15)
@given(label_volumes((2, 6, 7), dtype=np.uint8))
def test_near_is_within_the_distance_of_a_border_pixel_of_the_section(labels) -> None:
    edges = label_edges(labels)
    expected = np.zeros(labels.shape, bool)
    for z, y, x in np.ndindex(labels.shape):
        j, i = np.nonzero(edges[z])
        expected[z, y, x] = bool(((j - y) ** 2 + (i - x) ** 2 <= 1.5**2).any())
    assert np.array_equal(near_border(labels, distance=1.5), expected)


def test_a_section_of_one_label_has_no_border() -> None:
    assert not near_border(np.ones((2, 4, 4), int), distance=9).any()
    assert (thinned(np.zeros((1, 3, 3), int)) == 0).all()


def test_thinning_leaves_segments_apart_and_keeps_their_ids() -> None:
    labels = np.zeros((1, 5, 9), np.uint32)
    labels[0, :, :2], labels[0, :, 6:] = 2**31, 7
    thin = thinned(labels)
    assert set(np.unique(thin).tolist()) == {0, 7, 2**31}
    assert np.count_nonzero(thin == 0) == 5
    parts = section_components(thin > 0)
    assert parts.max() == 2
