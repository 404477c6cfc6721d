"""Scan tables: which scans there are, of whom, of which class, before anything is done to them."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from volkit.errors import SourceError
from volkit.io.objects.protocol import open_objects, split_object
from volkit.io.place import Place
from volkit.io.scan_rows import check_subjects
from volkit.io.sources import OpenOptions
from volkit.io.uris import split_scheme

_NEEDED = ("scan", "subject", "label", "path")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # it becomes the name of a file


@dataclass(frozen=True, slots=True)
class ListedScan:
    """A scan in a table.

    Parameters
    ----------
    scan, subject, session, label : str
        Its name, whose head it is, the visit (may be empty), and its class.
    uri : str
        Where it lies.
    masks : dict of str to str
        Where masks of it lie, by the name of their column; absent where a cell is empty.
    site : str
        Where, or on which scanner, it was acquired; empty where that is not known.
    """

    scan: str
    subject: str
    session: str
    label: str
    uri: str
    masks: dict[str, str] = field(default_factory=dict)
    site: str = ""


def read_scan_table(
    uri: str | Path, *, masks: Sequence[str] = (), options: OpenOptions | None = None
) -> tuple[ListedScan, ...]:
    """Read a table of scans.

    Parameters
    ----------
    uri : str or Path
        CSV with the columns ``scan``, ``subject``, ``label`` and ``path``, ``session`` and ``site``
        where they are known; other columns are left alone.  Paths are meant from the folder of the
        table, and may be URLs.
    masks : sequence of str
        Columns with paths of masks.
    options : OpenOptions, optional
        Credentials and patience.

    Returns
    -------
    tuple of ListedScan
        In the order of the table.

    Raises
    ------
    SourceError
        If it is absent or damaged, lacks a column or a value, names a column, a scan or a file
        twice, or a subject has scans of two classes.
    """
    text = _text(uri, options)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        names = reader.fieldnames or []
        records = list(reader)
    except csv.Error as error:
        raise SourceError(f"{uri} cannot be read as CSV ({error}); write it again") from error
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(f"{uri} has several columns {', '.join(twice)}; name each once")
    if len(names) == 1 and ";" in names[0]:
        raise SourceError(f"{uri} has semicolons between its columns; save it with commas")
    missing = [name for name in (*_NEEDED, *masks) if name not in names]
    if missing:
        raise SourceError(
            f"{uri} has no column {' and '.join(missing)}, but {', '.join(names)}; a table of "
            f"scans has {', '.join(_NEEDED)}, session and site where they are known, and the masks "
            "asked for"
        )
    if not records:
        raise SourceError(f"{uri} names no scan; give a row for each")
    rows = tuple(_row(uri, n, record, masks) for n, record in enumerate(records, 2))
    _check_once(uri, rows)
    check_subjects(str(uri), ((row.subject, row.label) for row in rows))
    return rows


def _text(uri: str | Path, options: OpenOptions | None) -> str:
    place, name = split_object(uri)
    data = open_objects(place, options).get(name)
    if data is None:
        raise SourceError(f"{uri} does not exist; check the path")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{uri} is no text in UTF-8 ({error}); save it as CSV") from error


def _row(
    uri: str | Path, line: int, record: dict[str | None, str | None], masks: Sequence[str]
) -> ListedScan:
    if None in record or None in record.values():
        raise SourceError(f"{uri}: line {line} has more or fewer values than columns; mend it")
    told = {str(key): str(value).strip() for key, value in record.items()}
    for name in _NEEDED:
        if not told[name]:
            raise SourceError(f"{uri}: line {line} has no {name}; fill it in")
    if not _NAME.fullmatch(told["scan"]):
        raise SourceError(
            f"{uri}: line {line} names the scan {told['scan']!r}, which cannot be the name of a "
            "file; use letters, digits, dots, dashes and underscores"
        )
    return ListedScan(
        scan=told["scan"],
        subject=told["subject"],
        session=told.get("session", ""),
        label=told["label"],
        uri=placed(uri, told["path"]),
        masks={name: placed(uri, told[name]) for name in masks if told[name]},
        site=told.get("site", ""),
    )


def placed(table: str | Path, path: str) -> str:
    """Say where a path in a table leads: from the folder of the table, unless it says it all."""
    if split_scheme(path)[0] or Path(path).is_absolute():
        return path
    return Place.at(str(table)).above.inside(path).uri


def _check_once(uri: str | Path, rows: Sequence[ListedScan]) -> None:
    for name in ("scan", "uri"):
        seen: dict[str, str] = {}
        for row in rows:
            value = getattr(row, name)
            if value in seen:
                what = "scan" if name == "scan" else "file"
                raise SourceError(
                    f"{uri} names the {what} {value} twice, as {seen[value]} and {row.scan}; keep "
                    "one row"
                )
            seen[value] = row.scan
