"""Tables of prepared scans: quality and provenance of each, tissue volumes, and the manifest."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from volkit.engine.op import Columns
from volkit.errors import ContractError
from volkit.io.scan_manifest import ScanManifest, ScanRow, write_manifest
from volkit.io.scan_table import ListedScan
from volkit.io.tables import Column, Schema, write_table
from volkit.ops.scan_batch import scan_key
from volkit.ops.scan_quality import FACES
from volkit.pipelines.t1w_config import SplitKeys
from volkit.training.scan_sites import SITES, site_balance
from volkit.training.scan_split import fold_scans, split_scans

_SHOWN = 3
_TEXTS = {
    "scan": "its name",
    "subject": "whose head it is",
    "session": "the visit",
    "label": "its class",
    "site": "where it was acquired; empty where that is not known",
    "state": "ok, or set aside",
    "reason": "why it was set aside",
    "uri": "where it was read",
    "source_sha256": "of its file, or of the files of its series",
    "source_voxels_sha256": "of its voxels in canonical orientation, where it is ok",
    "path": "where it was written, from the folder of the run",
    "sha256": "of that file",
    "preprocessing": "digest of what decides the voxels",
    "steps": "JSON: every step with its parameters and the SHA-256 of its voxels",
    "files": "JSON: SHA-256 of all its files",
    "tissue": "JSON: volumes of tissues, ml",
}
_NUMBERS = {
    "brain_ml": ("ml", "volume of the brain"),
    "cut_share": ("", "of the brain's largest section, what lies on a face of the field of view"),
    "bright_share": ("", "of the brain, voxels much brighter than white matter"),
    "signal_mean": ("", "mean of the brain, after shading was taken out"),
    "signal_deviation": ("", "standard deviation of the brain"),
    "noise": ("", "standard deviation of the air; missing where it was cleared"),
    "snr": ("", "mean of the brain over the noise"),
    "field_low": ("", "shading: its 1 % quantile"),
    "field_high": ("", "shading: its 99 % quantile"),
}
_COUNTS = {
    **{f"room_{f}": f"voxels from the brain to the {f} face of the field of view" for f in FACES},
    **{f"margin_{f}": f"voxels from the brain to the {f} face after cropping" for f in FACES},
}
QUALITY = Schema(
    (
        *(Column(name, "str", "", meaning) for name, meaning in _TEXTS.items()),
        *(Column(name, "float64", unit, meaning) for name, (unit, meaning) in _NUMBERS.items()),
        *(Column(name, "int64", "voxel", meaning) for name, meaning in _COUNTS.items()),
    )
)
"""Of ``tables/scans.parquet``: one row for each scan of the table, in its order."""


def quality_table(scans: Sequence[ListedScan], found: Columns, preprocessing: str) -> pd.DataFrame:
    """Join what is known of scans to what was measured; of equal scans only the first counts.

    Parameters
    ----------
    scans : sequence of ListedScan
        In order.
    found : dict of ndarray, shape (N,)
        From `volkit.ops.scan_batch.prepare_scans`.
    preprocessing : str
        Digest of the chain.

    Returns
    -------
    pandas.DataFrame
        Of schema ``QUALITY``.
    """
    known = pd.DataFrame(
        [(s.scan, s.subject, s.session, s.label, s.site, s.uri) for s in scans],
        columns=["scan", "subject", "session", "label", "site", "uri"],
    )
    frame = known.merge(pd.DataFrame(dict(found)), on="scan", validate="one_to_one")
    good = frame["state"] == "ok"
    frame["path"] = frame["scan"].map(scan_key).where(good, "")
    frame["preprocessing"] = pd.Series(preprocessing, frame.index).where(good, "")
    first: dict[str, str] = {}
    for row in frame[good].itertuples():
        same = first.setdefault(str(row.source_voxels_sha256), str(row.scan))
        if same != row.scan:
            frame.loc[row.Index, ["state", "reason"]] = [
                "set aside",
                f"it has the same voxels as {same}: a copy under another name",
            ]
    for name in _TEXTS:
        frame[name] = frame[name].astype("str")
    return frame[list(QUALITY.names)]


def write_quality(folder: Path, frame: pd.DataFrame, made: Mapping[str, Any]) -> Path:
    """Write ``tables/scans.parquet``."""
    path = folder / "tables" / "scans.parquet"
    write_table(path, frame, QUALITY, made)
    return path


def write_tissue(folder: Path, frame: pd.DataFrame, made: Mapping[str, Any]) -> Path | None:
    """Write ``tables/tissue.parquet``: millilitres of every tissue; None where none were asked for.

    Parameters
    ----------
    folder : Path
        Of the run.
    frame : pandas.DataFrame
        Of schema ``QUALITY``.
    made : mapping
        Provenance.
    """
    good = frame[frame["state"] == "ok"].reset_index(drop=True)
    volumes = [json.loads(text) for text in good["tissue"]]
    names = list(dict.fromkeys(name for each in volumes for name in each))
    if not names:
        return None
    about = good[["scan", "subject", "session", "label"]]
    columns = {f"{n.replace(' ', '_')}_ml": [float(each[n]) for each in volumes] for n in names}
    table = about.assign(**columns, total_ml=[float(sum(each.values())) for each in volumes])
    schema = Schema(
        (
            *(Column(n, "str", "", _TEXTS[n]) for n in about.columns),
            *(Column(n, "float64", "ml", "volume of that tissue") for n in columns),
            Column("total_ml", "float64", "ml", "of all tissues"),
        )
    )
    path = folder / "tables" / "tissue.parquet"
    write_table(path, table, schema, made)
    return path


def write_sites(folder: Path, manifest: ScanManifest, made: Mapping[str, Any]) -> Path | None:
    """Write ``tables/sites.csv``: who was acquired where; None where no site is known."""
    table = site_balance(manifest.rows)
    if table is None:
        return None
    path = folder / "tables" / "sites.csv"
    write_table(path, table, SITES, made)
    return path


def write_split(folder: Path, frame: pd.DataFrame, keys: SplitKeys) -> ScanManifest:
    """Deal subjects out and write ``manifest.csv``.

    Parameters
    ----------
    folder : Path
        Of the run.
    frame : pandas.DataFrame
        Of schema ``QUALITY``.
    keys : SplitKeys
        How.

    Returns
    -------
    ScanManifest

    Raises
    ------
    ContractError
        If no scan is left, or a class has fewer subjects than there are parts.
    """
    good = frame[frame["state"] == "ok"]
    if good.empty:
        reasons = "; ".join(f"{r.scan}: {r.reason}" for r in frame[:_SHOWN].itertuples())
        raise ContractError(f"all {len(frame)} scans were set aside, as {reasons}")
    rows = [
        ScanRow(
            scan=str(row.scan),
            subject=str(row.subject),
            session=str(row.session),
            label=str(row.label),
            path=str(row.path),
            part="",
            sha256=str(row.sha256),
            preprocessing=str(row.preprocessing),
            site=str(row.site),
        )
        for row in good.itertuples()
    ]
    return write_manifest(folder / "manifest.csv", dealt(rows, keys))


def dealt(rows: Sequence[ScanRow], keys: SplitKeys) -> tuple[ScanRow, ...]:
    """Deal scans to parts, or to folds with the share of test left out of them.

    Raises
    ------
    ContractError
        If a class has fewer subjects than there are parts.
    """
    if not keys.folds:
        return split_scans(rows, keys.shares, seed=keys.seed)
    test = keys.shares.get("test", 0.0)
    if test > 0:
        rest = sum(keys.shares.values()) - test
        rows = split_scans(rows, {"train": rest, "test": test}, seed=keys.seed)
    else:
        rows = [replace(row, part="train") for row in rows]
    return fold_scans(rows, keys.folds, seed=keys.seed)
