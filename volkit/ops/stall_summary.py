"""Summary of a stall table: how many segments stand, how sure that is, and what a call is worth."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from volkit.errors import ContractError
from volkit.kernels.proportions import corrected_share, predictive_value, wilson_interval
from volkit.ops.stall_calls import probability_of
from volkit.ops.stall_review import final_label

PUBLISHED_SENSITIVITY, PUBLISHED_SPECIFICITY = 0.85, 0.993
_UM_PER_MM = 1000.0
Row = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class StallSummary:
    """Numbers of one table.

    Parameters
    ----------
    segments, stalled, flowing, undecided : int
        By the last word: an expert's, a reviewer's, or the call.
    fraction, fraction_low, fraction_high : float
        Stalled among those decided, with its 95 % Wilson interval.
    expected : float
        Sum of the probabilities: stalls to expect, whatever the calls.
    per_mm3, per_mm : float or None
        Stalled per volume of tissue and per length of vessel; None where it is not known.
    review_share : float
        Segments that somebody should look at.
    sensitivity, specificity : float
        Of the calls, as stated.
    corrected : float
        Share of stalled calls corrected for these.
    prevalence : float
        Share of stalled segments that calls are judged at: expected over segments.
    predictive_value : float
        Share of the calls "stalled" that is right at this prevalence; NaN without any.
    calibrated : bool
        Whether the probabilities are calibrated; without, sums of them are no counts.
    """

    segments: int
    stalled: int
    flowing: int
    undecided: int
    fraction: float
    fraction_low: float
    fraction_high: float
    expected: float
    per_mm3: float | None
    per_mm: float | None
    review_share: float
    sensitivity: float
    specificity: float
    corrected: float
    prevalence: float
    predictive_value: float
    calibrated: bool

    def as_json(self) -> dict[str, Any]:
        """Give names and values; None where a number is not known."""
        return {
            k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(self).items()
        }

    def as_table(self) -> list[Row]:
        """List rows of name, value and meaning, for printing."""
        rows = [
            ("segments", f"{self.segments:,}", f"{self.undecided:,} undecided"),
            (
                "stalled",
                f"{self.stalled:,}",
                f"{100 * self.fraction:.2f} % of those decided, 95 % within "
                f"{100 * self.fraction_low:.2f} and {100 * self.fraction_high:.2f} %",
            ),
            (
                "expected stalls",
                f"{self.expected:.2f}",
                "sum of the probabilities"
                + ("" if self.calibrated else ", which are not calibrated"),
            ),
        ]
        if self.per_mm3 is not None:
            rows.append(("stalls per mm3", f"{self.per_mm3:.4g}", "of tissue"))
        if self.per_mm is not None:
            rows.append(("stalls per mm", f"{self.per_mm:.4g}", "of vessel"))
        return [
            *rows,
            ("to review", f"{100 * self.review_share:.1f} %", "of the segments"),
            (
                "corrected",
                f"{100 * self.corrected:.2f} %",
                f"stalled, for a sensitivity of {self.sensitivity:g} and a specificity of "
                f"{self.specificity:g}",
            ),
            ("a call is right", *self._plainly()),
        ]

    def _plainly(self) -> tuple[str, str]:
        value = self.predictive_value
        if np.isnan(value):
            return "-", "no segment would be called stalled"
        wrong = "every" if value >= 1 else f"{10 * value:.1f} of 10"
        return f"{100 * value:.0f} %", (
            f"of {100 * self.prevalence:.2g} % stalled segments: {wrong} calls 'stalled' are right"
        )


def stall_summary(
    frame: pd.DataFrame,
    *,
    tissue_mm3: float | None = None,
    sensitivity: float = PUBLISHED_SENSITIVITY,
    specificity: float = PUBLISHED_SPECIFICITY,
) -> StallSummary:
    """Sum a stall table up.

    Parameters
    ----------
    frame : pandas.DataFrame
        A stall table with decisions.
    tissue_mm3 : float, optional
        Volume that was looked at, cubic millimetres.
    sensitivity, specificity : float
        Of the calls; those published by default.

    Returns
    -------
    StallSummary

    Raises
    ------
    ContractError
        If the table has no row, or sensitivity and specificity are no better than chance.
    """
    if not len(frame):
        raise ContractError("the table has no segment, so that there is nothing to sum up")
    label = final_label(frame)
    stalled, flowing = int((label == "stalled").sum()), int((label == "flowing").sum())
    decided = stalled + flowing
    low, high = wilson_interval(stalled, decided)
    probability = probability_of(frame)
    prevalence = float(probability.mean())
    length = frame["length_um"].sum(min_count=1) / _UM_PER_MM
    observed = float((frame["call"] == "stalled").mean())
    errors = {"sensitivity": sensitivity, "specificity": specificity}
    return StallSummary(
        segments=len(frame),
        stalled=stalled,
        flowing=flowing,
        undecided=len(frame) - decided,
        fraction=stalled / decided if decided else float("nan"),
        fraction_low=low,
        fraction_high=high,
        expected=float(probability.sum()),
        per_mm3=stalled / tissue_mm3 if tissue_mm3 else None,
        per_mm=None if pd.isna(length) or not length else stalled / float(length),
        review_share=float(frame["needs_review"].mean()),
        **errors,
        corrected=corrected_share(observed, **errors),
        prevalence=prevalence,
        predictive_value=predictive_value(**errors, prevalence=prevalence),
        calibrated=bool(frame["p_calibrated"].notna().all()),
    )
