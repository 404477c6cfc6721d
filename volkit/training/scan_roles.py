"""Roles of scans: which ones a network learns from, which choose its weights, which judge it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from volkit.errors import ConfigError
from volkit.io.scan_manifest import ScanManifest, ScanRow
from volkit.training.scan_split import split_scans

Numbers = NDArray[np.int64]
By = Literal["subject", "scan"]


@dataclass(frozen=True, slots=True, eq=False)
class ScanRoles:
    """Scans of one training, as their places in the manifest.

    Parameters
    ----------
    learnt, choosing, judged : ndarray of int64
        To learn from; to choose the best weights by, perhaps none; to be judged at the end.
    """

    learnt: Numbers
    choosing: Numbers
    judged: Numbers

    def check(self, rows: Sequence[ScanRow], *, which: str, choose: str) -> None:
        """Refuse scans of one class alone, and a choice of weights by no scans.

        Raises
        ------
        ConfigError
            If those to learn from, to choose by (where there are any) or to judge are of one
            class; or there are none to choose by, and ``choose`` is not ``last``.
        """
        if choose != "last" and not len(self.choosing):
            raise ConfigError(
                f"optimisation.choose is {choose!r}, but no scans are set aside to choose by; give "
                "optimisation.aside, a part val, or choose: last"
            )
        for what, numbers in (
            ("learnt from", self.learnt),
            ("set aside to choose by", self.choosing),
            ("judged", self.judged),
        ):
            found = sorted({rows[n].label for n in numbers})
            if len(found) < 2 and (len(numbers) or what != "set aside to choose by"):
                raise ConfigError(
                    f"{which}: the {len(numbers)} scans that are {what} are of "
                    f"{' and '.join(found) or 'no class'}; both classes are needed: give more "
                    "subjects, fewer folds, or another optimisation.aside"
                )

    def digest(self, rows: Sequence[ScanRow]) -> str:
        """Digest which scans have which role, by their bytes."""
        roles = (self.learnt, self.choosing, self.judged)
        lines = (
            f"{role} {rows[n].sha256} {rows[n].label}"
            for role, numbers in enumerate(roles)
            for n in numbers
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def trainings(manifest: ScanManifest) -> int:
    """Count the networks to train: one for each fold, or one.

    Raises
    ------
    ConfigError
        If nothing is to be learnt from, or nothing is left to judge by.
    """
    if manifest.folds:
        return manifest.folds
    parts = {row.part for row in manifest.rows}
    if not {"train", "test"} <= parts:
        raise ConfigError(
            f"{manifest.uri} has the parts {', '.join(sorted(parts))}; give train and test, and "
            "val to choose weights by, or folds"
        )
    return 1


def scan_roles(
    rows: Sequence[ScanRow], number: int, *, aside: float, seed: int, by: By = "subject"
) -> ScanRoles:
    """Say which scans a training learns from, chooses by and is judged by.

    Parameters
    ----------
    rows : sequence of ScanRow
        Parts, or folds; with folds, those of a part are left out.
    number : int
        The fold that judges; with parts 0, and ``test`` judges.
    aside : float
        Share of those to learn from that is set aside to choose by, with folds.
    seed : int
        Of that draw.
    by : {"subject", "scan"}
        What is set aside whole.

    Returns
    -------
    ScanRoles

    Raises
    ------
    ContractError
        If there are too few subjects to set some aside.
    """
    folds = any(row.fold is not None for row in rows)
    if not folds:
        return ScanRoles(*(_where(rows, part) for part in ("train", "val", "test")))
    judged = np.array([n for n, row in enumerate(rows) if row.fold == number], np.int64)
    others = [n for n, row in enumerate(rows) if row.fold not in (None, number)]
    if not aside:
        return ScanRoles(np.array(others, np.int64), np.zeros(0, np.int64), judged)
    shares = {"train": 1 - aside, "val": aside}
    dealt = split_scans([rows[n] for n in others], shares, seed=seed, by=by)
    learnt, choosing = (
        np.array([n for n, row in zip(others, dealt, strict=True) if row.part == part], np.int64)
        for part in ("train", "val")
    )
    return ScanRoles(learnt, choosing, judged)


def known_share(rows: Sequence[ScanRow], count: int, *, aside: float, seed: int) -> float:
    """Say which share of the judged scans is of a subject that was learnt from.

    Parameters
    ----------
    rows : sequence of ScanRow
        Parts or folds.
    count : int
        Of trainings.
    aside, seed
        As for `scan_roles`.

    Returns
    -------
    float
        0 where nothing leaks.
    """
    met = judged = 0
    for number in range(count):
        roles = scan_roles(rows, number, aside=aside, seed=seed, by="scan")
        known = {rows[n].subject for n in (*roles.learnt, *roles.choosing)}
        judged += len(roles.judged)
        met += sum(rows[n].subject in known for n in roles.judged)
    return met / judged if judged else 0.0


def _where(rows: Sequence[ScanRow], part: str) -> Numbers:
    return np.array([n for n, row in enumerate(rows) if row.part == part], np.int64)
