"""Targets by hand."""

import numpy as np
import pytest
from scipy import ndimage

from volkit.errors import ConfigError
from volkit.training.targets import boundary_map


def row(*labels: int) -> np.ndarray:
    return np.array(labels)[None, None]


@pytest.mark.parametrize(
    ("width", "expected"), [(1, [0, 0, 0, 1, 1, 0, 0, 0]), (2, [0, 0, 1, 1, 1, 1, 0, 0])]
)
def test_width_reaches_to_both_sides(width, expected) -> None:
    found = boundary_map(row(1, 1, 1, 1, 2, 2, 2, 2), width=width)
    assert found.ravel().astype(int).tolist() == expected


def test_zero_is_boundary_whatever_lies_around_it() -> None:
    assert boundary_map(np.zeros((3, 3, 3), np.uint32)).all()
    assert boundary_map(row(1, 1, 0, 1, 1)).ravel().astype(int).tolist() == [0, 1, 1, 1, 0]


def test_one_segment_has_no_boundary() -> None:
    assert not boundary_map(np.full((3, 4, 5), 2**40, np.uint64)).any()


def test_all_axes_count_alike() -> None:
    labels = np.ones((5, 5, 5), np.uint16)
    labels[2, 2, 2] = 2
    expected = ndimage.generate_binary_structure(3, 1)
    np.testing.assert_array_equal(boundary_map(labels)[1:4, 1:4, 1:4], expected)


def test_width_equals_city_block_distance() -> None:
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(1, 4, (3, 3, 3)), np.ones((4, 4, 4), int))
    steps = np.full(labels.shape, 99)
    for label in np.unique(labels):
        away = ndimage.distance_transform_cdt(labels == label, metric="taxicab")
        steps = np.where(labels == label, away, steps)
    for width in (1, 2, 3):
        np.testing.assert_array_equal(boundary_map(labels, width=width), steps <= width)


def test_no_width_is_refused() -> None:
    with pytest.raises(ConfigError, match="width 0 of the boundary"):
        boundary_map(row(1, 2), width=0)


@pytest.mark.parametrize("width", [1, 2])
def test_planar_boundaries_are_those_of_every_section_alone(width) -> None:
    labels = np.random.default_rng(2).integers(0, 5, (4, 12, 9)).repeat(3, 2)
    found = boundary_map(labels, width=width, planar=True)
    alone = [boundary_map(section[None], width=width)[0] for section in labels]
    np.testing.assert_array_equal(found, alone)
