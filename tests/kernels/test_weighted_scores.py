"""Weighted scores beside the scores of examples that are really there so often."""

import numpy as np
import pytest
from sklearn import metrics

from volkit.errors import ContractError
from volkit.kernels.binary_scores import scores_at
from volkit.kernels.calibration_scores import reliability
from volkit.kernels.weighted_scores import COUNTED, FREE, weighted_score

RNG = np.random.default_rng(3)
SAID = np.round(RNG.random(60), 2)
TRUTH = (SAID + RNG.normal(0, 0.4, 60)) > 0.5
WEIGHT = RNG.integers(0, 4, 60).astype(float)


def repeated() -> tuple[np.ndarray, np.ndarray]:
    times = WEIGHT.astype(int)
    return np.repeat(SAID, times), np.repeat(TRUTH, times)


@pytest.mark.parametrize("name", COUNTED + FREE)
def test_a_weight_is_a_number_of_copies(name) -> None:
    said, truth = repeated()
    found = weighted_score(name, SAID, TRUTH, threshold=0.4)(WEIGHT)
    again = weighted_score(name, said, truth, threshold=0.4)(np.ones(len(said)))
    assert found == pytest.approx(again, rel=1e-12)


def test_scores_are_those_of_scikit_learn() -> None:
    once, call = np.ones(60), SAID >= 0.4
    expected = {
        "accuracy": metrics.accuracy_score(TRUTH, call),
        "balanced_accuracy": metrics.balanced_accuracy_score(TRUTH, call),
        "sensitivity": metrics.recall_score(TRUTH, call),
        "specificity": metrics.recall_score(~TRUTH, ~call),
        "precision": metrics.precision_score(TRUTH, call),
        "f1": metrics.f1_score(TRUTH, call),
        "mcc": metrics.matthews_corrcoef(TRUTH, call),
        "auc": metrics.roc_auc_score(TRUTH, SAID),
        "ap": metrics.average_precision_score(TRUTH, SAID),
        "brier": metrics.brier_score_loss(TRUTH, SAID),
        "ece": reliability(SAID, TRUTH).expected_error,
    }
    assert expected.keys() == set(COUNTED + FREE)
    for name, value in expected.items():
        found = weighted_score(name, SAID, TRUTH, threshold=0.4)(once)
        assert found == pytest.approx(value, rel=1e-12), name


def test_what_is_not_defined_is_nan() -> None:
    only = TRUTH.astype(float)
    for name in ("balanced_accuracy", "specificity", "auc"):
        assert np.isnan(weighted_score(name, SAID, TRUTH)(only)), name
    for name in ("accuracy", "brier", "ece"):
        assert np.isnan(weighted_score(name, SAID, TRUTH)(np.zeros(60))), name
    assert np.isnan(scores_at(SAID, TRUTH & False, 1.1).f1)


def test_unknown_scores_are_refused() -> None:
    with pytest.raises(ContractError, match="there is no score 'gini'; choose one of accuracy"):
        weighted_score("gini", SAID, TRUTH)
