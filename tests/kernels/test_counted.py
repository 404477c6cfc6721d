"""Voxels that count, by object and by segment: added up by place or in order, the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from volkit.kernels.counted import counted

ROWS = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 40), st.integers(1, 2**60)), min_size=1)


@pytest.mark.parametrize("spread", [1, 2**33, 2**58])
@given(rows=ROWS)
def test_sums_are_those_of_a_slow_count_however_far_ids_lie_apart(rows, spread) -> None:
    rows = sorted({(true, pred * spread): n for true, pred, n in rows}.items())
    true, pred = (np.array([pair[n] for pair, _ in rows], np.uint64) for n in (0, 1))
    count = np.array([n for _, n in rows], np.int64)
    found = counted({"true": true, "pred": pred, "count": count}, "ignore", "ignore")
    for ids, sums, row in ((true, found.true, found.true_row), (pred, found.pred, found.pred_row)):
        slow = {
            int(i): sum(n for j, n in zip(ids, count.tolist(), strict=True) if j == i) for i in ids
        }
        # In the order of the ids, each once.
        assert sums.tolist() == [slow[i] for i in sorted(slow)]
        assert row.tolist() == [sorted(slow).index(int(i)) for i in ids]
