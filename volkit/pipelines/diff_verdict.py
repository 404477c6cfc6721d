"""Verdicts: how large a difference is, in words that a table can hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from volkit.ops.difference import LabelDifference, ValueDifference
from volkit.ops.table_difference import TableDifference

IDENTICAL, EQUAL, SMALL, LARGE = "identical", "equal up to renaming", "small change", "large change"
REORDERED, MISSING = "equal up to order", "on one side only"
ORDER = (IDENTICAL, EQUAL, REORDERED, SMALL, LARGE, MISSING)
SAME = (IDENTICAL, EQUAL, REORDERED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one volume or table.

    Parameters
    ----------
    name : str
        Of what was compared.
    kind : str
        ``labels``, ``values`` or ``table``.
    verdict : str
        One of ``ORDER``.
    share : float
        Of the voxels or rows that changed, 0 to 1.
    says : str
        The numbers in one line.
    numbers : mapping
        All numbers, JSON.
    """

    name: str
    kind: str
    verdict: str
    share: float
    says: str
    numbers: Mapping[str, Any]

    @property
    def same(self) -> bool:
        """Whether nothing changed but names and order."""
        return self.verdict in SAME


def worst(verdicts: tuple[Verdict, ...]) -> str:
    """Give the verdict on all: that of the largest change.

    Examples
    --------
    >>> one = Verdict("labels", "labels", EQUAL, 0.0, "", {})
    >>> worst((one, Verdict("prob", "values", SMALL, 0.001, "", {})))
    'small change'
    """
    return max((item.verdict for item in verdicts), key=ORDER.index)


def unread(name: str, kind: str) -> Verdict:
    """Judge what both sides share, or computed from the same: nothing needs to be read."""
    return Verdict(name, kind, IDENTICAL, 0.0, "the same computation, not read", {})


def absent(name: str, side: str) -> Verdict:
    """Judge what only one side has."""
    return Verdict(name, "", MISSING, 1.0, f"only the {side} side has it", {})


def judge_labels(name: str, found: LabelDifference, *, small: float) -> Verdict:
    """Judge segmentations.

    Parameters
    ----------
    name : str
        Of the volume.
    found : LabelDifference
        What changed.
    small : float
        Share of changed voxels up to which a change is small.
    """
    share = found.changed / found.voxels
    verdict = _size(share, small)
    if not found.changed:
        verdict = EQUAL if found.differing else IDENTICAL
    old, new = found.old_counts, found.new_counts
    says = (
        f"{found.changed:,} of {found.voxels:,} voxels; objects {sum(old.values()):,} to "
        f"{sum(new.values()):,}: {old['unchanged']:,} unchanged, {old['reshaped']:,} reshaped, "
        f"{old['split']:,} split, {old['merged']:,} merged, {old['removed']:,} removed, "
        f"{new['added']:,} added; Rand F {found.rand.f_score:.4f}, VOI {found.voi.split:.3f} + "
        f"{found.voi.merge:.3f} bits"
    )
    numbers = {
        "voxels": found.voxels,
        "voxels_of_other_ids": found.differing,
        "voxels_changed": found.changed,
        "old_objects": old,
        "new_objects": new,
        "rand": {
            "f_score": found.rand.f_score,
            "split": found.rand.split,
            "merge": found.rand.merge,
        },
        "voi": {"split": found.voi.split, "merge": found.voi.merge},
    }
    return Verdict(name, "labels", verdict, share, says, numbers)


def judge_values(name: str, found: ValueDifference, *, small: float) -> Verdict:
    """Judge maps of values; options as for :func:`judge_labels`."""
    scores = found.scores
    share = scores.over / scores.values
    says = (
        f"largest difference {scores.largest:.4g}, mean {scores.mean:.4g}; {share:.3%} of "
        f"{scores.values:,} values differ by more than {scores.threshold:g}; correlation "
        f"{scores.correlation:.6f}"
    )
    numbers = {
        "values": scores.values,
        "values_unlike": scores.unlike,
        "values_over": scores.over,
        "threshold": scores.threshold,
        "largest_difference": scores.largest,
        "mean_difference": scores.mean,
        "correlation": None if scores.correlation != scores.correlation else scores.correlation,
    }
    verdict = _size(share, small) if scores.unlike else IDENTICAL
    return Verdict(name, "values", verdict, share, says, numbers)


def judge_table(name: str, found: TableDifference, *, small: float) -> Verdict:
    """Judge tables; options as for :func:`judge_labels`."""
    moved = found.added + found.removed + found.changed
    columns = len(found.columns_added) + len(found.columns_removed)
    share = moved / max(1, found.old_rows + found.added)
    verdict = _size(share, small)
    if not moved and not columns:
        verdict = REORDERED if found.reordered else IDENTICAL
    key = f"rows by {', '.join(found.key)}" if found.key else "whole rows"
    says = (
        f"{key}: {found.old_rows:,} to {found.new_rows:,}, {found.added:,} added, "
        f"{found.removed:,} removed, {found.changed:,} changed"
    )
    if columns:
        says += "; columns " + ", ".join(
            [f"+{n}" for n in found.columns_added] + [f"-{n}" for n in found.columns_removed]
        )
    numbers = {
        "key": list(found.key),
        "old_rows": found.old_rows,
        "new_rows": found.new_rows,
        "rows_added": found.added,
        "rows_removed": found.removed,
        "rows_changed": found.changed,
        "columns_added": list(found.columns_added),
        "columns_removed": list(found.columns_removed),
        "cells_changed": found.cells,
    }
    return Verdict(name, "table", verdict, share, says, numbers)


def _size(share: float, small: float) -> str:
    return SMALL if share <= small else LARGE
