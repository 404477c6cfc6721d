"""Sites: where scans were acquired, how parts share them, and whether they give classes away.

Scanners differ in contrast and noise.  Where patients were scanned on one and others on another, a
network may learn the scanner; no split by subject shows that.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.io.scan_manifest import ScanRow
from volkit.io.tables import Column, Schema

SITES = Schema(
    (
        Column("place", "str", "", "part, or fold N"),
        Column("site", "str", "", "where scans were acquired; unknown where that is not said"),
        Column("label", "str", "", "class"),
        Column("subjects", "int64", "", "of that class and site"),
        Column("scans", "int64", "", "of that class and site"),
    )
)
_DRAWS = 999
_RARE = 0.05  # so seldom would chance do as well, before it is worth a warning
_UNKNOWN = "unknown"


def site_balance(rows: Sequence[ScanRow]) -> pd.DataFrame | None:
    """Count subjects and scans of every site and class in every part or fold.

    Parameters
    ----------
    rows : sequence of ScanRow
        Of a split.

    Returns
    -------
    pandas.DataFrame or None
        With the columns of `SITES`, sorted; None where no site is known.
    """
    if not any(row.site for row in rows):
        return None
    names = ["place", "site", "label"]
    told = [(row.place, row.site or _UNKNOWN, row.label, row.subject) for row in rows]
    frame = pd.DataFrame(told, columns=[*names, "subject"])
    found = frame.groupby(names)["subject"].agg(["nunique", "size"]).reset_index()
    found.columns = pd.Index(SITES.names)
    return SITES.framed(found)


def site_warnings(rows: Sequence[ScanRow]) -> tuple[str, ...]:
    """Say whether the class goes with the site.

    That is so where whoever knows the sites alone, and calls each scan what most of its site are,
    is right more often than in 95 of 100 draws that deal the classes to subjects at random.

    Parameters
    ----------
    rows : sequence of ScanRow
        Of any parts.

    Returns
    -------
    tuple of str
        A sentence, or none.
    """
    if len({row.site for row in rows}) < 2:
        return ()
    right, chance = guessed_by_site(
        np.array([row.site for row in rows]),
        np.array([row.label for row in rows]),
        np.array([row.subject for row in rows]),
    )
    if (1 + int((chance >= right).sum())) / (1 + len(chance)) >= _RARE:
        return ()
    return (
        f"the class goes with the site: whoever knows the sites alone is right about "
        f"{100 * right:.0f} of 100 scans, by chance {100 * chance.mean():.0f}; a network may learn "
        "scanners: take sites that have both classes",
    )


def guessed_by_site(
    site: NDArray[np.str_], label: NDArray[np.str_], subject: NDArray[np.str_]
) -> tuple[float, NDArray[np.float64]]:
    """Guess classes by what most scans of a site are.

    Parameters
    ----------
    site, label, subject : ndarray of str, shape (N,)
        Of each scan; a subject has one class.

    Returns
    -------
    right : float
        Share of scans that is guessed.
    chance : ndarray of float64, shape (999,)
        The same, with the classes dealt to subjects at random.

    Examples
    --------
    >>> site, label = np.array(["a", "a", "a", "b"]), np.array(["AD", "AD", "CN", "CN"])
    >>> guessed_by_site(site, label, np.arange(4).astype(str))[0]
    0.75
    """
    _, where = np.unique(site, return_inverse=True)
    _, first, who = np.unique(subject, return_index=True, return_inverse=True)
    _, kind = np.unique(label[first], return_inverse=True)

    def right(kinds: NDArray[np.int64]) -> float:
        table = np.zeros((where.max() + 1, kind.max() + 1), np.int64)
        np.add.at(table, (where, kinds[who]), 1)
        return float(table.max(1).sum() / len(site))

    rng = np.random.default_rng(0)
    return right(kind), np.array([right(rng.permutation(kind)) for _ in range(_DRAWS)])
