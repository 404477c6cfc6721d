"""Splits of scans: whole subjects dealt to train, val and test, or to folds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from volkit.errors import ConfigError
from volkit.io.scan_manifest import PARTS, ScanRow
from volkit.kernels.subject_split import deal_subjects

SHARES: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}
"""Of the scans of every class; the shares of the published split."""


def split_scans(
    rows: Iterable[ScanRow],
    shares: Mapping[str, float] = SHARES,
    *,
    seed: int = 0,
    by: Literal["subject", "scan"] = "subject",
) -> tuple[ScanRow, ...]:
    """Deal scans to parts, so that no subject is in two of them.

    Parameters
    ----------
    rows : iterable of ScanRow
        Whatever part they were in.
    shares : mapping of str to float
        Of the scans of every class, for each part; parts of share 0 stay empty.
    seed : int
        Of the draw; the split does not depend on the order of the rows.
    by : {"subject", "scan"}
        ``scan`` deals every scan on its own.  That is a leak, of which `check_leakage` complains;
        it is here to measure how much too good scores become.

    Returns
    -------
    tuple of ScanRow
        In the order given, with ``part``, and without folds.

    Raises
    ------
    ConfigError
        If a part is unknown, or no share is above 0.
    ContractError
        If a subject has scans of two classes, or a class has fewer subjects than there are parts.
    """
    unknown = sorted(set(shares) - set(PARTS))
    names = [name for name in PARTS if shares.get(name, 0) > 0]
    if unknown or not names or min(shares.values()) < 0:
        raise ConfigError(
            f"shares {dict(shares)}: give numbers of 0 or more for {', '.join(PARTS)}, one above 0"
        )
    given = tuple(rows)
    part = _dealt(given, [shares[name] for name in names], seed=seed, by=by)
    return tuple(replace(row, part=names[n], fold=None) for row, n in zip(given, part, strict=True))


def fold_scans(
    rows: Iterable[ScanRow],
    folds: int,
    *,
    seed: int = 0,
    by: Literal["subject", "scan"] = "subject",
) -> tuple[ScanRow, ...]:
    """Deal scans to folds of like size, so that no subject is in two of them.

    Parameters
    ----------
    rows : iterable of ScanRow
        Whatever part they were in; those of part ``test`` stay there, out of all folds.
    folds : int
        How many.
    seed : int
        Of the draw; folds do not depend on the order of the rows.
    by : {"subject", "scan"}
        As for `split_scans`.

    Returns
    -------
    tuple of ScanRow
        In the order given, with ``fold``, and no part but ``test``.

    Raises
    ------
    ConfigError
        If there are fewer than two folds.
    ContractError
        If a subject has scans of two classes, or a class has fewer subjects than there are folds.
    """
    if folds < 2:
        raise ConfigError(f"{folds} folds; give 2 or more")
    given = tuple(rows)
    dealt = [row for row in given if row.part != "test"]
    number = iter(_dealt(dealt, [1 / folds] * folds, seed=seed, by=by))
    return tuple(
        replace(row, fold=None)
        if row.part == "test"
        else replace(row, part="", fold=int(next(number)))
        for row in given
    )


def _dealt(
    rows: Sequence[ScanRow], shares: Sequence[float], *, seed: int, by: str
) -> Sequence[int]:
    subjects = np.array([row.subject if by == "subject" else row.scan for row in rows])
    return deal_subjects(
        subjects, np.array([row.label for row in rows]), shares, seed=seed
    ).tolist()


def balance(rows: Iterable[ScanRow]) -> pd.DataFrame:
    """Count scans and subjects of every class in every part or fold.

    Returns
    -------
    pandas.DataFrame
        Columns ``place`` (the part, or ``fold N``), ``label``, ``subjects``, ``scans`` and
        ``scans_per_subject``, sorted.
    """
    frame = pd.DataFrame([(row.place, row.label, row.subject) for row in rows])
    frame.columns = pd.Index(["place", "label", "subject"])
    found = frame.groupby(["place", "label"])["subject"].agg(["nunique", "size"]).reset_index()
    found.columns = pd.Index(["place", "label", "subjects", "scans"])
    return found.assign(scans_per_subject=found["scans"] / found["subjects"])
