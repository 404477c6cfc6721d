"""Deviations: against NumPy, whatever the cuts, and with what is no number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from volkit.errors import GeometryError
from volkit.kernels.deviation import block_deviation, deviation_scores

values = hnp.arrays(np.float32, (2, 3, 8), elements=st.floats(0, 1, width=32))


def scores(old, new, cuts=(), threshold=0.25):
    parts = zip(np.split(old, cuts, -1), np.split(new, cuts, -1), strict=True)
    rows = [block_deviation(i, a, b, threshold=threshold) for i, (a, b) in enumerate(parts)]
    columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return deviation_scores(columns, threshold=threshold)


@given(values, values, st.sets(st.integers(1, 7)))
def test_equals_numpy_however_it_is_cut(old, new, cuts) -> None:
    found = scores(old, new, sorted(cuts))
    apart = np.abs(old.astype(np.float64) - new)
    assert found.values == old.size
    assert found.unlike == np.count_nonzero(old != new)
    assert found.over == np.count_nonzero(apart > 0.25)
    assert found.largest == apart.max()
    assert found.mean == pytest.approx(apart.mean(), rel=1e-12, abs=1e-15)
    if min(old.std(), new.std()) > 1e-3:
        pair = np.corrcoef(old.astype(np.float64).ravel(), new.astype(np.float64).ravel())
        assert found.correlation == pytest.approx(pair[0, 1], abs=1e-9)


@given(values)
def test_nothing_is_between_a_map_and_itself(a) -> None:
    found = scores(a, a, (3,))
    assert (found.unlike, found.over, found.largest, found.mean) == (0, 0, 0.0, 0.0)
    assert np.isnan(found.correlation) or found.correlation == pytest.approx(1)


def test_what_is_no_number_counts_and_spoils_nothing() -> None:
    old = np.array([np.nan, np.nan, 1.0, 0.5, np.inf])
    new = np.array([np.nan, 0.0, 1.0, 0.0, np.inf])
    found = scores(old, new)
    assert (found.unlike, found.over, found.largest, found.mean) == (2, 2, 0.5, 0.25)


def test_integers_larger_than_a_float_holds_are_told_apart() -> None:
    assert scores(np.array([2**60]), np.array([2**60 + 1])).unlike == 1


def test_refuses_other_shapes() -> None:
    with pytest.raises(GeometryError, match="old values have shape"):
        block_deviation(0, np.zeros((1, 2)), np.zeros((2, 2)), threshold=0.1)
