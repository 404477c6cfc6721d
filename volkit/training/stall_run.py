"""Training on clips: folds one after the other, stages within a fold, epochs within a stage."""

import csv
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volkit.models.checkpoint import Checkpoint, read_checkpoint
from volkit.training.stall_config import StallTrainConfig
from volkit.training.stall_fold import FoldRun
from volkit.training.stall_scores import StallScores
from volkit.training.stall_set import ClipSet, divide, open_clips


@dataclass(frozen=True, slots=True)
class StallProgress:
    """What a run has to say after an epoch.

    Parameters
    ----------
    fold, stage : int
        Which, from 0 on.
    done, total : int
        Epochs done, and at most, of all folds and stages.
    seconds : float
        Since the run began or went on.
    scores : StallScores
        Of this epoch.
    """

    fold: int
    stage: int
    done: int
    total: int
    seconds: float
    scores: StallScores


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What a fold ends with.

    Parameters
    ----------
    fold : int
        Which.
    checkpoint : Checkpoint
        Best of the last stage.
    best : StallScores
        Its scores in validation.
    judged : Path
        CSV: what the network says of each clip that it did not learn from.
    """

    fold: int
    checkpoint: Checkpoint
    best: StallScores
    judged: Path


def train_stalls(
    config: StallTrainConfig, *, on_progress: Callable[[StallProgress], None] | None = None
) -> tuple[FoldResult, ...]:
    """Train networks to tell stalled vessels from others, or go on where a run was interrupted.

    Each fold's network learns from the clips of the other folds.  An epoch draws clips by class,
    averages gradients over several batches, and is judged on the clips left out; the best weights
    of a stage are what the next one begins with.  Everything drawn follows from the seed, the fold,
    the stage, the epoch and the batch, so that a resumed run ends with the bytes of an
    uninterrupted one (on the same machine, with as many threads).

    Parameters
    ----------
    config : StallTrainConfig
        The run, whole.
    on_progress : callable or None
        Called after every epoch.

    Returns
    -------
    tuple of FoldResult
        One for each fold that was trained.

    Raises
    ------
    ConfigError
        If clips, folds or an earlier state do not fit the configuration.
    SourceError
        If a table or a film cannot be read.
    ModelError
        If the loss is no longer finite.

    References
    ----------
    Solovyev, Kalinin and Gabruseva, 3D convolutional neural networks for stalled brain capillary
    detection, 2022, doi:10.1016/j.compbiomed.2021.105089.
    """
    began = perf_counter()
    clips = open_clips(config.data, memory_mib=config.memory_mib)
    fold = divide(clips, config.folds, seed=config.seed)
    each = sum(stage.epochs for stage in config.stages)
    total = each * len(config.folds.chosen)
    results = []
    for place, number in enumerate(config.folds.chosen):
        run = FoldRun(_alone(config, number), clips, fold, number)
        run.resume()
        while not run.finished:
            stage = run.stage
            scores = run.epoch()
            if on_progress:
                before = sum(s.epochs for s in config.stages[:stage])
                done = place * each + before + scores.epoch
                seconds = perf_counter() - began
                on_progress(StallProgress(number, stage, done, total, seconds, scores))
        results.append(_finished(run, clips, fold))
    return tuple(results)


def _alone(config: StallTrainConfig, fold: int) -> StallTrainConfig:
    """Make the configuration of one fold, which does not depend on the others to be trained."""
    card = str(config.card_path(fold))
    return replace(config, checkpoint=card, folds=replace(config.folds, train=(fold,)))


def _finished(run: FoldRun, clips: ClipSet, fold: NDArray[np.int64]) -> FoldResult:
    path = Path(run.config.checkpoint).with_suffix(".judged.csv")
    rows = np.flatnonzero(fold == run.fold)
    if not path.is_file() or not run.resumed_finished:
        _write(path, clips, rows, run)
    checkpoint = read_checkpoint(run.config.checkpoint)
    return FoldResult(run.fold, checkpoint, run.best_scores, path)


def _write(path: Path, clips: ClipSet, rows: NDArray[np.int64], run: FoldRun) -> None:
    """Write what the network says of the clips of its fold, all of them."""
    said = run.probabilities(clips.chosen(rows))
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("filename", "project_id", "fold", "stalled", "tier1", "probability"))
        for row, probability in zip(rows, said, strict=True):
            facts: list[Any] = [clips.names[row], clips.project[row], run.fold]
            labels = [int(clips.stalled[row]), int(clips.tier1[row])]
            writer.writerow([*facts, *labels, repr(float(probability))])
    partial.replace(path)


def told(results: tuple[FoldResult, ...]) -> dict[str, Any]:
    """Give the scores of a run as plain values, by fold."""
    return {str(result.fold): asdict(result.best) for result in results}
