"""Decisions about segments: stalled, flowing or undecided, why to look again, and what first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError, ContractError

REASONS = (
    "near_threshold",
    "high_mc_std",
    "fold_disagreement",
    "border",
    "roi_too_small",
    "roi_too_large",
    "low_snr",
    "no_contour",
    "out_of_distribution",
)
"""Reasons for a review; the n-th one is bit n of ``review_reason``."""

CALLS = ("flowing", "stalled", "undecided")
FLOWING, STALLED, UNDECIDED = range(3)
_SHAPE = ("border", "roi_too_small", "roi_too_large")
_OPEN = ("near_threshold", "high_mc_std", "fold_disagreement", "no_contour", "roi_too_small")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRule:
    """When a segment is stalled, and when somebody should look.

    Parameters
    ----------
    threshold : float
        Probabilities from it on are stalled; 0.7 as published.
    margin : float
        As near to the threshold, no call is made.
    most_mc_std : float
        Deviation over passes with dropout, from which on no call is made.
    most_fold_std : float
        Deviation over folds, from which on no call is made.
    most_mutual_info : float
        Bits, from which on a segment is unlike what the network was trained on.
    least_snr : float
        Contrast of the vessel over noise, below which the segment is hard to see.
    least_frames : int
        Planes below which a segment is too small for a call.
    most_voxels : int, optional
        Of the cuboid, above which it is too large for the network to see details.
    intensity : tuple of float, optional
        Mean intensities that the network was trained on; others are unlike.

    Raises
    ------
    ConfigError
        If a number makes no sense.
    """

    threshold: float = 0.7
    margin: float = 0.1
    most_mc_std: float = 0.15
    most_fold_std: float = 0.2
    most_mutual_info: float = 0.25
    least_snr: float = 0.5
    least_frames: int = 4
    most_voxels: int | None = None
    intensity: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        low = min(self.margin, self.most_mc_std, self.most_fold_std, self.most_mutual_info)
        if not 0 < self.threshold < 1 or low < 0 or self.least_frames < 1:
            raise ConfigError(
                f"threshold {self.threshold}, least_frames {self.least_frames} or a limit below 0 "
                "makes no sense; give a threshold between 0 and 1, and limits of 0 or more"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What was decided, one entry for each segment.

    Parameters
    ----------
    call : ndarray of int64
        Index into `CALLS`.
    reason : ndarray of uint16
        Bits of `REASONS`.
    review : ndarray of bool
        Whether somebody should look.
    priority : ndarray of float64
        0 to 1, most wanted 1; 0 where nobody need look.
    """

    call: NDArray[np.int64]
    reason: NDArray[np.uint16]
    review: NDArray[np.bool_]
    priority: NDArray[np.float64]


def decide(
    probability: NDArray[Any], signs: Mapping[str, NDArray[Any]], rule: DecisionRule
) -> Decision:
    """Call segments stalled or flowing where that is certain enough.

    Border and size of a cuboid alone ask for a review only where the segment may be stalled: most
    segments are not, and those at a border would be looked at for nothing.

    Parameters
    ----------
    probability : ndarray of float, shape (N,)
        Of a stall; calibrated where it can be.
    signs : mapping of str to ndarray, shape (N,)
        Any of ``mc_std``, ``fold_std``, ``mutual_info``, ``snr``, ``mean_intensity``, ``n_frames``,
        ``n_voxels_roi`` (numbers; NaN is not known), ``touches_border`` and ``contour_found``
        (bool).
    rule : DecisionRule
        When.

    Returns
    -------
    Decision

    Raises
    ------
    ContractError
        If a probability is NaN or outside 0 to 1.

    Examples
    --------
    >>> found = decide(np.array([0.95, 0.65, 0.0]), {"snr": np.array([3, 3, 0.1])}, DecisionRule())
    >>> [CALLS[n] for n in found.call], [reason_names(bits) for bits in found.reason]
    (['stalled', 'undecided', 'flowing'], [(), ('near_threshold',), ('low_snr',)])
    """
    p = np.asarray(probability, np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ContractError(
            "a probability is NaN or outside 0 to 1, so that nothing can be decided; predict the "
            "segments first"
        )
    flags = _flags(p, signs, rule)
    reason = np.zeros(len(p), np.uint16)
    for bit, name in enumerate(REASONS):
        reason |= flags[name].astype(np.uint16) << np.uint16(bit)
    stalled = np.where(p >= rule.threshold, STALLED, FLOWING)
    undecided = np.any([flags[name] for name in _OPEN], axis=0)
    # A small cuboid of a segment that is far from stalled is no question.
    possible = p >= rule.threshold - rule.margin
    undecided &= ~(flags["roi_too_small"] & ~possible) | _any(flags, _OPEN[:-1])
    call = np.where(undecided, UNDECIDED, stalled)
    always = [name for name in REASONS if name not in _SHAPE]
    review = _any(flags, always) | (_any(flags, _SHAPE) & possible)
    return Decision(call, reason, review, np.where(review, _priority(p, signs, rule), 0.0))


def reason_names(bits: int) -> tuple[str, ...]:
    """Name the reasons in a bit mask.

    Examples
    --------
    >>> reason_names(9)
    ('near_threshold', 'border')
    """
    return tuple(name for n, name in enumerate(REASONS) if int(bits) >> n & 1)


def _flags(
    p: NDArray[np.float64], signs: Mapping[str, NDArray[Any]], rule: DecisionRule
) -> dict[str, NDArray[np.bool_]]:
    def number(name: str) -> NDArray[np.float64]:
        return np.asarray(signs.get(name, np.full(len(p), np.nan)), np.float64)

    none = np.zeros(len(p), bool)
    unlike = number("mutual_info") > rule.most_mutual_info
    if rule.intensity is not None:
        light = number("mean_intensity")
        unlike |= (light < rule.intensity[0]) | (light > rule.intensity[1])
    most = np.inf if rule.most_voxels is None else rule.most_voxels
    return {
        "near_threshold": np.abs(p - rule.threshold) < rule.margin,
        "high_mc_std": number("mc_std") > rule.most_mc_std,
        "fold_disagreement": number("fold_std") > rule.most_fold_std,
        "border": np.asarray(signs.get("touches_border", none), bool),
        "roi_too_small": number("n_frames") < rule.least_frames,
        "roi_too_large": number("n_voxels_roi") > most,
        "low_snr": number("snr") < rule.least_snr,
        "no_contour": ~np.asarray(signs.get("contour_found", ~none), bool),
        "out_of_distribution": unlike,
    }


def _any(flags: Mapping[str, NDArray[np.bool_]], names: Any) -> NDArray[np.bool_]:
    return np.asarray(np.any([flags[name] for name in names], axis=0))


def _priority(
    p: NDArray[np.float64], signs: Mapping[str, NDArray[Any]], rule: DecisionRule
) -> NDArray[np.float64]:
    """Rank by nearness to the threshold or by what passes differ in, whichever is worse."""
    room = np.where(p < rule.threshold, rule.threshold, 1 - rule.threshold)
    near = 1 - np.abs(p - rule.threshold) / room
    spread = np.nan_to_num(np.asarray(signs.get("mc_std", np.zeros(len(p))), np.float64))
    return np.asarray(1 - (1 - near) * (1 - 2 * np.minimum(spread, 0.5)))
