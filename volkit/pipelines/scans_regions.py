"""Regions of scans: the files that a table names for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from volkit.errors import SourceError
from volkit.io.scan_table import placed
from volkit.io.tables import read_table
from volkit.pipelines.scans_config import RegionKeys

Files = Mapping[str, Mapping[str, str]]


def region_files(keys: RegionKeys | None, scans: Sequence[str]) -> Files:
    """Find the files of each scan's region.

    Parameters
    ----------
    keys : RegionKeys or None
        None asks for no region.
    scans : sequence of str
        Names; of none, the table is only looked at.

    Returns
    -------
    mapping of str to mapping of str to str
        For each scan ``region``, and ``onto`` where it is asked for.

    Raises
    ------
    SourceError
        If the table lacks a column or a scan, or has more than one row for a scan.
    """
    if keys is None:
        return {}
    columns = {"region": keys.column} | ({"onto": keys.onto} if keys.onto else {})
    frame = read_table(keys.table, texts=("scan", *columns.values()))[0].astype("str")
    missing = [name for name in ("scan", *columns.values()) if name not in frame]
    absent = sorted(set(scans) - set(frame["scan"])) if not missing else []
    if missing or absent:
        raise SourceError(
            f"{keys.table} has no {'column ' + ', '.join(missing) if missing else 'scan '}"
            f"{', '.join(absent[:3])}; give a table with scan and the file of its region"
        )
    twice = sorted(set(frame.loc[frame["scan"].duplicated(), "scan"]) & set(scans))
    if twice:
        more = f" and {len(twice) - 3} more" if twice[3:] else ""
        raise SourceError(
            f"{keys.table} has more than one row for scan {', '.join(twice[:3])}{more}; which "
            "region is meant cannot be told: leave one row for each scan"
        )
    rows: Any = frame.set_index("scan")
    return {
        scan: {name: placed(keys.table, rows.loc[scan, column]) for name, column in columns.items()}
        for scan in scans
    }
