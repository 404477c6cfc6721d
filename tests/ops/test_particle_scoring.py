"""Scoring of points: the challenge's own numbers, and what a person can count."""

import numpy as np
import pandas as pd
import pytest

from volkit.errors import ConfigError, ContractError, SourceError
from volkit.io.points.table import points_frame
from volkit.ops.particle_convention import CZII, PointConvention
from volkit.ops.particles import evaluate_points

ONE = PointConvention({"a": 6.0})

VECTORS = {
    "A_perfect": (1.0, {"apo-ferritin": (36, 0, 0), "beta-amylase": (21, 0, 0)}),
    "C_drop_every_3rd": (
        0.668277125562444,
        {
            "apo-ferritin": (24, 0, 12),
            "beta-amylase": (14, 0, 7),
            "beta-galactosidase": (16, 0, 8),
            "ribosome": (43, 0, 22),
            "thyroglobulin": (32, 0, 17),
            "virus-like-particle": (8, 0, 5),
        },
    ),
    "D_duplicates_x3": (0.894736842105263, {"ribosome": (65, 130, 0)}),
    "F_class_swap_ribosome_thyroglobulin": (
        0.571428571428571,
        {"ribosome": (0, 49, 65), "thyroglobulin": (0, 65, 49)},
    ),
    "G_shift_just_inside_half_radius_x": (1.0, {"virus-like-particle": (13, 0, 0)}),
}


def challenge_table(path):
    rows = pd.read_csv(path)
    centres = rows[["z", "y", "x"]].to_numpy() / 10
    return points_frame(centres, rows["particle_type"].tolist(), tomograms=rows["experiment"])


@pytest.mark.parametrize("name", VECTORS)
def test_the_challenge_scores(shared_data, name) -> None:
    folder = shared_data / "cryoet"
    truth = challenge_table(folder / "czii_ts99_9" / "solution.csv")
    pred = challenge_table(folder / "czii_fbeta_vectors" / f"{name}.csv")
    expected, counts = VECTORS[name]
    found = evaluate_points(pred, truth)
    assert found.score == pytest.approx(expected, abs=1e-15)
    assert len(truth) == 208
    classes = {each.name: each for each in found.classes}
    for kind, told in counts.items():
        assert (classes[kind].hits, classes[kind].false, classes[kind].missed) == told
    # Every score is 1, so that all thresholds of the line search but none above keep all.
    assert found.best_score == found.score
    if name == "D_duplicates_x3":
        assert found.score == pytest.approx(17 / 19, abs=1e-15)


def test_one_to_one_gives_the_same_where_no_point_serves_two(shared_data) -> None:
    folder = shared_data / "cryoet"
    truth = challenge_table(folder / "czii_ts99_9" / "solution.csv")
    alone = PointConvention(CZII.radius_nm, CZII.weight, match="one_to_one")
    for name, (expected, _) in VECTORS.items():
        pred = challenge_table(folder / "czii_fbeta_vectors" / f"{name}.csv")
        assert evaluate_points(pred, truth, convention=alone).score == pytest.approx(expected)


def test_a_distance_of_exactly_the_radius_counts_as_in_the_challenge() -> None:
    # Decimal ångström, by way of nanometres: compared as the floats that a CSV file gives.
    rng = np.random.default_rng(12)
    truth = np.round(np.array([0, 0, 4066]) + rng.random((400, 3)) * [20, 20, 30], 3)
    truth[:, :2] += 100 * np.stack(np.divmod(np.arange(400), 20), axis=1)
    truth = truth.round(3)
    step = np.array([0.0, 0.0, 30.0])
    inside = ((truth + step).round(3) - truth)[:, 2] <= 30.0
    assert 50 < inside.sum() < 350  # 4096 is passed, where floats become coarser
    pred = (truth + step).round(3)
    both = [points_frame(points / 10, "apo-ferritin") for points in (pred, truth)]
    assert evaluate_points(*both).classes[0].hits == inside.sum()


def test_one_pick_between_two_is_minus_one() -> None:
    truth = points_frame([[0, 0, 0], [0, 0, 5]], "a")
    found = evaluate_points(points_frame([[0, 0, 2.5]], "a"), truth, convention=ONE)
    each = found.classes[0]
    assert (each.hits, each.false, each.missed) == (2, -1, 0)
    assert found.score == pytest.approx(17 * 2 / (16 * 2 + 1))
    assert found.warnings == ("a: picks that find two true ones each count as -1 false ones",)
    fair = PointConvention({"a": 6.0}, match="one_to_one")
    each = evaluate_points(points_frame([[0, 0, 2.5]], "a"), truth, convention=fair).classes[0]
    assert (each.hits, each.false, each.missed) == (1, 0, 1)


def test_counts_add_up_over_tomograms_and_points_of_others_are_far() -> None:
    truth = points_frame([[0, 0, 0], [0, 0, 0]], "a", tomograms=["t1", "t2"])
    pred = points_frame([[0, 0, 0]] * 3, "a", tomograms=["t1", "t1", "t3"])
    found = evaluate_points(pred, truth, convention=ONE)
    each = found.classes[0]
    assert (each.hits, each.false, each.missed) == (1, 1, 1)
    assert found.tomograms[["tomogram", "hits", "false", "missed"]].to_numpy().tolist() == [
        ["t1", 1, 1, 0],
        ["t2", 0, 0, 1],
    ]
    assert found.warnings == ("picks of 1 tomogram(s) without truth do not count: t3",)
    more = evaluate_points(pred, truth, convention=ONE, tomograms=("t1", "t2", "t3"))
    assert more.classes[0].false == 2
    assert more.warnings == ()


@pytest.mark.parametrize("match", ["czii", "one_to_one"])
def test_the_curve_equals_scoring_what_is_above_each_threshold(match) -> None:
    rng = np.random.default_rng(5)
    how = PointConvention({"a": 6.0, "b": 4.0}, {"b": 3.0}, match=match)
    truth = points_frame(
        rng.random((120, 3)) * 40, ["a", "b"] * 60, tomograms=["t1"] * 60 + ["t2"] * 60
    )
    scores = rng.integers(0, 21, 300) / 20
    pred = points_frame(
        rng.random((300, 3)) * 40,
        ["a", "b", "b"] * 100,
        scores=scores,
        tomograms=["t2", "t1"] * 150,
    )
    found = evaluate_points(pred, truth, convention=how)
    for threshold, rows in found.curve.groupby("threshold"):
        alone = evaluate_points(pred[scores > threshold], truth, convention=how)
        expected = [(c.name, c.hits, c.false, c.missed, c.f) for c in alone.classes]
        kept = rows[["class", "hits", "false", "missed", "f"]]
        assert [tuple(row) for row in kept.itertuples(index=False)] == expected
    best = found.curve.groupby("class")["f"].max()
    assert found.best_score == pytest.approx((best["a"] + 3 * best["b"]) / 4)
    for name, threshold in found.best_threshold.items():
        rows = found.curve[(found.curve["class"] == name) & (found.curve["f"] == best[name])]
        assert threshold == rows["threshold"].min()


def test_empty_predictions_and_truths() -> None:
    nothing, one = points_frame([], "a"), points_frame([[0, 0, 0]], "a")
    assert evaluate_points(nothing, one, convention=ONE).score == 0
    found = evaluate_points(one, nothing, convention=ONE)
    assert (found.classes[0].hits, found.classes[0].false) == (0, 1)
    assert found.warnings == ("there is no true a: its F is 0 by definition, and lowers the score",)
    assert evaluate_points(nothing, nothing, convention=ONE).score == 0


def test_the_table_for_printing() -> None:
    one = points_frame([[0, 0, 0]], "a", scores=0.5)
    rows = evaluate_points(one, one, convention=ONE).as_table()
    assert rows[0] == ("score", "1.000000", "weighted F4, 1 best")
    assert rows[1] == ("F4 a", "1.0000", "1 found, 0 false, 0 missed, x1")
    assert rows[2] == ("score at the best thresholds", "1.000000", "a 0.05")


def test_refuses_what_the_challenge_refuses() -> None:
    one = points_frame([[0, 0, 0]], "a")
    twice, other = points_frame([[0, 0, 0]] * 2, "a"), points_frame([[0, 0, 0]], "b")
    with pytest.raises(SourceError, match="the truth: 1 of 2 points lie where another one does"):
        evaluate_points(one, twice, convention=ONE)
    with pytest.raises(SourceError, match="the prediction: 1 of 1 points are of a class that is"):
        evaluate_points(other, one, convention=ONE)
    with pytest.raises(SourceError, match="the prediction: 1 of 1 points are NaN or infinite"):
        evaluate_points(points_frame([[0, np.nan, 0]], "a"), one, convention=ONE)
    with pytest.raises(ConfigError, match="only one of prediction and truth has a column tomogram"):
        evaluate_points(points_frame([[0, 0, 0]], "a", tomograms="t"), one, convention=ONE)
    with pytest.raises(ConfigError, match="no column tomogram; add it"):
        evaluate_points(one, one, convention=ONE, tomograms=("t",))
    with pytest.raises(ContractError, match="the truth: the table has columns z_nm, y_nm"):
        evaluate_points(one, one[["z_nm", "y_nm"]], convention=ONE)
    empty = points_frame([], "a", tomograms=[])
    with pytest.raises(ConfigError, match="there is no tomogram to score"):
        evaluate_points(empty, empty, convention=ONE)
    with pytest.raises(ConfigError, match=r"thresholds are \(\); give finite numbers"):
        evaluate_points(one, one, convention=ONE, thresholds=())


def test_conventions_refuse() -> None:
    with pytest.raises(ConfigError, match="given for b class.es. without a radius"):
        PointConvention({"a": 1.0}, {"b": 1.0})
    with pytest.raises(ConfigError, match="radius of a is 0; give a number above 0"):
        PointConvention({"a": 0})
    with pytest.raises(ConfigError, match="not 0 for all"):
        PointConvention({"a": 1.0}, {"a": 0.0})
    assert sum(CZII.weights.values()) == 7
