"""Results of scoring points: what picks are worth, per class, per tomogram and per threshold."""

from dataclasses import dataclass, field

import pandas as pd

from volkit.ops.particle_convention import PointConvention

Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ClassScore:
    """What the picks of one class are worth, all tomograms together.

    Parameters
    ----------
    name : str
        The class.
    hits, false, missed : int
        True positives, false positives and false negatives.
    precision, recall, f : float
        From these.
    weight : float
        In the score.
    """

    name: str
    hits: int
    false: int
    missed: int
    precision: float
    recall: float
    f: float
    weight: float


@dataclass(frozen=True, slots=True)
class PointEvaluation:
    """What picks are worth.

    Parameters
    ----------
    convention : PointConvention
        With which they were scored.
    score : float
        Weighted mean of F over classes, of all points given.
    classes : tuple of ClassScore
        In the order of the convention.
    tomograms : pandas.DataFrame
        ``tomogram, class, hits, false, missed, precision, recall, f``: one row for each pair.
    curve : pandas.DataFrame
        ``class, threshold, hits, false, missed, precision, recall, f``: what points that score
        above each threshold are worth.
    best_threshold : dict of str to float
        Of each class, where F is highest on the curve; the lowest of equals.
    best_score : float
        With these thresholds.
    warnings : tuple of str
        What a person should know.
    """

    convention: PointConvention
    score: float
    classes: tuple[ClassScore, ...]
    tomograms: pd.DataFrame = field(repr=False, compare=False)
    curve: pd.DataFrame = field(repr=False, compare=False)
    best_threshold: dict[str, float]
    best_score: float
    warnings: tuple[str, ...] = ()

    def as_table(self) -> list[Row]:
        """List the scores as rows of name, value and meaning, for printing."""
        how, beta = self.convention, f"{self.convention.beta:g}"
        rows = [("score", f"{self.score:.6f}", f"weighted F{beta}, 1 best")]
        for each in self.classes:
            counts = f"{each.hits} found, {each.false} false, {each.missed} missed"
            rows.append((f"F{beta} {each.name}", f"{each.f:.4f}", f"{counts}, x{each.weight:g}"))
        chosen = ", ".join(f"{name} {value:g}" for name, value in self.best_threshold.items())
        return [
            *rows,
            ("score at the best thresholds", f"{self.best_score:.6f}", chosen),
            ("convention", how.match, f"within {how.share:g} of the radius"),
        ]
