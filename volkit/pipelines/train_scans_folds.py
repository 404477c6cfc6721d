"""Folds of a training on scans as a stage: each is trained whole, marked, and not trained again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from volkit.engine.job import JobEngine
from volkit.engine.op import Columns, Reduction
from volkit.geometry import Block, Box, Grid
from volkit.pipelines.train_scans_config import TrainScans
from volkit.training.scan_roles import By, scan_roles, trainings
from volkit.training.scan_run import OnEpoch, train_fold
from volkit.training.scan_set import ScanSet
from volkit.training.scan_start import start_digest

JUDGED, CHOOSING = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class FoldWork:
    """What is trained, fold by fold.

    Parameters
    ----------
    config : TrainScans
        The workflow.
    scans : ScanSet
        All scans, divided.
    by : {"subject", "scan"}
        What was divided; ``scan`` leaks, to be measured.
    listen : callable or None
        Told every epoch; in this process only.
    anew : bool
        Train anew what was trained otherwise, instead of refusing.
    """

    config: TrainScans
    scans: ScanSet
    by: By = "subject"
    listen: OnEpoch | None = None
    anew: bool = False

    @property
    def facts(self) -> Mapping[str, Any]:
        """What decides the networks, as JSON."""
        training = asdict(self.config.training)
        training["network"] = {**training["network"], "weights": None}
        return {
            "manifest": self.scans.manifest.digest,
            "by": self.by,
            "positive": self.scans.positive,
            "training": training,
            "start": start_digest(self.config.training.network),
        }


def train_all(work: FoldWork, *, engine: JobEngine, name: str) -> pd.DataFrame:
    """Train every fold.

    Parameters
    ----------
    work : FoldWork
        What.
    engine : JobEngine
        Folder and workers; folds that are finished are not trained again, others go on after
        their last epoch.
    name : str
        Of the stage.

    Returns
    -------
    pandas.DataFrame
        One row for each scan and role: ``scan``, ``subject``, ``session``, ``label``, ``fold``,
        ``positive``, ``probability``, ``role`` (``judged`` or ``choosing``) and ``epoch``, after
        which the weights were chosen.

    Raises
    ------
    VolkitError
        What `volkit.training.scan_run.train_fold` raises; StaleLedgerError where the folder holds
        the training of another manifest or of other options.
    """
    count = trainings(work.scans.manifest)
    grid = Grid(Box.from_shape((1, 1, count)), (1, 1, 1))
    stage = Reduction(_train_block, gathered)
    columns: Columns = engine.reduce(stage, grid=grid, name=name, shared=(work,))
    return _framed(columns, work.scans)


def _train_block(block: Block, work: FoldWork) -> Columns:
    number, training = block.write.start[2], work.config.training
    rows = work.scans.manifest.rows
    roles = scan_roles(
        rows, number, aside=training.optimisation.aside, seed=training.seed, by=work.by
    )
    fold = work.config.fold(number, work.by)
    found = train_fold(fold, work.scans, roles, on_epoch=work.listen, anew=work.anew)
    parts = ((JUDGED, roles.judged, found.judged), (CHOOSING, roles.choosing, found.choosing))
    return gathered(
        [
            {
                "row": scans,
                "fold": np.full(len(scans), number, np.int64),
                "role": np.full(len(scans), role, np.int64),
                "probability": said,
                "epoch": np.full(len(scans), found.epoch, np.int64),
            }
            for role, scans, said in parts
        ]
    )


def gathered(tables: Sequence[Columns]) -> Columns:
    """Put tables below one another."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _framed(columns: Columns, scans: ScanSet) -> pd.DataFrame:
    rows: NDArray[np.int64] = columns["row"]
    facts = [scans.manifest.rows[n] for n in rows]
    frame = pd.DataFrame(
        {
            **{
                name: pd.Series([getattr(row, name) for row in facts], dtype="str")
                for name in ("scan", "subject", "session", "label")
            },
            "fold": columns["fold"],
            "positive": scans.is_positive[rows],
            "probability": columns["probability"],
            "role": np.where(columns["role"] == JUDGED, "judged", "choosing"),
            "epoch": columns["epoch"],
        }
    )
    order = ["role", "fold", "scan"]
    return frame.sort_values(order, ascending=[False, True, True], ignore_index=True)
