"""Calibration: against scikit-learn, and numbers known by hand."""

import json

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from volkit.errors import ContractError
from volkit.kernels.binary_scores import roc_area
from volkit.kernels.calibration import METHODS, Calibrator, fit_calibrator, with_prior
from volkit.kernels.calibration_scores import brier, reliability


def examples(seed: int, *, count: int = 4000, ties: bool = False):
    """An over-confident network: its logits are twice those of the truth, and shifted."""
    rng = np.random.default_rng(seed)
    true_logit = rng.normal(-1.0, 1.5, count)
    given = expit(2 * true_logit + 0.5)
    return (np.round(given, 2) if ties else given), rng.random(count) < expit(true_logit)


@pytest.mark.parametrize("ties", [False, True])
def test_isotonic_is_that_of_scikit_learn(ties: bool) -> None:
    given, truth = examples(0, ties=ties)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(given, truth)
    asked = np.linspace(0, 1, 1001)
    mine = fit_calibrator(given, truth)
    np.testing.assert_allclose(mine(asked), theirs.predict(asked), atol=1e-9)
    assert (np.diff(mine(asked)) >= 0).all()


def test_centred_steps_are_those_of_hand_and_rank_as_the_network_does() -> None:
    # Steps: {0.1, 0.2: 0 of 2}, {0.4, 0.5, 0.9: 1 of 3} since 1, 0, 0 violate, {0.95: 1 of 1}.
    given = np.array([0.1, 0.2, 0.4, 0.5, 0.9, 0.95])
    mine = fit_calibrator(given, np.array([0, 0, 1, 0, 0, 1], bool), method="centred")
    np.testing.assert_allclose(mine.x, [0, 0.15, 0.6, 0.95, 1])
    np.testing.assert_allclose(mine.y, [0, 0.5 / 3, 1 / 3, 0.75, 1])
    assert mine(np.array([0.375]))[0] == pytest.approx(0.25)  # half way between two centres

    fitted, (other, truth) = fit_calibrator(*examples(6), method="centred"), examples(7)
    assert roc_area(fitted(other), truth) == roc_area(other, truth)
    stepped = fit_calibrator(*examples(6))
    assert len(np.unique(stepped(other))) < len(np.unique(fitted(other))) == len(other)
    assert (np.diff(fitted(np.linspace(0, 1, 2001))) > 0).all()


def test_platt_is_the_logistic_regression_of_scikit_learn_on_the_same_targets() -> None:
    given, truth = examples(1)
    up, down = truth.sum(), (~truth).sum()
    rows = np.repeat(logit(given), 2)[:, None]
    classes = np.tile([True, False], len(given))
    share = np.where(truth, (up + 1) / (up + 2), 1 / (down + 2))
    weights = np.stack([share, 1 - share], 1).ravel()
    theirs = LogisticRegression(C=np.inf, tol=1e-9, max_iter=1000).fit(rows, classes, weights)
    mine = fit_calibrator(given, truth, method="platt")
    np.testing.assert_allclose(mine.y, [theirs.coef_[0, 0], theirs.intercept_[0]], rtol=1e-4)
    assert mine.y == pytest.approx([0.5, -0.25], abs=0.1)


def test_temperature_is_the_logistic_regression_without_shift() -> None:
    given, truth = examples(2)
    theirs = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-9)
    theirs.fit(logit(given)[:, None], truth)
    mine = fit_calibrator(given, truth, method="temperature")
    assert 1 / mine.y[0] == pytest.approx(theirs.coef_[0, 0], rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_calibration_helps_on_other_examples_and_survives_json(method: str) -> None:
    fitted = fit_calibrator(*examples(3), method=method)
    given, truth = examples(4)
    before, after = reliability(given, truth), reliability(fitted(given), truth)
    assert after.expected_error < before.expected_error / 2
    assert brier(fitted(given), truth) < brier(given, truth)
    again = Calibrator.from_json(json.loads(json.dumps(fitted.to_json())))
    np.testing.assert_array_equal(again(given), fitted(given))
    assert again.prior == examples(3)[1].mean()


def test_brier_and_reliability_are_those_of_scikit_learn() -> None:
    given, truth = examples(5)
    assert brier(given, truth) == pytest.approx(brier_score_loss(truth, given))
    happened, said = calibration_curve(truth, given, n_bins=10)
    found = reliability(given, truth, bins=10)
    np.testing.assert_allclose(found.said, said)
    np.testing.assert_allclose(found.happened, happened)
    equal = reliability(given, truth, bins=8, binning="count")
    assert equal.count.tolist() == [500] * 8
    assert found.largest_error >= found.expected_error


def test_another_prior_multiplies_the_odds() -> None:
    given = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    np.testing.assert_allclose(with_prior(given, fitted=0.2, wanted=0.2), given, atol=1e-15)
    moved = with_prior(given, fitted=0.5, wanted=0.003)
    assert moved[[0, 4]].tolist() == [0.0, 1.0]
    assert moved[3] / (1 - moved[3]) == pytest.approx(9 * 0.003 / 0.997)


def test_examples_that_are_apart_give_finite_numbers() -> None:
    given, truth = np.array([0.0, 0.1, 0.9, 1.0]), np.array([0, 0, 1, 1], bool)
    for method in METHODS:
        fitted = fit_calibrator(given, truth, method=method)
        assert np.isfinite(fitted(given)).all()
        assert (np.diff(fitted(given)) >= 0).all()


def test_what_cannot_be_calibrated_is_refused() -> None:
    half = np.array([0.5, 0.5])
    with pytest.raises(ContractError, match="one class"):
        fit_calibrator(half, np.array([True, True]))
    with pytest.raises(ContractError, match="outside 0 to 1"):
        fit_calibrator(np.array([0.5, np.nan]), np.array([True, False]))
    with pytest.raises(ContractError, match="one of each"):
        brier(half, np.array([True]))
    with pytest.raises(ContractError, match="choose one of"):
        fit_calibrator(half, np.array([True, False]), method="beta")
    with pytest.raises(ContractError, match="bins of equal"):
        reliability(half, np.array([True, False]), bins=0)
    with pytest.raises(ContractError, match="priors"):
        with_prior(half, fitted=0.0, wanted=0.5)
    with pytest.raises(ContractError, match="no calibrator"):
        Calibrator.from_json({"method": "platt"})
    for method, x, y in (
        ("platt", [], [0.0]),
        ("platt", [], [1.0, np.nan]),
        ("isotonic", [0.1, np.nan], [0.2, 0.3]),
        ("temperature", [], [0.0]),
    ):
        with pytest.raises(ContractError, match="fit one"):
            Calibrator(method, np.array(x), np.array(y), 0.5)
