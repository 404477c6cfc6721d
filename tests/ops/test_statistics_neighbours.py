"""Distances of points on disk: those of all points in memory, however they are divided."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from volkit.errors import GeometryError
from volkit.kernels.nearest import neighbour_distances
from volkit.ops.statistics_neighbours import PointStore


def met_apart(folder: Path, points, cuts, most: int, ranks=(1, 2, 3)) -> np.ndarray:
    store = PointStore(folder, most)
    for part in np.split(points, cuts):
        store.add(part)
    return np.concatenate(list(store.distances(ranks)))


def scattered(seed: int, count: int, kind: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "even":
        return rng.random((count, 3)) * (4, 1, 9)
    if kind == "lattice":  # equally far, but for rounding
        return 77.7 + rng.integers(0, 5, (count, 3)) * (1170.3, 1170.1, 1170.2)
    points = rng.standard_normal((count, 3)) ** 5  # dense within, and far outliers
    points[: count // 3, 0] = 0
    return points


@settings(max_examples=25)
@given(
    st.integers(0, 2**16),
    st.integers(0, 90),
    st.sampled_from(["even", "lattice", "outliers"]),
    st.lists(st.integers(0, 90), max_size=4),
    st.sampled_from([2, 9, 40, 1000]),
)
def test_every_division_gives_the_distances_of_all(
    tmp_path_factory, seed, count, kind, cuts, most
) -> None:
    points = scattered(seed, count, kind)
    cuts = sorted(min(c, count) for c in cuts)
    found = met_apart(tmp_path_factory.getbasetemp(), points, cuts, most)
    np.testing.assert_array_equal(found, neighbour_distances(points))
    if count > 3:  # one leaf: every pair is looked at
        near = cKDTree(points, leafsize=count).query(points, k=4)[0]
        np.testing.assert_array_equal(found, near[:, 1:])


def test_only_groups_that_are_near_are_read(tmp_path, monkeypatch) -> None:
    """Those beside each, of 64: reading grows with the volume, not faster."""
    points = np.random.default_rng(4).random((64 * 40, 3))
    cells = (points * 4).astype(int) @ (16, 4, 1)
    parts = [points[cells == n] for n in range(64)]
    read = []
    original = PointStore._read
    monkeypatch.setattr(PointStore, "_read", lambda *a: read.append(a[1]) or original(*a))
    store = PointStore(tmp_path)
    for part in parts:
        store.add(part)
    found = np.concatenate(list(store.distances((1,))))
    assert np.array_equal(found, neighbour_distances(np.concatenate(parts), ranks=(1,)))
    beside = [min(c + 2, 4) - max(c - 1, 0) for c in range(4)]
    assert 64 < len(read) <= sum(a * b * c for a in beside for b in beside for c in beside)


def test_what_is_no_place_is_refused(tmp_path) -> None:
    with pytest.raises(GeometryError, match="finite coordinates"):
        PointStore(tmp_path).add(np.array([[1.0, np.nan, 0.0]]))
