"""Attention of networks over scans as a stage: a volume for each scan, means of each class."""

import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.job import JobEngine
from volkit.engine.op import Columns, Reduction
from volkit.geometry import Block, Box, Grid
from volkit.io.files.scan_bytes import scan_bytes
from volkit.io.scan_files import read_acquired
from volkit.io.scan_manifest import ScanManifest, ScanRow
from volkit.io.tables import Column, Schema
from volkit.kernels.affine_sampling import sampled
from volkit.kernels.attention import to_bytes
from volkit.kernels.region_attention import region_share
from volkit.kernels.resize import resized
from volkit.kernels.scan_greys import unit_greys
from volkit.ops.scan_ensemble import ScanEnsemble
from volkit.pipelines.scans_config import AttentionKeys
from volkit.pipelines.scans_regions import Files, region_files

ATTENTION = Schema(
    (
        Column("scan", "str", "", "its map is attention/SCAN.nii.gz"),
        Column("label", "str", "", "class"),
        Column("fold", "int64", "", "whose network looked"),
        Column("inside", "float64", "", "share of the attention that lies in the region"),
        Column("expected", "float64", "", "share of the brain that the region is"),
        Column("enrichment", "float64", "", "inside over expected; null without a region"),
    )
)
_SUMS = ("attention", "image", "count")


@dataclass(frozen=True, slots=True, eq=False)
class AttentionWork:
    """Which scans are looked at by which networks.

    Parameters
    ----------
    manifest : ScanManifest
        All scans.
    ensemble : ScanEnsemble
        The networks.
    rows, folds : tuple of int
        Scans by their place, and the network that looks at each: one that has not met it.
    folder : str
        Gets the volumes.
    files : mapping
        For each scan its files: ``region`` and ``onto``; empty without a region.
    """

    manifest: ScanManifest
    ensemble: ScanEnsemble
    rows: tuple[int, ...]
    folds: tuple[int, ...]
    folder: str
    files: Files

    @property
    def facts(self) -> Mapping[str, Any]:
        """What decides the maps, as JSON."""
        return {
            "manifest": self.manifest.digest,
            "ensemble": self.ensemble.facts,
            "rows": list(self.rows),
            "folds": list(self.folds),
            "files": {name: dict(found) for name, found in self.files.items()},
        }


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """What was found.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns of `ATTENTION`.
    classes : tuple of str
        Names.
    maps, images : ndarray of float64, shape (K, z, y, x)
        Mean map and mean scan of every class, each from 0 to 1; 0 of a class without scans.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    maps: NDArray[np.float64]
    images: NDArray[np.float64]


def look_evenly(
    scans: pd.DataFrame,
    keys: AttentionKeys,
    manifest: ScanManifest,
    ensemble: ScanEnsemble,
    *,
    engine: JobEngine,
    folder: Path,
) -> Attention | None:
    """Look at scans of each class, evenly taken.

    Parameters
    ----------
    scans : pandas.DataFrame
        ``scan``, ``label`` and ``fold``, whose network is to look at it.
    keys : AttentionKeys
        At how many, and in which region.
    manifest : ScanManifest
        All scans.
    ensemble : ScanEnsemble
        The networks.
    engine : JobEngine
        Folder of the run, and workers.
    folder : Path
        Gets the volumes.

    Returns
    -------
    Attention or None
        None where nothing is to be looked at.

    Raises
    ------
    VolkitError
        What `look` raises; SourceError where the table of regions lacks a column or a scan.
    """
    if not keys.scans or not len(scans):
        return None
    chosen = pd.concat(
        [_evenly(part, keys.scans) for _, part in scans.sort_values("scan").groupby("label")]
    )
    names = chosen["scan"].tolist()
    place = {row.scan: n for n, row in enumerate(manifest.rows)}
    work = AttentionWork(
        manifest,
        ensemble,
        tuple(place[name] for name in names),
        tuple(int(fold) for fold in chosen["fold"]),
        str(folder),
        region_files(keys.region, names),
    )
    return look(work, engine=engine)


def _evenly(scans: pd.DataFrame, count: int) -> pd.DataFrame:
    last = len(scans) - 1
    return scans.iloc[np.linspace(0, last, min(count, last + 1)).round().astype(int)]


def look(work: AttentionWork, *, engine: JobEngine, name: str = "attention") -> Attention:
    """Map what the networks look at in each scan, and average over classes.

    Parameters
    ----------
    work : AttentionWork
        What by whom.
    engine : JobEngine
        Folder and workers.
    name : str
        Of the stage.

    Returns
    -------
    Attention

    Raises
    ------
    VolkitError
        If a scan or a mask cannot be read, or a network has no maps to look at.
    """
    grid = Grid(Box.from_shape((1, 1, len(work.rows))), (1, 1, 1))
    found: Columns = engine.reduce(
        Reduction(_look_block, _added), grid=grid, name=name, shared=(work,)
    )
    rows = [work.manifest.rows[n] for n in found["row"]]
    frame = pd.DataFrame(
        {
            "scan": pd.Series([row.scan for row in rows], dtype="str"),
            "label": pd.Series([row.label for row in rows], dtype="str"),
            "fold": found["fold"],
            "inside": found["inside"],
            "expected": found["expected"],
            "enrichment": found["inside"]
            / np.where(found["expected"] > 0, found["expected"], np.nan),
        }
    )
    count = np.maximum(found["count"], 1)[:, None, None, None] * 255.0
    return Attention(
        frame, work.ensemble.classes, found["attention"] / count, found["image"] / count
    )


def _look_block(block: Block, work: AttentionWork) -> Columns:
    from volkit.ops.scan_attention import attention_map, attention_over

    number = block.write.start[2]
    row, fold = work.manifest.rows[work.rows[number]], work.folds[number]
    values, affine = work.manifest.read_scan(row)
    ensemble = work.ensemble
    window = ensemble.prepared(values, name=row.scan)
    found = attention_map(ensemble.network(fold), window, answer=ensemble.answer)
    whole = attention_over(found, values.shape)
    files = work.files.get(row.scan, {})
    _write(Path(work.folder), row, whole, affine, files)
    inside, expected = _measured(whole, values, affine, files)
    classes = len(ensemble.classes)
    place = ensemble.classes.index(row.label) if row.label in ensemble.classes else None
    sums = {name: np.zeros((classes, *ensemble.window), np.int64) for name in _SUMS[:2]}
    count = np.zeros(classes, np.int64)
    if place is not None:
        # Whole numbers, so that the order in which scans meet cannot show.
        sums["attention"][place] = np.rint(resized(whole, ensemble.window) * 255)
        sums["image"][place] = to_bytes(window)
        count[place] = 1
    return {
        "row": np.array([work.rows[number]], np.int64),
        "fold": np.array([fold], np.int64),
        "inside": np.array([inside]),
        "expected": np.array([expected]),
        "count": count,
        **sums,
    }


def _added(tables: Sequence[Columns]) -> Columns:
    found: Columns = {}
    for name in tables[0]:
        parts = [table[name] for table in tables]
        added = name in _SUMS
        found[name] = np.asarray(np.sum(parts, axis=0)) if added else np.concatenate(parts)
    return found


def _measured(
    whole: NDArray[np.float32],
    values: NDArray[np.float32],
    affine: NDArray[np.float64],
    files: Mapping[str, str],
) -> tuple[float, float]:
    """Measure the share of a map in a scan's region, and that of the region in the brain."""
    if "region" not in files:
        return float("nan"), float("nan")
    mask = read_acquired(files["region"])
    shape = values.shape
    region = sampled(mask.values != 0, mask.affine, shape=shape, onto=affine, nearest=True) > 0
    share = region_share(whole, region, unit_greys(values) > 0)
    return share.inside, share.expected


def _write(
    folder: Path,
    row: ScanRow,
    whole: NDArray[np.float32],
    affine: NDArray[np.float64],
    files: Mapping[str, str],
) -> None:
    """Write a map on the voxels of its scan, or of the file that is named."""
    if "onto" in files:
        like = read_acquired(files["onto"])
        whole = sampled(whole, affine, shape=like.values.shape, onto=like.affine)
        affine = like.affine
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', row.scan)}.nii.gz"
    partial = path.with_suffix(".part")
    partial.write_bytes(gzip.compress(scan_bytes(whole, affine), 6, mtime=0))
    partial.replace(path)
