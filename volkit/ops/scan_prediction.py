"""Predictions of scans, in small groups: each by the networks that have not met its subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from volkit.engine.base import Engine
from volkit.engine.op import Columns, Reduction
from volkit.geometry import Block, Box, Grid
from volkit.io.scan_manifest import ScanManifest
from volkit.io.tables import Column, Schema
from volkit.ops.scan_ensemble import ScanEnsemble

SCAN_CALLS = Schema(
    (
        Column("scan", "str", "", "its name"),
        Column("subject", "str", "", "whose"),
        Column("session", "str", "", "visit"),
        Column("label", "str", "", "class in the manifest"),
        Column("networks", "int64", "", "asked: those that have not met the subject"),
        Column("fold", "int64", "", "the network that was asked; -1 where there were several"),
        Column("probability", "float64", "", "mean over networks; null where all know the subject"),
        Column("spread", "float64", "", "standard deviation over networks (n)"),
        Column("calibrated", "float64", "", "null without a calibrator"),
        Column("call", "str", "", "class at the threshold; empty where nobody could be asked"),
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class ScanWork:
    """Which scans are judged by which networks.

    Parameters
    ----------
    manifest : ScanManifest
        All scans.
    ensemble : ScanEnsemble
        The networks.
    folds : tuple of tuple of int
        For each scan the networks that may judge it.
    """

    manifest: ScanManifest
    ensemble: ScanEnsemble
    folds: tuple[tuple[int, ...], ...]

    @property
    def facts(self) -> Mapping[str, Any]:
        """What decides the answers, as JSON."""
        return {
            "manifest": self.manifest.digest,
            "ensemble": self.ensemble.facts,
            "folds": [list(each) for each in self.folds],
        }


def predict_scans(
    work: ScanWork, *, engine: Engine, group: int = 8, name: str = "predictions"
) -> pd.DataFrame:
    """Ask networks about scans.

    Parameters
    ----------
    work : ScanWork
        Which about which.
    engine : Engine
        Where; a job takes up where it was, group by group.
    group : int
        Scans of a piece of work; results do not depend on it.
    name : str
        Of the stage.

    Returns
    -------
    pandas.DataFrame
        With the columns of `SCAN_CALLS`, in the order of the manifest; neither calibrated nor
        called.

    Raises
    ------
    SourceError
        If a scan cannot be read, or is not the one of the manifest.
    ContractError
        If one is empty or not finite.
    """
    count = len(work.manifest.rows)
    grid = Grid(Box.from_shape((1, 1, count)), (1, 1, min(group, count)))
    stage = Reduction(_group_block, _gathered)
    found: Columns = engine.reduce(stage, grid=grid, name=name, shared=(work,))
    order = np.argsort(found["row"], kind="stable")
    rows = [work.manifest.rows[n] for n in found["row"][order]]
    told = ("scan", "subject", "session", "label")
    measured = ("networks", "fold", "probability", "spread")
    return SCAN_CALLS.framed(
        {
            **{name: [getattr(row, name) for row in rows] for name in told},
            **{name: found[name][order] for name in measured},
            "calibrated": np.nan,
            "call": "",
        }
    )


def _group_block(block: Block, work: ScanWork) -> Columns:
    parts = []
    for number in range(block.write.start[2], block.write.stop[2]):
        folds, row = work.folds[number], work.manifest.rows[number]
        said = np.zeros(0)
        if folds:
            values, _ = work.manifest.read_scan(row)
            window = work.ensemble.prepared(values, name=row.scan)
            said = work.ensemble.probabilities(window, folds)
        parts.append(
            {
                "row": np.array([number], np.int64),
                "networks": np.array([len(folds)], np.int64),
                "fold": np.array([folds[0] if len(folds) == 1 else -1], np.int64),
                "probability": np.array([said.mean() if len(said) else np.nan]),
                "spread": np.array([said.std() if len(said) else np.nan]),
            }
        )
    return _gathered(parts)


def _gathered(tables: Sequence[Columns]) -> Columns:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
