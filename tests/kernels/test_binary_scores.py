"""Scores of yes-or-no answers: against scikit-learn, and numbers known by hand."""

import numpy as np
import pytest
from sklearn import metrics

from volkit.errors import ContractError
from volkit.kernels.binary_scores import (
    PUBLISHED_THRESHOLDS,
    BinaryScores,
    average_precision,
    best_threshold,
    precision_recall,
    roc_area,
    scores_at,
)


def examples(seed: int, *, ties: bool):
    rng = np.random.default_rng(seed)
    truth = rng.random(300) < 0.2
    given = np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 1)
    return (np.round(given, 1) if ties else given), truth


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_scikit_learn(seed: int, ties: bool) -> None:
    given, truth = examples(seed, ties=ties)
    weight = np.random.default_rng(9).integers(0, 4, len(truth))
    assert roc_area(given, truth) == pytest.approx(metrics.roc_auc_score(truth, given))
    assert roc_area(given, truth, weight=weight) == pytest.approx(
        metrics.roc_auc_score(truth, given, sample_weight=weight)
    )
    assert average_precision(given, truth, weight=weight) == pytest.approx(
        metrics.average_precision_score(truth, given, sample_weight=weight)
    )
    found = scores_at(given, truth, 0.5, weight=weight)
    said = given >= 0.5
    assert found.mcc == pytest.approx(metrics.matthews_corrcoef(truth, said, sample_weight=weight))
    assert found.sensitivity == pytest.approx(
        metrics.recall_score(truth, said, sample_weight=weight)
    )
    assert found.precision == pytest.approx(
        metrics.precision_score(truth, said, sample_weight=weight)
    )
    assert found.specificity == pytest.approx(
        metrics.recall_score(~truth, ~said, sample_weight=weight)
    )
    right, recall, threshold = metrics.precision_recall_curve(truth, given)
    mine = precision_recall(given, truth)
    np.testing.assert_allclose(mine[0][::-1], threshold)
    np.testing.assert_allclose(mine[1][::-1], right[:-1])
    np.testing.assert_allclose(mine[2][::-1], recall[:-1])


def test_mcc_is_zero_without_a_denominator_and_exact_for_large_counts() -> None:
    assert BinaryScores(0.5, 0, 0, 5, 10).mcc == 0
    many = 10**9
    assert BinaryScores(0.5, many, 0, 0, many).mcc == pytest.approx(1)
    assert BinaryScores(0.5, 0, many, many, 0).mcc == pytest.approx(-1)


def test_the_best_threshold_is_the_lowest_of_the_best() -> None:
    given = np.array([0.1, 0.2, 0.8, 0.9])
    found = best_threshold(given, np.array([False, False, True, True]))
    assert (found.threshold, found.mcc) == (0.21, pytest.approx(1))
    assert (PUBLISHED_THRESHOLDS[0], PUBLISHED_THRESHOLDS[-1]) == (0.02, 0.97)


def test_one_class_has_no_area_and_strange_values_are_refused() -> None:
    ones = np.ones(3, bool)
    assert np.isnan(roc_area(np.full(3, 0.5), ones))
    assert np.isnan(average_precision(np.full(3, 0.5), ~ones))
    assert np.isnan(scores_at(np.full(3, 0.5), ones, 0.4).specificity)
    with pytest.raises(ContractError, match="NaN or outside 0 to 1"):
        roc_area(np.array([0.5, 1.5]), ones[:2])
