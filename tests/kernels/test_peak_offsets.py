"""Offsets of peaks: by hand, and exact on parabolas."""

import numpy as np

from volkit.kernels.peak_offsets import peak_offsets


def test_finds_the_top_of_a_paraboloid() -> None:
    z, y, x = np.indices((9, 9, 9))
    values = 10 - (z - 4.3) ** 2 - 2 * (y - 3.9) ** 2 - (x - 5.0) ** 2
    found = peak_offsets(values, np.array([[4, 4, 5]]))
    np.testing.assert_allclose(found, [[0.3, -0.1, 0]], atol=1e-12)


def test_two_equal_voxels_meet_half_way() -> None:
    values = np.array([[[0, 7, 7, 0]]], np.float32)
    assert peak_offsets(values, np.array([[0, 0, 1]])).tolist() == [[0, 0, 0.5]]


def test_is_none_at_faces_on_plateaus_and_beside_nan() -> None:
    values = np.array([[[5, 1, 2, 2, 2, 1, np.nan, 3, 1, 6]]])
    points = np.array([[0, 0, x] for x in (0, 3, 7, 9)])
    assert peak_offsets(values, points).tolist() == [[0, 0, 0]] * 4


def test_a_larger_neighbour_leaves_the_point_where_it_is() -> None:
    assert peak_offsets(np.array([[[1, 2, 3]]]), np.array([[0, 0, 1]])).tolist() == [[0, 0, 0]]


def test_integers_do_not_wrap_and_nothing_is_nothing() -> None:
    values = np.array([[[0, 255, 255]]], np.uint8)
    assert peak_offsets(values, np.array([[0, 0, 1]])).tolist() == [[0, 0, 0.5]]
    assert peak_offsets(values, np.empty((0, 3), np.int64)).shape == (0, 3)
