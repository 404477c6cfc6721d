import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from volkit.kernels.distinct import distinct, first_of_runs, ranked

IDS = st.integers(0, 2**64 - 1) | st.integers(0, 5)


@given(st.lists(IDS, max_size=30))
def test_ids_and_their_ranks_are_those_of_numpy(ids) -> None:
    given_ids = np.array(ids, np.uint64)
    kept = given_ids.copy()
    expected, inverse = np.unique(given_ids, return_inverse=True)
    found, ranks = ranked(given_ids)
    assert found.tolist() == distinct(given_ids).tolist() == expected.tolist()
    assert ranks.tolist() == inverse.tolist()
    assert (found.dtype, ranks.dtype) == (np.uint64, np.int64)
    np.testing.assert_array_equal(given_ids, kept)


def test_ids_that_do_not_lie_in_one_piece() -> None:
    ids = np.array([[9, 0], [4, 0], [9, 0]], np.uint64)[:, 0]
    assert distinct(ids).tolist() == [4, 9]
    assert ranked(ids)[1].tolist() == [1, 0, 1]


def test_runs_end_where_any_column_changes() -> None:
    columns = np.array([1, 1, 1, 2]), np.array([5, 5, 6, 6])
    assert first_of_runs(*columns).tolist() == [True, False, True, True]
    assert first_of_runs(columns[0][:0]).tolist() == []
