"""Scan manifests: which scans a training sees, of whom, of which class, in which part.

A CSV beside the scans, one row for each: ``scan``, ``subject``, ``session``, ``label``, ``path``
(from the folder of the manifest), ``part`` (train, val or test; empty with folds), ``sha256`` of
its file, ``preprocessing`` (digest of the parameters of the chain that made it), with folds
``fold``, and ``site`` where it is known.  Whoever reads a scan through a manifest gets the bytes
that were split, or an error.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volkit.errors import SourceError
from volkit.io.files.affine import Affine
from volkit.io.files.scan_bytes import scan_of
from volkit.io.objects.protocol import open_objects, split_object
from volkit.io.scan_rows import COLUMNS, PARTS, ScanRow, check_rows, row_of, rows_text
from volkit.io.seals import digest
from volkit.io.sources import OpenOptions

__all__ = ["COLUMNS", "PARTS", "ScanManifest", "ScanRow", "read_manifest", "write_manifest"]


@dataclass(frozen=True, slots=True)
class ScanManifest:
    """The scans of a split, checked.

    Parameters
    ----------
    uri : str
        Where it lies; paths are meant from its folder.
    rows : tuple of ScanRow
        Sorted by scan, so that nothing that counts them depends on the order of the file.
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
        check_rows(self.uri, self.rows)
        object.__setattr__(self, "rows", tuple(sorted(self.rows, key=lambda row: row.scan)))

    @property
    def digest(self) -> str:
        """SHA-256 of the rows, whatever their order: what a training records and asks for again."""
        return digest(rows_text(self.rows).encode())

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
            f"; a manifest has {', '.join(COLUMNS)}, with folds fold, and perhaps site"
        )
    rows = tuple(row_of(str(uri), number, record) for number, record in enumerate(records, 2))
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
        In any order; they are written sorted.
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
    open_objects(place, how).put(name, rows_text(manifest.rows).encode())
    return manifest
