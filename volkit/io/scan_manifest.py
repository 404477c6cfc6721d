"""Scan manifests: which scans a training sees, of whom, of which class, in which part.

A CSV beside the scans, one row for each: ``scan``, ``subject``, ``session``, ``label``, ``path``
(from the folder of the manifest), ``part`` (train, val or test; empty with folds), ``sha256`` of
its file, ``preprocessing`` (digest of the parameters of the chain that made it), and with folds
``fold``.  Whoever reads a scan through a manifest gets the bytes that were split, or an error.
"""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.io.files.affine import Affine
from volkit.io.files.scan_bytes import scan_of
from volkit.io.objects.protocol import open_objects, split_object
from volkit.io.seals import digest
from volkit.io.sources import OpenOptions

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

    @property
    def place(self) -> str:
        """Where the split put it: the part, or ``fold N``."""
        return self.part or f"fold {self.fold}"


COLUMNS = tuple(each.name for each in fields(ScanRow) if each.name != "fold")


@dataclass(frozen=True, slots=True)
class ScanManifest:
    """The scans of a split, checked.

    Parameters
    ----------
    uri : str
        Where it lies; paths are meant from its folder.
    rows : tuple of ScanRow
        In the order of the file.
    options : OpenOptions
        Credentials and patience.

    Raises
    ------
    SourceError
        If a row is incomplete, a scan, file or path is named twice, a subject has two classes, or
        scans of several preprocessing chains are mixed.
    """

    uri: str
    rows: tuple[ScanRow, ...]
    options: OpenOptions = field(default_factory=OpenOptions)

    def __post_init__(self) -> None:
        if not self.rows:
            raise SourceError(f"{self.uri} names no scan; give a row for each")
        for row in self.rows:
            _check_row(self.uri, row)
        for name in ("scan", "path", "sha256"):
            _check_once(self.uri, self.rows, name)
        _check_subjects(self.uri, self.rows)
        chains = sorted({row.preprocessing for row in self.rows})
        if len(chains) > 1:
            raise SourceError(
                f"{self.uri} mixes scans of {len(chains)} preprocessing chains "
                f"({', '.join(c[:12] or 'none' for c in chains[:_SHOWN])}); preprocess all of them "
                "alike"
            )

    @property
    def digest(self) -> str:
        """SHA-256 of the rows, whatever their order: what a training records and asks for again."""
        return digest(_text(sorted(self.rows, key=lambda row: row.scan)).encode())

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, sorted."""
        return tuple(sorted({row.label for row in self.rows}))

    @property
    def folds(self) -> int:
        """How many folds there are; 0 without."""
        return 1 + max((row.fold for row in self.rows if row.fold is not None), default=-1)

    def part(self, name: str) -> tuple[ScanRow, ...]:
        """List the scans of a part, in order."""
        return tuple(row for row in self.rows if row.part == name)

    def read_scan(self, row: ScanRow) -> tuple[NDArray[np.float32], Affine]:
        """Read a scan, in canonical orientation.

        Parameters
        ----------
        row : ScanRow
            One of ``rows``.

        Returns
        -------
        values : ndarray of float32, shape (Z, Y, X)
            x to the Right, y to Anterior, z to Superior; the scale of the file applied.
        affine : ndarray of float64, shape (4, 4)
            Voxel indices (x, y, z) to millimetres, RAS.

        Raises
        ------
        SourceError
            If the file is absent, damaged, no scan, or not the one that was split.
        """
        uri, data = self.read_bytes(row)
        return scan_of(uri, data)

    def read_bytes(self, row: ScanRow) -> tuple[str, bytes]:
        """Read the file of a scan, and say where it lies.

        Raises
        ------
        SourceError
            If it is absent, or not the one that was split.
        """
        place, _ = split_object(self.uri)
        objects = open_objects(place, self.options)
        data = objects.get(row.path)
        uri = f"{objects.uri.rstrip('/')}/{row.path}"
        if data is None:
            raise SourceError(
                f"{uri} of scan {row.scan} does not exist; restore it, or split again"
            )
        found = digest(data)
        if found != row.sha256:
            raise SourceError(
                f"{uri} of scan {row.scan} has SHA-256 {found[:12]}…, {self.uri} states "
                f"{row.sha256[:12]}…: it changed after the split; restore it, or split again"
            )
        return uri, data


def read_manifest(uri: str | Path, *, options: OpenOptions | None = None) -> ScanManifest:
    """Read a manifest; scans are read, and their digests compared, one by one later.

    Parameters
    ----------
    uri : str or Path
        CSV; a local path or a URL that ``open_objects`` takes.
    options : OpenOptions or None
        Credentials and patience.

    Returns
    -------
    ScanManifest

    Raises
    ------
    SourceError
        If it is absent or damaged, lacks a column, or what ScanManifest raises.
    """
    place, name = split_object(uri)
    how = options or OpenOptions()
    data = open_objects(place, how).get(name)
    if data is None:
        raise SourceError(f"{uri} does not exist; check the path")
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        records = [] if missing else list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{uri} cannot be read as CSV ({error}); write it again") from error
    if missing:
        raise SourceError(
            f"{uri} has no column {' and '.join(missing)}, but {', '.join(reader.fieldnames or ())}"
            f"; a manifest has {', '.join(COLUMNS)}, and with folds fold"
        )
    rows = tuple(_row(str(uri), number, record) for number, record in enumerate(records, 2))
    return ScanManifest(str(uri), rows, how)


def write_manifest(
    uri: str | Path, rows: Iterable[ScanRow], *, options: OpenOptions | None = None
) -> ScanManifest:
    """Write a manifest, whole or not at all.

    Parameters
    ----------
    uri : str or Path
        CSV; a local path or a URL that ``open_objects`` takes.
    rows : iterable of ScanRow
        In order.
    options : OpenOptions or None
        Credentials and patience.

    Returns
    -------
    ScanManifest
        As :func:`read_manifest` would give it.

    Raises
    ------
    SourceError
        What ScanManifest raises, or if it cannot be written.
    """
    how = options or OpenOptions()
    manifest = ScanManifest(str(uri), tuple(rows), how)
    place, name = split_object(uri)
    open_objects(place, how).put(name, _text(manifest.rows).encode())
    return manifest


def _text(rows: Sequence[ScanRow]) -> str:
    folds = any(row.fold is not None for row in rows)
    names = (*COLUMNS, "fold") if folds else COLUMNS
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        values = (getattr(row, name) for name in names)
        writer.writerow(["" if value is None else str(value) for value in values])
    return stream.getvalue()


def _row(uri: str, line: int, record: dict[str | None, str | None]) -> ScanRow:
    if None in record or None in record.values():
        raise SourceError(f"{uri}: line {line} has more or fewer values than columns; mend it")
    known = {name: str(record[name]).strip() for name in COLUMNS}
    fold = str(record.get("fold") or "").strip()
    if fold and not fold.isdecimal():
        raise SourceError(f"{uri}: line {line} has fold {fold!r}; expected 0, 1, … or nothing")
    return ScanRow(**known, fold=int(fold) if fold else None)


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


def _check_subjects(uri: str, rows: Sequence[ScanRow]) -> None:
    labels = defaultdict(set)
    for row in rows:
        labels[row.subject].add(row.label)
    mixed = sorted(subject for subject, found in labels.items() if len(found) > 1)
    if mixed:
        raise SourceError(
            f"{uri}: subject {mixed[0]} has scans of the classes "
            f"{' and '.join(sorted(labels[mixed[0]]))}"
            + (f", and so have {len(mixed) - 1} others" if len(mixed) > 1 else "")
            + "; correct the table, or leave them out"
        )
