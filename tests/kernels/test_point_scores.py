"""Scores of points: numbers that a person can do in the head."""

import pytest

from volkit.errors import ConfigError
from volkit.kernels.point_scores import precision_recall_f, weighted_score


@pytest.mark.parametrize(
    ("hits", "false", "missed", "expected"),
    [
        (1, 1, 0, 17 / 18),  # P 1/2, R 1
        (1, 0, 1, 8.5 / 16.5),  # P 1, R 1/2
        (1, 9, 0, 17 / 26),  # P 1/10, R 1
        (0, 3, 2, 0),
        (0, 0, 0, 0),
        (0, 0, 5, 0),
    ],
)
def test_f4_by_hand(hits, false, missed, expected) -> None:
    assert precision_recall_f(hits, false, missed, beta=4)[2] == pytest.approx(expected, abs=1e-15)


def test_a_negative_count_of_false_positives_lifts_precision_above_one() -> None:
    precision, recall, f = precision_recall_f(2, -1, 0, beta=4)
    assert (precision, recall) == (2, 1)
    assert f == pytest.approx(34 / 33)


def test_beta_of_one_is_the_harmonic_mean() -> None:
    assert precision_recall_f([1, 2], [1, 0], [0, 2], beta=1)[2] == pytest.approx([2 / 3, 2 / 3])


def test_weights() -> None:
    f = {"a": 1.0, "b": 0.5, "c": 0.0}
    assert weighted_score(f, {"a": 1, "b": 2, "c": 0}) == pytest.approx(2 / 3)
    with pytest.raises(ConfigError, match="scores are of a, b, c, weights of a"):
        weighted_score(f, {"a": 1})
    with pytest.raises(ConfigError, match="not 0 for all"):
        weighted_score({"a": 1.0}, {"a": 0})
    with pytest.raises(ConfigError, match="beta is 0"):
        precision_recall_f(1, 1, 1, beta=0)
