"""Scoring of points: picks against true centres, over tomograms, classes and thresholds."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.io.points.table import PointChecks, centres_of, check_points
from volkit.kernels.matching import hit_curve
from volkit.kernels.point_scores import precision_recall_f, weighted_score
from volkit.ops.particle_convention import CZII, PointConvention
from volkit.ops.particle_results import ClassScore, PointEvaluation

THRESHOLDS = tuple(np.linspace(0.05, 0.95, 19).round(2).tolist())
"""Of the published line search."""

_ANGSTROM_PER_NM = 10.0
_DECIMALS = 9  # of an ångström: no measurement has them, and decimal coordinates come back exactly
_COUNTS = ("hits", "false", "missed")

Array = NDArray[Any]


def evaluate_points(
    pred: pd.DataFrame,
    truth: pd.DataFrame,
    *,
    convention: PointConvention = CZII,
    thresholds: Sequence[float] = THRESHOLDS,
    tomograms: Sequence[str] | None = None,
) -> PointEvaluation:
    """Score picks against the truth.

    Counts are added up over tomograms, class by class, and turned into F; classes are averaged by
    weight.  Points are compared in ångström, rounded to 10^-9 of them: tables that went from
    decimal ångström to nanometres score to the last digit as they would in the challenge.

    Parameters
    ----------
    pred, truth : pandas.DataFrame
        Tables of points, see :mod:`volkit.io.points.table`; all points of ``pred`` count,
        whatever they score.  Without a column ``tomogram`` they are of one and the same.
    convention : PointConvention
        Classes, radii, weights; that of the CZII challenge by default.
    thresholds : sequence of float
        Where the curve is evaluated: points count there that score above.
    tomograms : sequence of str, optional
        Which are scored; None takes those of which there is truth, as the challenge does.

    Returns
    -------
    PointEvaluation

    Raises
    ------
    SourceError
        If a coordinate is NaN, a class is unknown, or true points lie at the same place.
    ConfigError
        If one table names tomograms and the other does not, there is none to score, or thresholds
        are none or not finite.
    """
    _check(pred, truth, convention, thresholds)
    named = _named_tomograms(truth, tomograms)
    groups = _grouped(pred), _grouped(truth)
    cutoffs = np.array([-np.inf, *thresholds], np.float64)
    rows, counts = [], np.zeros((len(convention.classes), 3, len(cutoffs)), np.int64)
    for tomogram in named:
        for number, name in enumerate(convention.classes):
            found = _counts(*groups, (tomogram, name), convention, cutoffs)
            counts[number] += found
            rows.append((tomogram, name, *found[:, 0].tolist()))
    classes = tuple(_class_scores(counts[:, :, 0], convention))
    curve = _curve(counts[:, :, 1:], convention, cutoffs[1:])
    best = curve.loc[curve.groupby("class", sort=False)["f"].idxmax()].set_index("class")
    weights = convention.weights
    per_tomogram = pd.DataFrame(rows, columns=["tomogram", "class", *_COUNTS])
    return PointEvaluation(
        convention=convention,
        score=weighted_score({each.name: each.f for each in classes}, weights),
        classes=classes,
        tomograms=_with_scores(per_tomogram, convention.beta),
        curve=curve,
        best_threshold={str(name): float(t) for name, t in best["threshold"].items()},
        best_score=weighted_score({name: float(best["f"][name]) for name in weights}, weights),
        warnings=tuple(_warnings(pred, classes, named)),
    )


def _check(
    pred: pd.DataFrame, truth: pd.DataFrame, convention: PointConvention, thresholds: Any
) -> None:
    check_points(pred, PointChecks(classes=convention.classes), name="the prediction")
    check_points(truth, PointChecks(convention.classes, unique=True), name="the truth")
    if ("tomogram" in pred.columns) != ("tomogram" in truth.columns):
        raise ConfigError(
            "only one of prediction and truth has a column tomogram; add it to the other, or drop "
            "it where both are of one tomogram"
        )
    if not len(thresholds) or not np.isfinite(thresholds).all():
        raise ConfigError(f"thresholds are {tuple(thresholds)}; give finite numbers")


def _named_tomograms(truth: pd.DataFrame, tomograms: Sequence[str] | None) -> tuple[str, ...]:
    if tomograms is not None and "tomogram" not in truth.columns:
        raise ConfigError("tomograms are chosen, but the tables have no column tomogram; add it")
    if tomograms is None:
        there = truth["tomogram"] if "tomogram" in truth.columns else [""]
        tomograms = sorted(set(there))
    if not tomograms:
        raise ConfigError("there is no tomogram to score: the truth is empty; name tomograms")
    return tuple(dict.fromkeys(tomograms))


def _grouped(frame: pd.DataFrame) -> dict[tuple[str, str], tuple[Array, Array]]:
    """Cut a table into centres, ångström, and scores, of each tomogram and class."""
    centres = np.round(centres_of(frame) * _ANGSTROM_PER_NM, _DECIMALS)
    scores = frame["score"].to_numpy()
    single = "tomogram" not in frame.columns
    keys = ["class"] if single else ["tomogram", "class"]
    found = {}
    for key, rows in frame.groupby(keys, sort=False).indices.items():
        parts = key if isinstance(key, tuple) else (key,)
        found[("" if single else str(parts[0]), str(parts[-1]))] = centres[rows], scores[rows]
    return found


_NONE = np.empty((0, 3)), np.empty(0)


def _counts(
    pred: dict[tuple[str, str], tuple[Array, Array]],
    truth: dict[tuple[str, str], tuple[Array, Array]],
    key: tuple[str, str],
    convention: PointConvention,
    cutoffs: Array,
) -> NDArray[np.int64]:
    """Count hits, false and missed for every cutoff, shape (3, T)."""
    centres, scores = pred.get(key, _NONE)
    references = truth.get(key, _NONE)[0]
    reach = convention.reach_nm(key[1]) * _ANGSTROM_PER_NM
    hits, kept = hit_curve(
        centres, scores, references, radius=reach, thresholds=cutoffs, match=convention.match
    )
    return np.stack([hits, kept - hits, len(references) - hits])


def _class_scores(counts: NDArray[np.int64], convention: PointConvention) -> Iterator[ClassScore]:
    weights = convention.weights
    for name, (hits, false, missed) in zip(convention.classes, counts.tolist(), strict=True):
        scores = precision_recall_f(hits, false, missed, beta=convention.beta)
        precision, recall, f = map(float, scores)
        yield ClassScore(name, hits, false, missed, precision, recall, f, weights[name])


def _curve(
    counts: NDArray[np.int64], convention: PointConvention, thresholds: Array
) -> pd.DataFrame:
    columns = {
        "class": np.repeat(convention.classes, len(thresholds)),
        "threshold": np.tile(thresholds, len(convention.classes)),
    }
    columns |= {name: counts[:, n].ravel() for n, name in enumerate(_COUNTS)}
    return _with_scores(pd.DataFrame(columns).astype({"class": "str"}), convention.beta)


def _with_scores(frame: pd.DataFrame, beta: float) -> pd.DataFrame:
    scores = precision_recall_f(*(frame[name].to_numpy() for name in _COUNTS), beta=beta)
    return frame.assign(**dict(zip(("precision", "recall", "f"), scores, strict=True)))


def _warnings(
    pred: pd.DataFrame, classes: tuple[ClassScore, ...], named: tuple[str, ...]
) -> Iterator[str]:
    if "tomogram" in pred.columns:
        others = sorted(set(pred["tomogram"]) - set(named))
        if others:
            shown = ", ".join(others[:3]) + (" ..." if len(others) > 3 else "")
            yield f"picks of {len(others)} tomogram(s) without truth do not count: {shown}"
    for each in classes:
        if each.weight and each.hits + each.missed == 0:
            yield f"there is no true {each.name}: its F is 0 by definition, and lowers the score"
        if each.false < 0:
            yield f"{each.name}: picks that find two true ones each count as -1 false ones"
