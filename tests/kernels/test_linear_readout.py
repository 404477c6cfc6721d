"""Readouts: those of scikit-learn, sums of parts, and rows that are held out."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from volkit.errors import GeometryError
from volkit.kernels.class_readout import class_readout
from volkit.kernels.linear_readout import (
    fitted,
    held_out,
    in_sample,
    readout_sums,
    section_folds,
)


def rows(count=300, size=6, *, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, size)) * [1, 10, 0.1, 1, 1, 1] + 100
    return x, x @ [1, -0.2, 5, 0, 0, 3] + rng.standard_normal(count) + 7


def test_the_published_score_is_that_of_scikit_learn() -> None:
    x, y = rows()
    known = LinearRegression().fit(x, y)
    assert in_sample(x, y) == pytest.approx(known.score(x, y), abs=1e-10)
    readout = fitted(readout_sums(x, y))
    np.testing.assert_allclose(readout.weights, known.coef_, rtol=1e-7)
    assert readout.intercept == pytest.approx(known.intercept_)


def test_components_that_say_the_same_change_nothing() -> None:
    x, y = rows()
    twice = np.column_stack([x, x[:, :3] * 2 + 1, np.ones(len(x))])
    assert in_sample(twice, y) == pytest.approx(in_sample(x, y), abs=1e-9)


def test_sums_of_parts_are_those_of_the_whole() -> None:
    x, y = rows()
    whole = readout_sums(x, y)
    parts = readout_sums(x[:100], y[:100], origin=whole.origin) + readout_sums(
        x[100:], y[100:], origin=whole.origin
    )
    assert parts.count == 300
    np.testing.assert_allclose(fitted(parts).weights, fitted(whole).weights, rtol=1e-9)
    with pytest.raises(GeometryError, match="different origins"):
        readout_sums(x[:9], y[:9]) + readout_sums(x[9:], y[9:])


def test_rows_without_a_target_are_left_out() -> None:
    x, y = rows()
    some = np.where(np.arange(len(y)) % 3 == 0, np.nan, y)
    kept = np.isfinite(some)
    assert in_sample(x, some) == pytest.approx(in_sample(x[kept], y[kept]), abs=1e-12)
    assert np.isnan(in_sample(x, np.full(len(y), np.nan)))
    assert np.isnan(in_sample(x, np.ones(len(y))))


def test_what_is_fitted_by_chance_does_not_hold() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((120, 60)), rng.standard_normal(120)
    sections = np.arange(120) // 2
    assert in_sample(x, y) > 0.3
    assert held_out(x, y, sections, gap=3) < 0
    assert in_sample(x[:50], y[:50]) == pytest.approx(1)
    x, y = rows()
    assert held_out(x, y, np.arange(300) // 3) == pytest.approx(in_sample(x, y), abs=0.02)


def test_folds_hold_every_section_once_and_keep_their_distance() -> None:
    sections = np.repeat(np.arange(10, 40), 4)
    times = np.zeros(len(sections), int)
    for inside, outside in section_folds(sections, folds=3, gap=5):
        times += inside
        near = np.abs(sections[outside][:, None] - sections[inside][None]).min()
        assert near == 6
    assert (times == 1).all()
    with pytest.raises(GeometryError, match="5 folds of 2 sections"):
        list(section_folds(np.array([1, 2]), folds=5, gap=0))


def test_classes_are_read_out_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 200)
    x = rng.standard_normal((200, 4)) + 1.5 * np.eye(3, 4)[truth]
    readout = class_readout(x, truth, count=3, decay=0.01, steps=1000)
    scaled = (x - x.mean(0)) / x.std(0)
    # scikit-learn adds up losses, and we average them.
    known = LogisticRegression(C=1 / (0.01 * 200), max_iter=1000, tol=1e-8).fit(scaled, truth)
    assert (readout(x) == known.predict(scaled)).mean() > 0.99
    mine = readout.weights * x.std(0)[:, None]
    np.testing.assert_allclose(mine - mine.mean(1, keepdims=True), known.coef_.T, atol=2e-3)


def test_what_makes_no_sense_is_refused() -> None:
    x = np.zeros((3, 2))
    with pytest.raises(GeometryError, match="give \\(N, D\\) and \\(N,\\)"):
        readout_sums(x, np.zeros(2))
    with pytest.raises(GeometryError, match="hold NaN or infinity"):
        readout_sums(x * np.nan, np.zeros(3), origin=np.zeros(3))
    with pytest.raises(GeometryError, match="classes 0 to 4 are not among 2"):
        class_readout(x, np.array([0, 1, 4]), count=2)
    with pytest.raises(GeometryError, match="at least one row"):
        class_readout(x, np.array([0, 1]), count=2)
