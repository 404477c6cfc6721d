"""Training on scans, one network: from its first epoch, or where it was, to what it says."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from volkit.models.checkpoint import Checkpoint, read_checkpoint
from volkit.training.scan_epoch import EpochScores
from volkit.training.scan_fold import FoldRun
from volkit.training.scan_options import ScanFold
from volkit.training.scan_roles import ScanRoles
from volkit.training.scan_set import ScanSet
from volkit.training.tracking import tracked


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """What a training has to say after an epoch.

    Parameters
    ----------
    number : int
        Which training.
    by : str
        What was divided.
    done, total : int
        Epochs.
    scores : EpochScores
        Of this epoch.
    """

    number: int
    by: str
    done: int
    total: int
    scores: EpochScores


OnEpoch = Callable[[ScanProgress], None]


@dataclass(frozen=True, slots=True, eq=False)
class ScanResult:
    """What a training ends with.

    Parameters
    ----------
    checkpoint : Checkpoint
        The weights that were chosen.
    epoch : int
        After which they were; from 1 on.
    judged, choosing : ndarray of float64
        Probability of the class that is looked for, for the scans in these roles.
    """

    checkpoint: Checkpoint
    epoch: int
    judged: NDArray[np.float64]
    choosing: NDArray[np.float64]


def train_fold(
    fold: ScanFold,
    scans: ScanSet,
    roles: ScanRoles,
    *,
    on_epoch: OnEpoch | None = None,
    anew: bool = False,
) -> ScanResult:
    """Train a network on scans, or go on where an earlier run was interrupted.

    Everything drawn follows from the seed, the fold, the epoch and the scan, so that a resumed run
    ends with the bytes of an uninterrupted one (on the same machine, with as many threads).

    Parameters
    ----------
    fold : ScanFold
        What is trained.
    scans : ScanSet
        All scans.
    roles : ScanRoles
        Which of them do what.
    on_epoch : callable or None
        Told after every epoch.
    anew : bool
        Begin anew where an earlier state is of another training, instead of refusing.

    Returns
    -------
    ScanResult

    Raises
    ------
    ConfigError
        If scans or an earlier state do not fit the configuration.
    SourceError
        If a scan cannot be read, or is not the one of the manifest.
    ModelError
        If weights do not fit, or a loss or gradient is not finite: the batch and the first tensor
        are named.
    """
    run = FoldRun(fold, scans, roles)
    run.resume(anew=anew)
    _learn(run, on_epoch)
    run.network.load_state_dict(run.best_state)
    return ScanResult(
        read_checkpoint(fold.checkpoint),
        run.best_epoch,
        run.probabilities(roles.judged),
        run.probabilities(roles.choosing),
    )


def _learn(run: FoldRun, on_epoch: OnEpoch | None) -> None:
    """Go through the epochs that are left."""
    fold, card = run.fold, Path(run.fold.checkpoint)
    total = fold.training.optimisation.epochs
    with tracked(
        card.parent / "tracking",
        card.stem,
        fold.tracking,
        identity=run.identity,
        facts={**asdict(fold.training), **run.facts},
        known=[scores.numbers() for scores in run.scores],
    ) as tracker:
        while not run.finished:
            scores = run.epoch()
            tracker.log(scores.epoch - 1, scores.numbers())
            if on_epoch is not None:
                on_epoch(ScanProgress(fold.number, fold.by, scores.epoch, total, scores))
