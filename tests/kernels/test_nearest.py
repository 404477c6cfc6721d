"""Nearest neighbours: the smallest floating-point distances, whatever tree or group finds them."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from volkit.kernels.nearest import (
    bring_nearer,
    gaps,
    neighbour_distances,
    packed,
    smallest_distances,
    span,
)


def every_pair(queries, points, count):
    """Measure as a tree does that is one leaf: it looks at all pairs, and prunes none."""
    return cKDTree(points, leafsize=len(points)).query(queries, k=[*range(1, count + 1)])[0]


def lattice(seed: int) -> np.ndarray:
    """Places whose neighbours are equally far, but for rounding, in every direction."""
    place = np.stack(np.meshgrid(*[np.arange(6.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points = 1234.7 + place * (1170.3, 1170.1, 1170.2)
    return points[np.random.default_rng(seed).permutation(len(points))]


def test_of_points_that_are_equally_far_the_nearest_is_found() -> None:
    points = lattice(0)
    known = every_pair(points, points, 4)[:, 1:]
    assert np.array_equal(neighbour_distances(points), known)
    cubic = (points - points.min(axis=0)).round(-1)  # 26 neighbours on three distances
    assert np.array_equal(neighbour_distances(cubic), every_pair(cubic, cubic, 4)[:, 1:])


def test_random_points_have_the_distances_of_scipy() -> None:
    points = np.random.default_rng(1).random((700, 3)) * (40, 900, 5)
    known = cKDTree(points).query(points, k=6)[0]
    assert np.array_equal(neighbour_distances(points, ranks=(2, 5)), known[:, [2, 5]])


@pytest.mark.parametrize("seed", range(4))
def test_points_that_come_in_groups_are_those_of_all(seed) -> None:
    rng = np.random.default_rng(seed)
    points = lattice(seed)[:120] if seed % 2 else rng.random((120, 3)) ** 3
    points[7:11] = points[3]  # at one place
    found = np.full((120, 3), np.inf)
    for rows in np.split(points, np.sort(rng.integers(1, 119, 5))):
        if len(rows):
            bring_nearer(found, points, rows)
    assert np.array_equal(found, every_pair(points, points, 3))
    assert np.array_equal(found, smallest_distances(points, points, count=3))


def test_groups_are_small_in_space_and_hold_every_point_once() -> None:
    points = np.random.default_rng(2).random((1000, 3)) * (1, 8, 1)
    groups = packed(points, 130)
    assert [len(g) for g in groups] == [125] * 8
    assert np.array_equal(np.sort(np.concatenate(groups)), np.arange(1000))
    sides = np.array([np.ptp(points[g], axis=0) for g in groups])
    assert (sides[:, 1] < 1.2).all()  # the longest axis is cut, again and again
    assert packed(points[:0], 3) == []
    same = packed(np.zeros((5, 3)), 2)  # at one place
    assert sorted(np.concatenate(same).tolist()) == [0, 1, 2, 3, 4]
    assert max(len(g) for g in same) == 2


def test_gaps_are_never_longer_than_distances() -> None:
    a, b = np.random.default_rng(3).random((2, 50, 3)) * 5
    b[:, 0] += 6
    gap = gaps(a, a, *span(b))
    assert (gap <= every_pair(a, b, 1)[:, 0]).all()
    assert gap.min() > 1
