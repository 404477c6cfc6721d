"""Group bootstrap: wide where groups differ, the same for the same seed."""

import numpy as np
import pytest

from volkit.errors import ContractError
from volkit.kernels.group_bootstrap import group_interval


def test_groups_that_differ_make_a_wide_interval_and_examples_of_one_group_do_not() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(20), 50)
    values = np.repeat(rng.normal(size=20), 50) + rng.normal(0, 0.01, 1000)

    def mean(weight):
        return (weight * values).sum() / weight.sum()

    low, high = group_interval(mean, group)
    # The mean of 20 groups of deviation 1: 1.96 / sqrt(20) on both sides.
    expected = 2 * 1.96 * values.reshape(20, 50).mean(1).std() / np.sqrt(20)
    assert high - low == pytest.approx(expected, rel=0.15)
    assert low < values.mean() < high
    narrow = group_interval(mean, np.arange(1000))
    assert narrow[1] - narrow[0] < 0.25 * (high - low)
    assert group_interval(mean, group, seed=1) != (low, high)
    assert group_interval(mean, group) == (low, high)


def test_draws_without_a_score_do_not_count_and_one_group_has_no_interval() -> None:
    first = group_interval(lambda w: np.nan if w[0] == 0 else 1.0, np.arange(4))
    assert first == (1.0, 1.0)
    assert np.isnan(group_interval(lambda w: 1.0, np.zeros(4))).all()
    with pytest.raises(ContractError, match="give a level between 0 and 1"):
        group_interval(lambda w: 1.0, np.arange(4), level=95)
