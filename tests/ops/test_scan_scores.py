"""Scores of scans: by hand, by level, with intervals over subjects; leakage measured."""

import numpy as np
import pandas as pd
import pytest

from volkit.errors import ContractError
from volkit.kernels.proportions import wilson_interval
from volkit.ops.scan_leakage import LEAKAGE, leakage_table, leakage_told
from volkit.ops.scan_predictive import PREDICTIVE, predictive_values
from volkit.ops.scan_scores import CONFUSION, SCAN_SCORES, confusion, scan_scores

# Two folds; subject a is positive with three scans, of which one is missed.
JUDGED = pd.DataFrame(
    {
        "scan": ["a1", "a2", "a3", "b1", "c1", "c2", "d1", "d2"],
        "subject": ["a", "a", "a", "b", "c", "c", "d", "d"],
        "fold": [0, 0, 0, 0, 1, 1, 1, 1],
        "positive": [True, True, True, False, True, True, False, False],
        "probability": [0.9, 0.8, 0.1, 0.2, 0.3, 0.4, 0.6, 0.2],
    }
)


def value(frame: pd.DataFrame, part: str, level: str, score: str) -> pd.Series:
    rows = frame.set_index(["part", "level", "score"])
    return rows.loc[(part, level, score)]


def test_scores_of_scans_and_of_subjects_by_hand() -> None:
    frame = scan_scores(JUDGED, draws=50)
    SCAN_SCORES.check(frame)
    # Scans: hits a1 a2, missed a3 c1 c2, false d1, rejected b1 d2.
    assert value(frame, "all", "scan", "accuracy")["value"] == 4 / 8
    assert value(frame, "all", "scan", "sensitivity")["value"] == 2 / 5
    assert value(frame, "all", "scan", "specificity")["value"] == pytest.approx(2 / 3)
    assert value(frame, "all", "scan", "precision")["value"] == pytest.approx(2 / 3)
    assert value(frame, "all", "scan", "f1")["value"] == pytest.approx(4 / 8)
    # Subjects: a 0.6 is hit, c 0.35 missed, b 0.2 and d 0.4 rejected.
    assert value(frame, "all", "subject", "accuracy")["value"] == 3 / 4
    assert value(frame, "all", "subject", "sensitivity")["value"] == 1 / 2
    assert value(frame, "all", "subject", "auc")["value"] == 3 / 4
    row = value(frame, "all", "subject", "accuracy")
    assert (row["examples"], row["positives"]) == (4, 2)
    assert (row["wilson_low"], row["wilson_high"]) == wilson_interval(3, 4)
    assert np.isnan(value(frame, "all", "scan", "auc")["wilson_low"])


def test_folds_have_a_mean_and_a_sample_deviation() -> None:
    frame = scan_scores(JUDGED, draws=50)
    each = [value(frame, f"fold {n}", "scan", "accuracy")["value"] for n in (0, 1)]
    assert each == [3 / 4, 1 / 4]
    mean = value(frame, "mean of folds", "scan", "accuracy")
    assert mean["value"] == 0.5
    assert mean["deviation"] == pytest.approx(np.std(each, ddof=1))
    assert np.isnan(value(frame, "fold 0", "scan", "accuracy")["low"])
    one = scan_scores(JUDGED.assign(fold=0), draws=50)
    assert set(one["part"]) == {"all"}


def test_intervals_over_subjects_are_wider_than_over_scans() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(40) < 0.7, 5)  # five scans of a subject share their fate
    positive = np.repeat(np.arange(40) % 2 == 0, 5)
    judged = pd.DataFrame(
        {
            "subject": np.repeat([f"s{n}" for n in range(40)], 5),
            "fold": 0,
            "positive": positive,
            "probability": np.where(right == positive, 0.8, 0.2),
        }
    )
    row = value(scan_scores(judged, draws=400), "all", "scan", "accuracy")
    boot, wilson = row["high"] - row["low"], row["wilson_high"] - row["wilson_low"]
    assert boot / wilson == pytest.approx(np.sqrt(5), rel=0.2)


def test_predictive_values_at_the_prevalence_of_the_scans_are_the_empirical_ones() -> None:
    frame = predictive_values(JUDGED, [5 / 8, 0.1], draws=20)
    PREDICTIVE.check(frame)
    rows = frame.set_index(["level", "prevalence"])
    assert rows.loc[("scan", 5 / 8), "ppv"] == pytest.approx(2 / 3)  # of 3 positive answers
    assert rows.loc[("scan", 5 / 8), "npv"] == pytest.approx(2 / 5)  # of 5 negative ones
    by_hand = 0.4 * 0.1 / (0.4 * 0.1 + (1 / 3) * 0.9)
    assert rows.loc[("scan", 0.1), "ppv"] == pytest.approx(by_hand)
    assert rows.loc[("scan", 0.1), "npv"] == pytest.approx(0.6 / (0.6 + 0.06))


def test_confusions_count_every_scan_and_subject() -> None:
    frame = confusion(JUDGED, ("CN", "AD"))
    CONFUSION.check(frame)
    rows = frame.set_index(["level", "truth", "said"])["count"]
    assert rows["scan"].to_dict() == {
        ("AD", "AD"): 2, ("AD", "CN"): 3, ("CN", "AD"): 1, ("CN", "CN"): 2}  # fmt: skip
    assert rows["subject"].sum() == 4


def test_what_is_leaked_is_what_the_same_scans_gain() -> None:
    rng = np.random.default_rng(1)
    positive = np.repeat(np.arange(60) % 2 == 0, 3)
    scans = pd.DataFrame(
        {
            "scan": [f"x{n}" for n in range(180)],
            "subject": np.repeat([f"s{n}" for n in range(60)], 3),
            "positive": positive,
            "probability": np.where(rng.random(180) < 0.7, positive, ~positive).astype(float),
        }
    )
    known = scans.assign(probability=positive.astype(float)).sample(frac=1, random_state=0)
    table = leakage_table(scans, known, known_subjects=0.95, draws=200)
    LEAKAGE.check(table)
    row = table.set_index("score").loc["accuracy"]
    honest = ((scans["probability"] > 0.5) == positive).mean()
    assert row["by_subject"] == pytest.approx(honest)
    assert row["by_scan"] == 1
    assert row["leaked"] == pytest.approx(1 - honest)
    assert row["leaked_low"] < row["leaked"] < row["leaked_high"]
    assert leakage_told(table).startswith(
        f"accuracy 1.000 with scans divided at random, {honest:.3f} with subjects divided: +"
    )
    assert "what knowing the subjects seems to add" in leakage_told(table)
    same = leakage_table(scans, scans, known_subjects=0, draws=50)
    assert "that could be chance" in leakage_told(same)


def test_tables_that_say_too_little_are_refused() -> None:
    with pytest.raises(ContractError, match="no column subject and fold"):
        scan_scores(JUDGED.drop(columns=["subject", "fold"]))
    with pytest.raises(ContractError, match="no scan was judged both ways"):
        leakage_table(JUDGED, JUDGED.assign(scan="other")[:1], known_subjects=0)
