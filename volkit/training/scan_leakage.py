"""Leakage: what a test would know from training, found before anything is trained.

Three ways are looked for between the parts of a manifest: a subject in two of them, a scan stored
twice (the same voxels under another name, or nearly the same after another conversion), and a
session under two subjects.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from volkit.errors import ContractError
from volkit.io.scan_manifest import ScanManifest, ScanRow
from volkit.io.seals import digest
from volkit.kernels.scan_twins import ALIKE, thumbnail, twins
from volkit.training.scan_split import balance

# Names of visits, which every subject has; all other sessions are taken as accession numbers.
_VISIT = re.compile(r"ses-.*|bl|sc|baseline|screening|[mvy]\d{1,3}|\d{1,2}", re.IGNORECASE)
_SHOWN = 3
_MEANINGS = {
    "subject": "subjects in several parts",
    "session": "sessions under several subjects",
    "same": "scans stored twice",
    "alike": "scans that are nearly the same in several parts",
}


@dataclass(frozen=True, slots=True)
class Leak:
    """One way in which two scans of a split know each other.

    Parameters
    ----------
    kind : str
        ``subject``, ``session``, ``same`` (equal voxels) or ``alike`` (nearly equal ones).
    what : str
        The subject or session, or how alike.
    scans : tuple of (str, str)
        Their names.
    places : tuple of (str, str)
        Their parts or folds.
    """

    kind: str
    what: str
    scans: tuple[str, str]
    places: tuple[str, str]

    def __str__(self) -> str:
        first, second = (f"{s} ({p})" for s, p in zip(self.scans, self.places, strict=True))
        return f"{self.what}: {first} and {second}"


@dataclass(frozen=True, slots=True)
class LeakageReport:
    """What was found in a manifest.

    Parameters
    ----------
    digest : str
        Of the manifest.
    leaks : tuple of Leak
        One for each subject, session and pair of scans; empty is what is wanted.
    one_class : tuple of str
        Parts or folds with scans of a single class, where nothing can be learned or scored.
    balance : pandas.DataFrame
        Scans and subjects of every class in every part.
    voxels : bool
        Whether scans were compared by voxels.
    """

    digest: str
    leaks: tuple[Leak, ...]
    one_class: tuple[str, ...]
    balance: pd.DataFrame
    voxels: bool

    def of(self, kind: str) -> tuple[Leak, ...]:
        """List the leaks of a kind."""
        return tuple(leak for leak in self.leaks if leak.kind == kind)


def check_leakage(
    manifest: ScanManifest, *, voxels: bool = True, alike: float = ALIKE
) -> LeakageReport:
    """Refuse a split whose parts know each other.

    Parameters
    ----------
    manifest : ScanManifest
        Parts or folds.
    voxels : bool
        Read all scans, and compare them; without, only names are looked at.
    alike : float
        Correlation of thumbnails above which two scans are taken as one.

    Returns
    -------
    LeakageReport
        Without leaks.

    Raises
    ------
    ContractError
        If there is a leak, or a part has scans of one class only.
    SourceError
        If a scan cannot be read, or is not the one that was split.
    """
    found = find_leaks(manifest, voxels=voxels, alike=alike)
    lines = []
    for kind, meaning in _MEANINGS.items():
        leaks = found.of(kind)
        if leaks:
            more = f"; and {len(leaks) - _SHOWN} more" if len(leaks) > _SHOWN else ""
            lines.append(f"  {len(leaks)} {meaning}: {'; '.join(map(str, leaks[:_SHOWN]))}{more}")
    if lines:
        raise ContractError(
            "\n".join(
                [
                    f"{manifest.uri} leaks, so that scores would be too good:",
                    *lines,
                    "leave out what is there twice, correct subjects and sessions, and split again "
                    "by subject",
                ]
            )
        )
    if found.one_class:
        raise ContractError(
            f"{manifest.uri} has scans of one class only in {', '.join(found.one_class)}; give "
            "more subjects, or fewer parts"
        )
    return found


def find_leaks(
    manifest: ScanManifest, *, voxels: bool = True, alike: float = ALIKE
) -> LeakageReport:
    """Look for what parts of a split know of each other, and tell it without complaint.

    Parameters
    ----------
    manifest : ScanManifest
        Parts or folds.
    voxels : bool
        Read all scans, and compare them.
    alike : float
        Correlation of thumbnails above which two scans are taken as one.

    Returns
    -------
    LeakageReport

    Raises
    ------
    SourceError
        If a scan cannot be read, or is not the one that was split.
    """
    rows = manifest.rows
    leaks = [*_shared_subjects(rows), *_shared_sessions(rows)]
    if voxels:
        leaks += _twins(manifest, alike)
    table = balance(rows)
    classes = table.groupby("place")["label"].nunique()
    lonely = tuple(sorted(classes[classes < 2].index)) if len(manifest.classes) > 1 else ()
    return LeakageReport(manifest.digest, tuple(leaks), lonely, table, voxels)


def _shared_subjects(rows: Sequence[ScanRow]) -> Iterator[Leak]:
    for subject, group in _grouped(rows, "subject").items():
        pair = _first_apart(group, "place")
        if pair:
            yield _leak("subject", subject, *pair)


def _shared_sessions(rows: Sequence[ScanRow]) -> Iterator[Leak]:
    for session, group in _grouped(rows, "session").items():
        if not session or _VISIT.fullmatch(session):
            continue
        pair = _first_apart(group, "subject")
        if pair:
            yield _leak("session", session, *pair)


def _twins(manifest: ScanManifest, alike: float) -> Iterator[Leak]:
    rows = manifest.rows
    same = defaultdict(list)
    small = np.empty((len(rows), 16**3), np.float32)
    for number, row in enumerate(rows):
        values, _ = manifest.read_scan(row)
        same[digest(str(values.shape).encode(), values.tobytes())].append(number)
        small[number] = thumbnail(values)
    equal = {pair for numbers in same.values() for pair in combinations(numbers, 2)}
    for a, b in sorted(equal):
        yield _leak("same", "equal voxels", rows[a], rows[b])
    for a, b, correlation in twins(small, alike=alike):
        if (a, b) not in equal and rows[a].place != rows[b].place:
            yield _leak("alike", f"correlation {correlation:.5f}", rows[a], rows[b])


def _grouped(rows: Sequence[ScanRow], name: str) -> dict[str, list[ScanRow]]:
    found: dict[str, list[ScanRow]] = defaultdict(list)
    for row in rows:
        found[getattr(row, name)].append(row)
    return found


def _first_apart(rows: Sequence[ScanRow], name: str) -> tuple[ScanRow, ScanRow] | None:
    """Find two rows of a group that differ in something; None where none do."""
    for row in rows[1:]:
        if getattr(row, name) != getattr(rows[0], name):
            return rows[0], row
    return None


def _leak(kind: str, what: str, first: ScanRow, second: ScanRow) -> Leak:
    return Leak(kind, what, (first.scan, second.scan), (first.place, second.place))
