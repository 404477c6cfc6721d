"""Matching: by hand, against brute force, scipy's trees and its assignment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree

from volkit.errors import ConfigError, GeometryError
from volkit.kernels.assignment import assign
from volkit.kernels.matching import hit_curve, match_counts, matched
from volkit.kernels.neighbours import neighbours

places = st.lists(st.tuples(*[st.integers(-4, 4)] * 3), max_size=14)


def as_points(rows):
    return np.array(rows, float).reshape(-1, 3)


@given(places, places, st.integers(1, 5))
def test_neighbours_equal_brute_force(a, b, radius) -> None:
    a, b = as_points(a), as_points(b)
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    c, r = np.nonzero(squared <= radius**2)
    found = neighbours(a, b, radius=radius)
    assert found[0].tolist() == c.tolist()
    assert found[1].tolist() == r.tolist()
    assert found[2].tolist() == squared[c, r].tolist()


def test_neighbours_equal_a_tree_far_from_the_origin() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.random((n, 3)) * 50 + [1e6, -3e5, 0] for n in (900, 700))
    c, r, squared = neighbours(a, b, radius=4.0)
    theirs = KDTree(b).query_ball_point(a, 4.0, return_sorted=True)
    assert c.tolist() == [i for i, row in enumerate(theirs) for _ in row]
    assert r.tolist() == [j for row in theirs for j in row]
    np.testing.assert_allclose(squared, ((a[c] - b[r]) ** 2).sum(1))
    assert len(c) > 500


@given(
    st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.5, 1])
)
def test_assignment_has_most_pairs_and_then_least_cost(n, m, seed, share) -> None:
    rng = np.random.default_rng(seed)
    cost, allowed = rng.integers(0, 9, (n, m)).astype(float), rng.random((n, m)) < share
    c, r = np.nonzero(allowed)
    of_reference = assign(c, r, cost[c, r], candidates=n, references=m)
    used = np.flatnonzero(of_reference >= 0)
    picked = of_reference[used]
    assert len({*picked.tolist()}) == len(picked)
    assert allowed[picked, used].all()
    dense = np.where(allowed, cost - 1000, 0)
    rows, columns = linear_sum_assignment(dense)
    assert (cost[picked, used] - 1000).sum() == dense[rows, columns].sum()


def test_one_to_one_takes_the_nearer_and_gives_way_for_more_pairs() -> None:
    references = as_points([(0, 0, 0), (0, 0, 10)])
    assert matched(as_points([(0, 0, 1), (0, 0, 2)]), references, radius=3).tolist() == [0, -1]
    # The second reference can only have the candidate that the first is nearest to.
    candidates = as_points([(0, 0, 4.5), (0, 0, -5)])
    assert matched(candidates, references, radius=5.5).tolist() == [1, 0]


def test_counts_by_hand() -> None:
    one, two = as_points([(0, 0, 0)]), as_points([(0, 0, 3), (0, 0, -3)])
    assert match_counts(one, two, radius=3) == (2, -1, 0)
    assert match_counts(one, two, radius=3, match="one_to_one") == (1, 0, 1)
    assert match_counts(two, one, radius=3) == (1, 1, 0)
    assert match_counts(two, one, radius=2.999) == (0, 2, 1)
    nothing = as_points([])
    for match in ("czii", "one_to_one"):
        assert match_counts(nothing, two, radius=3, match=match) == (0, 0, 2)
        assert match_counts(two, nothing, radius=3, match=match) == (0, 2, 0)
        assert match_counts(nothing, nothing, radius=3, match=match) == (0, 0, 0)


@given(places, places, st.integers(0, 2**32 - 1), st.sampled_from(["czii", "one_to_one"]))
def test_the_curve_is_what_counting_at_each_threshold_gives(a, b, seed, match) -> None:
    a, b = as_points(a), as_points(b)
    scores = np.random.default_rng(seed).integers(0, 5, len(a)) / 4
    thresholds = np.array([0.3, 0.0, 1.0, -1.0, 0.5])
    hits, kept = hit_curve(a, scores, b, radius=2.5, thresholds=thresholds, match=match)
    for n, threshold in enumerate(thresholds):
        alone = match_counts(a[scores > threshold], b, radius=2.5, match=match)
        assert (hits[n], kept[n] - hits[n], len(b) - hits[n]) == alone


def test_the_curve_one_to_one_on_a_crowd() -> None:
    rng = np.random.default_rng(4)
    candidates, references = rng.random((400, 3)) * 10, rng.random((250, 3)) * 10
    scores, thresholds = rng.random(400), np.linspace(0, 1, 7)
    options = {"radius": 0.9, "match": "one_to_one"}
    hits, _ = hit_curve(candidates, scores, references, thresholds=thresholds, **options)
    alone = [match_counts(candidates[scores > t], references, **options)[0] for t in thresholds]
    assert hits.tolist() == alone


def test_refuses() -> None:
    one = np.zeros((1, 3))
    with pytest.raises(ConfigError, match="match is 'best'; choose czii or one_to_one"):
        match_counts(one, one, radius=1, match="best")
    with pytest.raises(GeometryError, match="radius is 0; give a finite distance above 0"):
        match_counts(one, one, radius=0)
    with pytest.raises(GeometryError, match="1 of 1 references are not finite"):
        match_counts(one, one * np.nan, radius=1)
    with pytest.raises(GeometryError, match="thresholds are NaN"):
        hit_curve(one, np.ones(1), one, radius=1, thresholds=np.array([np.nan]))
    with pytest.raises(GeometryError, match="a candidate outside 0 to 0"):
        assign(np.array([1]), np.array([0]), np.ones(1), candidates=1, references=1)
    with pytest.raises(GeometryError, match="costs are negative, infinite or NaN"):
        assign(np.array([0]), np.array([0]), -np.ones(1), candidates=1, references=1)
    with pytest.raises(GeometryError, match="2 candidates, 1 references and 1 costs"):
        assign(np.array([0, 0]), np.array([0]), np.ones(1), candidates=1, references=1)
