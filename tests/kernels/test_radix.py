"""Sorting digit by digit, beside NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volkit.kernels.contingency import contingency
from volkit.kernels.radix import sorted_order, sorted_rows

IDS = st.sampled_from([0, 1, 511, 512, 513, 2**18, 2**32 - 1, 2**63, 2**64 - 1])


@given(pairs=st.lists(st.tuples(IDS, IDS), max_size=40))
@settings(max_examples=50)
def test_rows_are_in_order_and_equal_ones_stay_in_theirs(pairs) -> None:
    rows = np.array([(*pair, n) for n, pair in enumerate(pairs)], np.uint64).reshape(-1, 3)
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    np.testing.assert_array_equal(sorted_rows(rows.copy(), (0, 1)), rows[order])


@pytest.mark.parametrize("count", [0, 1, 3000, 20_000])
def test_the_order_is_that_of_lexsort(count: int) -> None:
    rng = np.random.default_rng(count)
    far, z = rng.random(count) < 0.5, rng.integers(0, 40, count)
    ids = rng.integers(0, 2**64, 50, np.uint64)[rng.integers(0, 50, count)]
    order = sorted_order(z, ids, far)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(order, np.lexsort((far, ids, z)))


@pytest.mark.parametrize("ids", [2, 40_000])
def test_a_table_that_outgrows_what_is_at_hand_counts_every_voxel(ids: int) -> None:
    # 1.3 M pairs of 40,000 ids never come twice in a row: room is made several times.
    rng = np.random.default_rng(0)
    true, pred = rng.integers(0, ids, (2, 1_300_000)).astype(np.uint32)
    table = contingency(true, pred)
    keys, counts = np.unique(true.astype(np.uint64) << 32 | pred, return_counts=True)
    np.testing.assert_array_equal(table["true"] << np.uint64(32) | table["pred"], keys)
    np.testing.assert_array_equal(table["count"], counts)
