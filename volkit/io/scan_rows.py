"""Rows of scan manifests: what is said of a scan, as CSV, and what cannot be."""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from volkit.errors import SourceError

PARTS = ("train", "val", "test")

_NEEDED = ("scan", "subject", "label", "path", "sha256")  # never empty
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class ScanRow:
    """One scan.

    Parameters
    ----------
    scan, subject, session : str
        Its name, whose head it is, and the visit; a session may be unknown, then it is empty.
    label : str
        Name of its class.
    path : str
        From the folder of the manifest, with slashes.
    part : str
        ``train``, ``val`` or ``test``; empty where ``fold`` says it.
    sha256 : str
        Of its file, 64 hexadecimal digits.
    preprocessing : str
        Digest of the chain that made the file; empty for scans as they were acquired.
    fold : int or None
        From 0; None without folds, and for scans that all folds leave out.
    site : str
        Where, or on which scanner, it was acquired; empty where that is not known.
    """

    scan: str
    subject: str
    session: str
    label: str
    path: str
    part: str
    sha256: str
    preprocessing: str
    fold: int | None = None
    site: str = ""

    @property
    def place(self) -> str:
        """Where the split put it: the part, or ``fold N``."""
        return self.part or f"fold {self.fold}"


_PERHAPS = ("fold", "site")  # columns that are there where a row has one
COLUMNS = tuple(each.name for each in fields(ScanRow) if each.name not in _PERHAPS)


def rows_text(rows: Sequence[ScanRow]) -> str:
    """Write rows as CSV, with a header."""
    more = (name for name in _PERHAPS if any(getattr(row, name) not in (None, "") for row in rows))
    names = (*COLUMNS, *more)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = (getattr(row, name) for name in names)
        writer.writerow(["" if value is None else str(value) for value in values])
    return stream.getvalue()


def row_of(uri: str, line: int, record: dict[str | None, str | None]) -> ScanRow:
    """Understand a line of CSV; values are checked by `check_rows`.

    Raises
    ------
    SourceError
        If it has more or fewer values than columns, or its fold is no number.
    """
    if None in record or None in record.values():
        raise SourceError(f"{uri}: line {line} has more or fewer values than columns; mend it")
    known = {name: str(record[name]).strip() for name in COLUMNS}
    fold = str(record.get("fold") or "").strip()
    if fold and not fold.isdecimal():
        raise SourceError(f"{uri}: line {line} has fold {fold!r}; expected 0, 1, … or nothing")
    site = str(record.get("site") or "").strip()
    return ScanRow(**known, fold=int(fold) if fold else None, site=site)


def check_rows(uri: str, rows: Sequence[ScanRow]) -> None:
    """Refuse rows that make no manifest.

    Raises
    ------
    SourceError
        If a row is incomplete, a scan, file or path is named twice, a subject has two classes, or
        scans of several preprocessing chains are mixed.
    """
    if not rows:
        raise SourceError(f"{uri} names no scan; give a row for each")
    for row in rows:
        _check_row(uri, row)
    for name in ("scan", "path", "sha256"):
        _check_once(uri, rows, name)
    check_subjects(uri, ((row.subject, row.label) for row in rows))
    chains = sorted({row.preprocessing for row in rows})
    if len(chains) > 1:
        raise SourceError(
            f"{uri} mixes scans of {len(chains)} preprocessing chains "
            f"({', '.join(c[:12] or 'none' for c in chains[:_SHOWN])}); preprocess all of them "
            "alike"
        )


def _check_row(uri: str, row: ScanRow) -> None:
    who = row.scan or row.path or "a row"
    for name in _NEEDED:
        if not getattr(row, name):
            raise SourceError(f"{uri}: {who} has no {name}; fill it in")
    if not _SHA256.fullmatch(row.sha256):
        raise SourceError(
            f"{uri}: sha256 of {who} is {row.sha256!r}; expected 64 hexadecimal digits, in small "
            "letters"
        )
    if row.part not in PARTS and (row.part or row.fold is None):
        raise SourceError(
            f"{uri}: part of {who} is {row.part!r}; expected {', '.join(PARTS)}, or nothing beside "
            "a fold"
        )
    if row.part and row.fold is not None:
        raise SourceError(f"{uri}: {who} is in part {row.part} and in fold {row.fold}; leave one")


def _check_once(uri: str, rows: Sequence[ScanRow], name: str) -> None:
    named = Counter(getattr(row, name) for row in rows)
    twice = [value for value, count in named.items() if count > 1]
    if not twice:
        return
    found = [row.scan for row in rows if getattr(row, name) == twice[0]]
    what = {
        "scan": f"names scan {twice[0]} {named[twice[0]]} times",
        "path": f"gives {twice[0]} to the scans {', '.join(found[:_SHOWN])}",
        "sha256": f"has the same file under other names: scans {', '.join(found[:_SHOWN])}",
    }[name]
    raise SourceError(f"{uri} {what}; keep one row of each")


def check_subjects(uri: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Refuse subjects with scans of several classes.

    Parameters
    ----------
    uri : str
        Of the table, for messages.
    pairs : iterable of (str, str)
        Subject and class of every scan.

    Raises
    ------
    SourceError
        Which names the first of them.
    """
    labels = defaultdict(set)
    for subject, label in pairs:
        labels[subject].add(label)
    mixed = sorted(subject for subject, found in labels.items() if len(found) > 1)
    if mixed:
        both = " and ".join(sorted(labels[mixed[0]]))
        others = f", and so have {len(mixed) - 1} others" if len(mixed) > 1 else ""
        raise SourceError(
            f"{uri}: subject {mixed[0]} has scans of the classes {both}{others}; correct the "
            "table, or leave them out"
        )
