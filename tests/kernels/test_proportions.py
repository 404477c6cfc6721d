"""Proportions: against scipy and the numbers of the publication."""

import pytest
from scipy.stats import binomtest

from volkit.errors import ContractError
from volkit.kernels.proportions import corrected_share, predictive_value, wilson_interval


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 1000), (10, 10), (1, 2), (17, 400)])
def test_wilson_is_that_of_scipy(count: int, total: int) -> None:
    theirs = binomtest(count, total).proportion_ci(0.9, method="wilson")
    assert wilson_interval(count, total, level=0.9) == pytest.approx((theirs.low, theirs.high))


def test_nothing_counted_says_nothing() -> None:
    assert wilson_interval(0, 0) == (0, 1)
    with pytest.raises(ContractError, match="give counts from 0 to the total"):
        wilson_interval(3, 2)


def test_three_of_four_calls_are_false_at_the_prevalence_of_stalls() -> None:
    # 0.85 x 0.003 = 0.00255 right, 0.007 x 0.997 = 0.006979 wrong.
    found = predictive_value(sensitivity=0.85, specificity=0.993, prevalence=0.003)
    assert found == pytest.approx(0.00255 / (0.00255 + 0.006979))
    seen = 0.00255 + 0.006979
    assert corrected_share(seen, sensitivity=0.85, specificity=0.993) == pytest.approx(0.003)


def test_a_corrected_share_stays_a_share_and_chance_is_refused() -> None:
    assert corrected_share(0.0, sensitivity=0.85, specificity=0.993) == 0
    assert corrected_share(1.0, sensitivity=0.85, specificity=0.993) == 1
    with pytest.raises(ContractError, match="no better than chance"):
        corrected_share(0.1, sensitivity=0.5, specificity=0.5)
    with pytest.raises(ContractError, match="prevalence is 3"):
        predictive_value(sensitivity=1, specificity=1, prevalence=3)
