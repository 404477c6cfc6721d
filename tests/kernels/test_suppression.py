"""Suppression: by hand, and against the definition written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.errors import GeometryError
from volkit.kernels.suppression import suppress


def slow(points, scores, radius):
    kept: list[int] = []
    for i in sorted(range(len(points)), key=lambda n: (-scores[n], n)):
        if all(((points[i] - points[j]) ** 2).sum() > radius[j] ** 2 for j in kept):
            kept.append(i)
    return kept


# Whole numbers, so that distances equal to radii are no accident.
places = st.tuples(*[st.integers(-6, 6)] * 3)
rows = st.lists(st.tuples(places, st.integers(0, 3), st.integers(0, 5)), max_size=30)


@given(rows, st.sampled_from([1.0, 1e-3, 1e6]))
def test_equals_the_definition(rows, unit) -> None:
    points = np.array([row[0] for row in rows], float).reshape(-1, 3)
    scores, radius = (np.array([row[n] for row in rows], float) for n in (1, 2))
    scaled = unit * points, scores
    if unit == 1:
        assert suppress(*scaled, radius=radius).tolist() == slow(points, scores, radius)
    # Half a unit more, so that rounding does not matter.
    assert suppress(*scaled, radius=unit * (radius + 0.05)).tolist() == slow(
        points, scores, radius + 0.05
    )


def test_the_radius_of_the_better_point_counts() -> None:
    points = np.array([[0, 0, 0], [0, 0, 4.0]])
    assert suppress(points, np.array([1, 2]), radius=np.array([9.0, 3.0])).tolist() == [1, 0]
    assert suppress(points, np.array([2, 1]), radius=np.array([9.0, 3.0])).tolist() == [0]


def test_a_point_that_was_removed_removes_none() -> None:
    points = np.array([[0, 0, x] for x in (0.0, 3.0, 6.0)])
    assert suppress(points, np.array([3, 2, 1]), radius=4).tolist() == [0, 2]


def test_equals_the_definition_for_many_points_far_from_the_origin() -> None:
    rng = np.random.default_rng(3)
    points = rng.random((600, 3)) * 30 + [-1e6, 2e6, 0]
    scores = rng.integers(0, 5, 600).astype(float)
    assert suppress(points, scores, radius=2.5).tolist() == slow(points, scores, [2.5] * 600)


def test_refuses_what_cannot_be_ordered_or_measured() -> None:
    one = np.zeros((1, 3))
    with pytest.raises(GeometryError, match="1 of them NaN"):
        suppress(one, np.array([np.nan]), radius=1)
    with pytest.raises(GeometryError, match=r"row 0: \(0.0, nan, 0.0\)"):
        suppress(np.array([[0, np.nan, 0]]), np.ones(1), radius=1)
    with pytest.raises(GeometryError, match="finite distances of 0 or more"):
        suppress(one, np.ones(1), radius=-1)
    with pytest.raises(GeometryError, match=r"shape \(1, 2\); give one row"):
        suppress(one[:, :2], np.ones(1), radius=1)
    assert suppress(np.empty((0, 3)), np.empty(0), radius=1).tolist() == []
